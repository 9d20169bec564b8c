"""Endpoint configurations: which models an endpoint runs. Create, Describe, List, Delete."""

from typing import TYPE_CHECKING

from . import models, tags
from .shapes import describe
from .store import Row, arn, invalid, listed, lock, matches, now, refuse, table, unsupported

if TYPE_CHECKING:
    from ..cloud import Cloud

TABLE = "endpoint_configs"
CREATE = "CreateEndpointConfig"
PRODUCTION, SHADOW = "ProductionVariants", "ShadowProductionVariants"
_REFUSED = (
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "VpcConfig",
    "CrossRegionTrafficConfig",
    "MetricsConfig",
)
_REFUSED_IN_VARIANT = (
    "ServerlessConfig",
    "InstancePools",
    "CoreDumpConfig",
    "ManagedInstanceScaling",
    "CapacityReservationConfig",
)


def create_endpoint_config(cloud: "Cloud", request: Row) -> Row:
    """Record a configuration whose models exist."""
    refuse(CREATE, request, _REFUSED)
    name, groups = request["EndpointConfigName"], _variants(request)
    row = {
        **{key: value for key, value in request.items() if key != "Tags"},
        **groups,
        "EndpointConfigArn": arn(cloud, "endpoint-config", name),
        "CreationTime": now(),
    }
    with lock(cloud):
        if name in table(cloud, TABLE):
            raise invalid(f'Cannot create already existing endpoint configuration "{row["EndpointConfigArn"]}".')
        for variant in (variant for variants in groups.values() for variant in variants):
            model = models.find(cloud, variant["ModelName"])
            if SHADOW in groups and model["Runs"].get("Mode") == models.MULTI_MODEL:
                raise invalid(f"{SHADOW} and multi-model containers do not go together.")
        table(cloud, TABLE)[name] = row
    tags.keep(cloud, row["EndpointConfigArn"], request.get("Tags"))
    return {"EndpointConfigArn": row["EndpointConfigArn"]}


def find(cloud: "Cloud", name: str) -> Row:
    """The configuration of that name, or SageMaker's sentence that there is none."""
    row: Row | None = table(cloud, TABLE).get(name)
    if row is None:
        raise invalid(f'Could not find endpoint configuration "{name}".')
    return row


def describe_endpoint_config(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one configuration."""
    with lock(cloud):
        return describe("DescribeEndpointConfig", find(cloud, request["EndpointConfigName"]))


def list_endpoint_configs(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by name and time."""
    members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
    with lock(cloud):
        rows = [
            {key: row[key] for key in members}
            for row in table(cloud, TABLE).values()
            if matches(row, request, "EndpointConfigName")
        ]
    key = "EndpointConfigName" if request.get("SortBy") == "Name" else "CreationTime"
    return listed("EndpointConfigs", rows, request, lambda row: row[key])


def delete_endpoint_config(cloud: "Cloud", request: Row) -> None:
    """Forget a configuration, unless an endpoint runs it or is being moved to it."""
    name = request["EndpointConfigName"]
    with lock(cloud):
        row = find(cloud, name)
        for endpoint in table(cloud, "endpoints").values():
            if name in endpoint.configs:
                raise invalid(
                    f'Cannot delete endpoint configuration "{name}": it is in use by endpoint "{endpoint.name}".'
                )
        del table(cloud, TABLE)[name]
        tags.forget(cloud, row["EndpointConfigArn"])


def _variants(request: Row) -> dict[str, list[Row]]:
    """The production variants, and the shadow variant if there is one, with their defaults."""
    members = [member for member in (PRODUCTION, SHADOW) if request.get(member)]
    groups = {member: [_variant(item) for item in request[member]] for member in members}
    names = [variant["VariantName"] for variants in groups.values() for variant in variants]
    if len(names) != len(set(names)):
        raise invalid(f"Variant names must be unique: {', '.join(sorted(names))}")
    if SHADOW in groups and any(len(variants) > 1 for variants in groups.values()):
        raise invalid(f"With {SHADOW} you can only specify one variant for {PRODUCTION} and one variant for {SHADOW}.")
    return groups


def _variant(variant: Row) -> Row:
    refuse(CREATE, variant, _REFUSED_IN_VARIANT)
    if not variant.get("ModelName"):
        raise unsupported(CREATE, f"variant {variant['VariantName']} without ModelName (inference components)")
    if not variant.get("InstanceType"):
        raise invalid(f"InstanceType is required for variant {variant['VariantName']}.")
    return {"InitialInstanceCount": 1, "InitialVariantWeight": 1.0, **variant}


OPERATIONS = {
    "CreateEndpointConfig": create_endpoint_config,
    "DescribeEndpointConfig": describe_endpoint_config,
    "ListEndpointConfigs": list_endpoint_configs,
    "DeleteEndpointConfig": delete_endpoint_config,
}
