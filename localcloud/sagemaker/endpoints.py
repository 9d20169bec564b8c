"""Endpoints: CreateEndpoint, UpdateEndpoint, DescribeEndpoint, ListEndpoints, DeleteEndpoint."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import capture, endpoint_configs, tags
from .fleet import Fleet
from .job import event_detail
from .server import ServerError
from .store import Row, arn, invalid, listed, lock, matches, now, refuse, table, unsupported

if TYPE_CHECKING:
    from ..cloud import Cloud

TABLE = "endpoints"
# EventBridge spells an endpoint's states otherwise than DescribeEndpoint does
_EVENT_STATUS = {
    "Creating": "CREATING",
    "Updating": "UPDATING",
    "RollingBack": "ROLLING_BACK",
    "InService": "IN_SERVICE",
    "Failed": "FAILED",
    "Deleting": "DELETING",
}


@dataclass
class Endpoint:
    """One endpoint. `fleet` is what answers; it changes only under SageMaker's lock."""

    row: Row
    fleet: Fleet | None = None
    coming: str | None = None
    configs: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return str(self.row["EndpointName"])

    @property
    def arn(self) -> str:
        return str(self.row["EndpointArn"])

    @property
    def status(self) -> str:
        return str(self.row["EndpointStatus"])


def create_endpoint(cloud: "Cloud", request: Row) -> Row:
    """Start an endpoint's containers; it is Creating until all answer their ping."""
    _check_deployment("CreateEndpoint", request)
    name, moment = request["EndpointName"], now()
    row = {
        "EndpointName": name,
        "EndpointArn": arn(cloud, "endpoint", name),
        "EndpointConfigName": request["EndpointConfigName"],
        "EndpointStatus": "Creating",
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }
    with lock(cloud):
        if name in table(cloud, TABLE):
            raise invalid(f'Cannot create already existing endpoint "{row["EndpointArn"]}".')
        config = endpoint_configs.find(cloud, request["EndpointConfigName"])
        fleet = Fleet(cloud, name, config)
        endpoint = table(cloud, TABLE)[name] = Endpoint(row, configs={config["EndpointConfigName"]})
    tags.keep(cloud, endpoint.arn, request.get("Tags"))
    _emit(cloud, endpoint)
    cloud.spawn(lambda: _create(cloud, endpoint, fleet), f"endpoint {name}")
    return {"EndpointArn": endpoint.arn}


def update_endpoint(cloud: "Cloud", request: Row) -> Row:
    """Start the new configuration's containers beside the old ones, then move all traffic at once."""
    _check_deployment("UpdateEndpoint", request)
    members = ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties", "RetainDeploymentConfig")
    refuse("UpdateEndpoint", request, members)
    with lock(cloud):
        endpoint, _ = changeable(cloud, request["EndpointName"])
        config = endpoint_configs.find(cloud, request["EndpointConfigName"])
        fleet = Fleet(cloud, endpoint.name, config)
        endpoint.configs.add(config["EndpointConfigName"])
        endpoint.row.pop("FailureReason", None)
        endpoint.coming = config["EndpointConfigName"]
        change(cloud, endpoint, EndpointStatus="Updating")
    cloud.spawn(lambda: _update(cloud, endpoint, fleet), f"endpoint {endpoint.name}")
    return {"EndpointArn": endpoint.arn}


