"""HTTP APIs of API Gateway and their parts as CloudFormation resources."""

from typing import Any

from .kinds import Kind, Order, names, refuse_removal

SERVICE = "apigatewayv2"


def create_api(order: Order) -> str:
    """An API; Ref gives its id."""
    return str(order.call(SERVICE, "CreateApi", **order.properties)["ApiId"])


def update_api(order: Order) -> None:
    """Name and description in place."""
    refuse_removal(order)
    order.call(SERVICE, "UpdateApi", ApiId=order.physical_id, **order.only("Name", "Description", "Version"))


def describe_api(order: Order) -> dict[str, Any]:
    """ApiId, ApiEndpoint."""
    found = order.call(SERVICE, "GetApi", ApiId=order.physical_id)
    return {key: found[key] for key in ("ApiId", "ApiEndpoint")}


def delete_api(order: Order) -> None:
    """The API; its parts have gone before it."""
    order.call(SERVICE, "DeleteApi", ApiId=order.physical_id)


def part(kind: str, identity: str, properties: str) -> Kind:
    """A part of an API: an integration, a route or a stage; Ref gives the member `identity`."""

    def place(order: Order) -> dict[str, Any]:
        return {"ApiId": order.properties["ApiId"], identity: order.physical_id}

    def create(order: Order) -> str:
        return str(order.call(SERVICE, f"Create{kind}", **order.properties)[identity])

    def update(order: Order) -> None:
        refuse_removal(order)
        changed = {key: value for key, value in order.properties.items() if key != "Tags"}
        order.call(SERVICE, f"Update{kind}", **changed | place(order))

    def delete(order: Order) -> None:
        order.drop(SERVICE, f"Delete{kind}", **place(order))

    def describe(order: Order) -> dict[str, Any]:
        return {identity: order.call(SERVICE, f"Get{kind}", **place(order))[identity]}

    return Kind(create, update, delete, describe, names(f"ApiId {properties}"), names("ApiId StageName Tags"))


KINDS = {
    "AWS::ApiGatewayV2::Api": Kind(
        create_api,
        update_api,
        delete_api,
        describe_api,
        names("Name ProtocolType Description Version Tags"),
        names("ProtocolType Tags"),
    ),
    "AWS::ApiGatewayV2::Integration": part(
        "Integration",
        "IntegrationId",
        "IntegrationType IntegrationUri IntegrationMethod ConnectionType PayloadFormatVersion TimeoutInMillis "
        "Description",
    ),
    "AWS::ApiGatewayV2::Route": part("Route", "RouteId", "RouteKey Target AuthorizationType OperationName"),
    "AWS::ApiGatewayV2::Stage": part(
        "Stage",
        "StageName",
        "StageName AutoDeploy DefaultRouteSettings AccessLogSettings StageVariables Description Tags",
    ),
}
