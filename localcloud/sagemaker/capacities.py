"""UpdateEndpointWeightsAndCapacities: other shares of the traffic, more or fewer servers, the same models."""

from typing import TYPE_CHECKING

from . import endpoints
from .endpoints import Endpoint
from .fleet import Fleet, Variant
from .server import ServerError
from .store import Row, invalid, lock, refuse

if TYPE_CHECKING:
    from ..cloud import Cloud

UPDATE = "UpdateEndpointWeightsAndCapacities"


def update_endpoint_weights_and_capacities(cloud: "Cloud", request: Row) -> Row:
    """Accept what is desired; the endpoint is Updating until its variants are so."""
    rows = request["DesiredWeightsAndCapacities"]
    with lock(cloud):
        endpoint, fleet = endpoints.changeable(cloud, request["EndpointName"])
        for row in rows:
            refuse(UPDATE, row, ("ServerlessUpdateConfig",))
        desired = [(_variant(endpoint, fleet, row), row) for row in rows]
        for variant, row in desired:
            variant.desired_weight = float(row.get("DesiredWeight", variant.weight))
            variant.desired_count = row.get("DesiredInstanceCount", len(variant.servers))
        endpoint.row.pop("FailureReason", None)
        endpoints.change(cloud, endpoint, EndpointStatus="Updating")
    cloud.spawn(lambda: _adjust(cloud, endpoint, fleet), f"endpoint {endpoint.name}")
    return {"EndpointArn": endpoint.arn}


def _variant(endpoint: Endpoint, fleet: Fleet, row: Row) -> Variant:
    name = row["VariantName"]
    if row.get("DesiredInstanceCount") == 0:
        raise invalid(f"DesiredInstanceCount of variant {name} must be at least 1.")
    for variant in fleet.all_variants:
        if variant.name == name:
            return variant
    raise invalid(f'The variant name(s) "{name}" do not exist in endpoint "{endpoint.arn}".')


def _adjust(cloud: "Cloud", endpoint: Endpoint, fleet: Fleet) -> None:
    members = {}
    try:
        fleet.adjust()
    except Exception as error:  # noqa: BLE001 whatever it is, the endpoint must leave its passing state
        members["FailureReason"] = str(error) if isinstance(error, ServerError) else f"InternalServerError: {error}"
        with lock(cloud):
            for variant in fleet.all_variants:
                variant.desired_weight, variant.desired_count = variant.weight, len(variant.servers)
    endpoints.change(cloud, endpoint, EndpointStatus="InService", **members)


OPERATIONS = {UPDATE: update_endpoint_weights_and_capacities}