def describe_endpoint(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one endpoint."""
    with lock(cloud):
        endpoint = find(cloud, request["EndpointName"])
        row = dict(endpoint.row)
        if endpoint.fleet:
            row |= _serving(endpoint.fleet)
        if endpoint.coming:
            row["PendingDeploymentSummary"] = {"EndpointConfigName": endpoint.coming}
        return row


def _serving(fleet: Fleet) -> Row:
    """What DescribeEndpoint says of that which answers."""
    found: Row = {"ProductionVariants": [variant.description() for variant in fleet.variants]}
    if fleet.shadows:
        found["ShadowProductionVariants"] = [variant.description() for variant in fleet.shadows]
    if fleet.config.get("DataCaptureConfig"):
        found["DataCaptureConfig"] = capture.description(fleet.config["DataCaptureConfig"])
    return found


def list_endpoints(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by name, status and time."""
    members = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    status = request.get("StatusEquals")
    with lock(cloud):
        rows = [
            {key: endpoint.row[key] for key in members}
            for endpoint in table(cloud, TABLE).values()
            if matches(endpoint.row, request, "EndpointName") and status in (None, endpoint.status)
        ]
    keys = {"Name": "EndpointName", "Status": "EndpointStatus"}
    key = keys.get(request.get("SortBy", ""), "CreationTime")
    return listed("Endpoints", rows, request, lambda row: row[key])


def delete_endpoint(cloud: "Cloud", request: Row) -> None:
    """Stop an endpoint's containers and forget it."""
    with lock(cloud):
        endpoint = find(cloud, request["EndpointName"])
        if endpoint.status not in ("InService", "Failed"):
            raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        change(cloud, endpoint, EndpointStatus="Deleting")
    cloud.spawn(lambda: _delete(cloud, endpoint), f"endpoint {endpoint.name}")


def find(cloud: "Cloud", name: str) -> Endpoint:
    """The endpoint of that name, or SageMaker's sentence that there is none."""
    endpoint = table(cloud, TABLE).get(name)
    if not isinstance(endpoint, Endpoint):
        raise invalid(f'Could not find endpoint "{arn(cloud, "endpoint", name)}".')
    return endpoint


def changeable(cloud: "Cloud", name: str) -> tuple[Endpoint, Fleet]:
    """The endpoint of that name and what serves it, if it may be changed now."""
    endpoint = find(cloud, name)
    if endpoint.status != "InService" or endpoint.fleet is None:
        word = "failed" if endpoint.status == "Failed" else "in-progress"
        raise invalid(f'Cannot update {word} endpoint "{endpoint.arn}".')
    return endpoint, endpoint.fleet


def change(cloud: "Cloud", endpoint: Endpoint, **members: Any) -> None:
    """Change an endpoint's description, perhaps its status with it, and tell EventBridge."""
    with lock(cloud):
        endpoint.row.update(members, LastModifiedTime=now())
    _emit(cloud, endpoint)


def _create(cloud: "Cloud", endpoint: Endpoint, fleet: Fleet) -> None:
    reason = _start(fleet)
    if reason:
        fleet.stop()
        change(cloud, endpoint, EndpointStatus="Failed", FailureReason=reason)
        return
    with lock(cloud):
        endpoint.fleet = fleet
    change(cloud, endpoint, EndpointStatus="InService")


def _update(cloud: "Cloud", endpoint: Endpoint, fleet: Fleet) -> None:
    reason, serving = _start(fleet), endpoint.fleet
    if reason:
        change(cloud, endpoint, EndpointStatus="RollingBack")
        fleet.stop()
    name = fleet.config["EndpointConfigName"]
    with lock(cloud):
        if not reason:
            endpoint.fleet = fleet
            endpoint.row["EndpointConfigName"] = name
        endpoint.configs, endpoint.coming = {endpoint.row["EndpointConfigName"]}, None
    change(cloud, endpoint, EndpointStatus="InService", **({"FailureReason": reason} if reason else {}))
    if serving and not reason:
        serving.retire()


def _start(fleet: Fleet) -> str | None:
    """Start a fleet; the reason why not, if not."""
    try:
        fleet.start()
    except ServerError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 whatever it is, the endpoint must leave its passing state
        return f"InternalServerError: {type(error).__name__}: {error}"
    return None


def _delete(cloud: "Cloud", endpoint: Endpoint) -> None:
    with lock(cloud):
        fleet, endpoint.fleet = endpoint.fleet, None
    if fleet:
        fleet.retire()
    with lock(cloud):
        table(cloud, TABLE).pop(endpoint.name, None)
        tags.forget(cloud, endpoint.arn)


def _emit(cloud: "Cloud", endpoint: Endpoint) -> None:
    with lock(cloud):
        detail = event_detail(describe_endpoint(cloud, {"EndpointName": endpoint.name}))
        detail["EndpointStatus"] = _EVENT_STATUS[detail["EndpointStatus"]]
        detail["Tags"] = tags.of(cloud, endpoint.arn)
    cloud.emit("aws.sagemaker", "SageMaker Endpoint State Change", detail, [endpoint.arn])


def _check_deployment(operation: str, request: Row) -> None:
    """Only what `update` really does: new servers, then all traffic at once, no alarms."""
    config = request.get("DeploymentConfig", {})
    if config.get("RollingUpdatePolicy") or config.get("AutoRollbackConfiguration", {}).get("Alarms"):
        raise unsupported(operation, "DeploymentConfig other than BlueGreenUpdatePolicy ALL_AT_ONCE without alarms")
    routing = config.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    if routing.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
        raise unsupported(operation, f"{routing['Type']} traffic")


OPERATIONS = {
    "CreateEndpoint": create_endpoint,
    "UpdateEndpoint": update_endpoint,
    "DescribeEndpoint": describe_endpoint,
    "ListEndpoints": list_endpoints,
    "DeleteEndpoint": delete_endpoint,
}
