"""The operations that make, show, change and delete APIs and their parts. What would have no effect is refused."""

import random
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..service import CloudError, Operation
from .access_log import check_format
from .matching import parse_key
from .state import Api, Row, find, state

if TYPE_CHECKING:
    from ..cloud import Cloud

_FUNCTION = "arn:aws:lambda:"
_TIMEOUT_MILLIS = 30_000  # default and most, for HTTP APIs


@dataclass(frozen=True)
class Part:
    """A kind of thing inside an API: the member that names it, those that are honoured, what its values may be."""

    identity: str
    members: frozenset[str]
    check: Callable[["Cloud", Api, Row], None]
    defaults: Mapping[str, Any]


def names(text: str) -> frozenset[str]:
    """Member names written with spaces between them."""
    return frozenset(text.split())


def bad(message: str) -> CloudError:
    """API Gateway's answer to a value it does not take."""
    return CloudError("BadRequestException", message)


def refuse(given: Row, members: frozenset[str], what: str) -> None:
    """A member that localcloud would keep and not act on is refused by name."""
    for name in sorted(set(given) - members - {"ApiId"}):
        if given[name]:
            raise CloudError("UnsupportedOperation", f"localcloud does not support {name} of an {what} of apigatewayv2")


def one_of(row: Row, name: str, *values: Any) -> None:
    """Refuse another value of a member by name."""
    if row.get(name) not in values:
        known = " or ".join(str(value) for value in values)
        raise CloudError("UnsupportedOperation", f"localcloud does not support {name} {row.get(name)}; {known} is")


def check_integration(_: "Cloud", __: Api, row: Row) -> None:
    """AWS_PROXY to a function, payload format 2.0."""
    one_of(row, "IntegrationType", "AWS_PROXY")
    one_of(row, "PayloadFormatVersion", "2.0")
    if _FUNCTION not in row.get("IntegrationUri", ""):
        raise bad("IntegrationUri must be the ARN of a Lambda function")
    if not 50 <= row["TimeoutInMillis"] <= _TIMEOUT_MILLIS:
        raise bad(f"Timeout should be between 50 ms and {_TIMEOUT_MILLIS} ms")


def check_route(_: "Cloud", api: Api, row: Row) -> None:
    """A key of a method and a path, and an integration of this API; signatures are the only authorization."""
    one_of(row, "AuthorizationType", "NONE", "AWS_IAM")
    try:
        parse_key(row["RouteKey"])
    except ValueError as error:
        raise bad(f"The provided route key is not formatted properly for HTTP protocol. {error}") from error
    target = row.get("Target", "").removeprefix("integrations/")
    if target not in api.parts["Integration"]:
        raise bad(f"Unable to find Integration with id {target}")
    same = [each for each in api.parts["Route"].values() if each["RouteKey"] == row["RouteKey"]]
    if any(each["RouteId"] != row.get("RouteId") for each in same):
        raise CloudError("ConflictException", f"Route with key {row['RouteKey']} already exists for this API", 409)


def check_stage(_: "Cloud", __: Api, row: Row) -> None:
    """Deployed by itself: there are no deployments to choose from."""
    one_of(row, "AutoDeploy", True)
    limits = {"ThrottlingBurstLimit", "ThrottlingRateLimit", "DetailedMetricsEnabled"}
    refuse(row.get("DefaultRouteSettings", {}), frozenset(limits), "default route setting")
    if "AccessLogSettings" in row:
        check_format(row["AccessLogSettings"].get("Format", ""))


PARTS = {
    "Integration": Part(
        "IntegrationId",
        names(
            "IntegrationId IntegrationType IntegrationUri IntegrationMethod ConnectionType PayloadFormatVersion "
            "TimeoutInMillis Description"
        ),
        check_integration,
        {"TimeoutInMillis": _TIMEOUT_MILLIS, "ConnectionType": "INTERNET", "IntegrationMethod": "POST"},
    ),
    "Route": Part(
        "RouteId",
        names("RouteId RouteKey Target AuthorizationType OperationName"),
        check_route,
        {"AuthorizationType": "NONE"},
    ),
    "Stage": Part(
        "StageName",
        names("StageName AutoDeploy DefaultRouteSettings AccessLogSettings StageVariables Description Tags"),
        check_stage,
        {},
    ),
}
_API = frozenset({"Name", "ProtocolType", "Description", "Tags", "Version"})


def identity() -> str:
    """Ten letters and digits, as API Gateway makes them."""
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=10))  # noqa: S311 a name, no secret


