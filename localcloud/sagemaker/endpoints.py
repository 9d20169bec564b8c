"""Endpoints: CreateEndpoint, DescribeEndpoint, ListEndpoints, DeleteEndpoint; updates.py has UpdateEndpoint."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..autoscaling import targets
from . import capture, endpoint_configs, tags
from .fleet import Fleet
from .guardrails import PLAIN
from .job import event_detail
from .server import ServerError
from .store import Row, arn, invalid, listed, lock, matches, now, table, unsupported

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
    "UpdateRollbackFailed": "UPDATE_ROLLBACK_FAILED",
    "Deleting": "DELETING",
}


@dataclass
class Endpoint:
    """One endpoint. Its members change only under SageMaker's lock.

    `fleet` answers; during an update `shifted` does for that share of the requests. `pending` tells of the update.
    """

    row: Row
    fleet: Fleet | None = None
    shifted: tuple[Fleet, float] | None = None
    pending: Callable[[], Row] | None = None
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

    def drawn(self) -> Fleet | None:
        """The fleet that answers one request."""
        fleet, shifted = self.fleet, self.shifted
        if shifted and random.random() < shifted[1]:  # noqa: S311 traffic shares are no secret
            return shifted[0]
        return fleet

    def answers_by(self, fleet: Fleet) -> bool:
        """Whether that fleet still answers some of the requests."""
        shifted = self.shifted
        return fleet is self.fleet or (shifted is not None and fleet is shifted[0])


def create_endpoint(cloud: "Cloud", request: Row) -> Row:
    """Start an endpoint's containers; it is Creating until all answer their ping."""
    _check_deployment(request)
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


def describe_endpoint(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one endpoint."""
    with lock(cloud):
        endpoint = find(cloud, request["EndpointName"])
        row = dict(endpoint.row)
        if endpoint.fleet:
            row |= _serving(endpoint.fleet)
        if endpoint.pending:
            row["PendingDeploymentSummary"] = endpoint.pending()
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
        if endpoint.status not in ("InService", "Failed", "UpdateRollbackFailed"):
            raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        change(cloud, endpoint, EndpointStatus="Deleting")
    cloud.spawn(lambda: _delete(cloud, endpoint), f"endpoint {endpoint.name}")


def find(cloud: "Cloud", name: str) -> Endpoint:
    """The endpoint of that name, or SageMaker's sentence that there is none."""
    endpoint = table(cloud, TABLE).get(name)
    if not isinstance(endpoint, Endpoint):
        raise invalid(f'Could not find endpoint "{arn(cloud, "endpoint", name)}".')
    return endpoint


def changeable(cloud: "Cloud", name: str, *also: str) -> tuple[Endpoint, Fleet]:
    """The endpoint of that name and what serves it, if it may be changed now: InService, or `also` in these states."""
    endpoint = find(cloud, name)
    if endpoint.status not in ("InService", *also) or endpoint.fleet is None:
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
        fleets = [endpoint.fleet, endpoint.shifted and endpoint.shifted[0]]
        endpoint.fleet, endpoint.shifted = None, None
    for fleet in filter(None, fleets):
        fleet.retire()
    with lock(cloud):
        table(cloud, TABLE).pop(endpoint.name, None)
        tags.forget(cloud, endpoint.arn)
    targets.forget(cloud, endpoint.name)


def _emit(cloud: "Cloud", endpoint: Endpoint) -> None:
    with lock(cloud):
        detail = event_detail(describe_endpoint(cloud, {"EndpointName": endpoint.name}))
        detail["EndpointStatus"] = _EVENT_STATUS[detail["EndpointStatus"]]
        detail["Tags"] = tags.of(cloud, endpoint.arn)
    cloud.emit("aws.sagemaker", "SageMaker Endpoint State Change", detail, [endpoint.arn])


def _check_deployment(request: Row) -> None:
    """Nothing is shifted, and nothing can be rolled back, where nothing serves yet."""
    if request.get("DeploymentConfig", {}) not in ({}, PLAIN):
        raise unsupported("CreateEndpoint", "DeploymentConfig")


OPERATIONS = {
    "CreateEndpoint": create_endpoint,
    "DescribeEndpoint": describe_endpoint,
    "ListEndpoints": list_endpoints,
    "DeleteEndpoint": delete_endpoint,
}