def create_api(cloud: "Cloud", given: Row) -> Row:
    """CreateApi."""
    refuse(given, _API, "API")
    one_of(given, "ProtocolType", "HTTP")
    name = identity()
    known = {
        "ApiId": name,
        "ApiEndpoint": f"{cloud.endpoint}/_api/{name}",
        "CreatedDate": datetime.now(UTC),
        "RouteSelectionExpression": "$request.method $request.path",
        "ApiKeySelectionExpression": "$request.header.x-api-key",
        "DisableExecuteApiEndpoint": False,
        "Tags": {},
    }
    with state(cloud).lock:
        state(cloud).apis[name] = Api(known | given)
    return known | given


def get_api(cloud: "Cloud", given: Row) -> Row:
    """GetApi."""
    return find(cloud, given["ApiId"]).settings


def get_apis(cloud: "Cloud", _: Row) -> Row:
    """GetApis: all of them on one page."""
    return {"Items": [api.settings for api in list(state(cloud).apis.values())]}


def update_api(cloud: "Cloud", given: Row) -> Row:
    """UpdateApi."""
    refuse(given, _API - {"ProtocolType", "Tags"}, "API")
    with state(cloud).lock:
        api = find(cloud, given["ApiId"])
        api.settings = api.settings | given
    return api.settings


def delete_api(cloud: "Cloud", given: Row) -> None:
    """DeleteApi, with all it has."""
    with state(cloud).lock:
        find(cloud, given["ApiId"])
        del state(cloud).apis[given["ApiId"]]


def creator(kind: str) -> Operation:
    """Create<kind>."""
    part = PARTS[kind]

    def create(cloud: "Cloud", given: Row) -> Row:
        refuse(given, part.members, kind)
        with state(cloud).lock:
            api = find(cloud, given["ApiId"])
            row = {**part.defaults, **{name: value for name, value in given.items() if name != "ApiId"}}
            part.check(cloud, api, row)
            name = row.setdefault(part.identity, identity())
            if name in api.parts[kind]:
                raise CloudError("ConflictException", f"{kind} already exists", 409)
            api.parts[kind][name] = row
        return row

    return create


def updater(kind: str) -> Operation:
    """Update<kind>: members that are given replace the old ones."""
    part = PARTS[kind]

    def update(cloud: "Cloud", given: Row) -> Row:
        refuse(given, part.members, kind)
        with state(cloud).lock:
            api = find(cloud, given["ApiId"])
            row = part_of(api, kind, given[part.identity])
            row = row | {name: value for name, value in given.items() if name != "ApiId"}
            part.check(cloud, api, row)
            api.parts[kind][row[part.identity]] = row
        return row

    return update


def getter(kind: str) -> Operation:
    """Get<kind>."""

    def get(cloud: "Cloud", given: Row) -> Row:
        return part_of(find(cloud, given["ApiId"]), kind, given[PARTS[kind].identity])

    return get


def lister(kind: str) -> Operation:
    """Get<kind>s: all of them on one page."""

    def get(cloud: "Cloud", given: Row) -> Row:
        return {"Items": list(find(cloud, given["ApiId"]).parts[kind].values())}

    return get


def deleter(kind: str) -> Operation:
    """Delete<kind>."""

    def delete(cloud: "Cloud", given: Row) -> None:
        with state(cloud).lock:
            api, name = find(cloud, given["ApiId"]), given[PARTS[kind].identity]
            part_of(api, kind, name)
            if kind == "Integration" and any(row["Target"].endswith(f"/{name}") for row in api.parts["Route"].values()):
                raise CloudError("ConflictException", "Cannot delete Integration. It is used by a Route.", 409)
            del api.parts[kind][name]

    return delete


def part_of(api: Api, kind: str, name: str) -> Row:
    """A part of an API; CloudError NotFoundException."""
    if name not in api.parts[kind]:
        raise CloudError("NotFoundException", f"Invalid {kind} identifier specified {name}", 404)
    return api.parts[kind][name]


_MAKERS = {"Create{}": creator, "Update{}": updater, "Get{}": getter, "Get{}s": lister, "Delete{}": deleter}
OPERATIONS: dict[str, Operation] = {
    "CreateApi": create_api,
    "GetApi": get_api,
    "GetApis": get_apis,
    "UpdateApi": update_api,
    "DeleteApi": delete_api,
    **{form.format(kind): make(kind) for form, make in _MAKERS.items() for kind in PARTS},
}
