"""Scalable targets: RegisterScalableTarget, DescribeScalableTargets, DeregisterScalableTarget."""

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from .state import (
    DIMENSION,
    NAMESPACE,
    Row,
    invalid,
    now,
    page,
    parts,
    require_variant,
    resource,
    state,
    target,
    unsupported,
)

if TYPE_CHECKING:
    from ..cloud import Cloud

ROLE = "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
NAME = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
LIMITS = ("MinCapacity", "MaxCapacity")
RUNNING = {f"{name}Suspended": False for name in ("DynamicScalingIn", "DynamicScalingOut", "ScheduledScaling")}


def register_scalable_target(cloud: "Cloud", request: Row) -> Row:
    """Remember or change a variant's limits, and bring its instances into them, as AWS does."""
    if request.get("Tags"):
        raise unsupported("Tags")
    resource_id = require_variant(request)
    variant(cloud, resource_id)
    with state(cloud).lock:
        known = state(cloud).targets.get(resource_id)
        row = {**(known or _new(cloud, resource_id)), **{name: request[name] for name in LIMITS if name in request}}
        _check(row)
        row["SuspendedState"] = {**row["SuspendedState"], **request.get("SuspendedState", {})}
        state(cloud).targets[resource_id] = row
    count = variant(cloud, resource_id)["DesiredInstanceCount"]
    within = min(max(count, row["MinCapacity"]), row["MaxCapacity"])
    if within != count:
        resize(cloud, resource_id, within)
    return {"ScalableTargetARN": row["ScalableTargetARN"]}


def describe_scalable_targets(cloud: "Cloud", request: Row) -> Row:
    """The targets of SageMaker, or those of the resources that are named; there are none of another service."""
    asked = request.get("ResourceIds")
    dimension = request.get("ScalableDimension", DIMENSION)
    fits = request["ServiceNamespace"] == NAMESPACE and dimension == DIMENSION
    with state(cloud).lock:
        rows = [row for name, row in state(cloud).targets.items() if fits and (not asked or name in asked)]
    return page("ScalableTargets", rows, request)


def deregister_scalable_target(cloud: "Cloud", request: Row) -> Row:
    """Forget a target and its policies; its instances stay as they are."""
    resource_id = require_variant(request)
    with state(cloud).lock:
        target(cloud, resource_id)
        _forget(cloud, resource_id)
    return {}


def registered(cloud: "Cloud", endpoint: str, variants: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """The targets among an endpoint's `variants` that are missing among the `others` or have another instance type.

    Both are instance types by variant. SageMaker refuses the update from the one to the other.
    """
    with state(cloud).lock:
        known = state(cloud).targets
        return [
            name
            for name, kind in variants.items()
            if resource(endpoint, name) in known and others.get(name) != kind
        ]  # fmt: skip


def forget(cloud: "Cloud", endpoint: str) -> None:
    """The endpoint is gone, and its targets with it."""
    with state(cloud).lock:
        for resource_id in [name for name in state(cloud).targets if parts(name)[0] == endpoint]:
            _forget(cloud, resource_id)


def variant(cloud: "Cloud", resource_id: str) -> dict[str, Any]:
    """What DescribeEndpoint says of the variant, and its endpoint's status; ValidationException if there is none."""
    endpoint, name = parts(resource_id)
    try:
        found = cloud.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        raise invalid(f"SageMaker endpoint variant doesn't exist: {resource_id}") from error
    for row in found.get("ProductionVariants", []):
        if row["VariantName"] == name:
            return {**row, "EndpointStatus": found["EndpointStatus"]}
    raise invalid(f"SageMaker endpoint variant doesn't exist: {resource_id}")


def resize(cloud: "Cloud", resource_id: str, count: int) -> bool:
    """Ask SageMaker for so many instances; False if the endpoint is busy, and the next look will do."""
    endpoint, name = parts(resource_id)
    wanted = [{"VariantName": name, "DesiredInstanceCount": count}]
    try:
        cloud.client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=wanted
        )
    except ClientError as error:
        if "in-progress" in str(error):
            return False
        raise
    return True


def _new(cloud: "Cloud", resource_id: str) -> Row:
    arn = f"arn:aws:application-autoscaling:{cloud.region}:{cloud.account}:scalable-target/{uuid.uuid4().hex}"
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource_id,
        "ScalableDimension": DIMENSION,
        "RoleARN": f"arn:aws:iam::{cloud.account}:{ROLE}{NAME}",
        "CreationTime": now(),
        "SuspendedState": RUNNING,
        "ScalableTargetARN": arn,
    }


def _check(row: Row) -> None:
    absent = [name for name in LIMITS if name not in row]
    if absent:
        raise invalid(f"A new scalable target needs MinCapacity and MaxCapacity; {', '.join(absent)} is missing")
    least, most = row["MinCapacity"], row["MaxCapacity"]
    if least > most:
        raise invalid(f"Maximum capacity {most} cannot be less than minimum capacity {least}")
    if least < 1:
        raise invalid(f"Minimum capacity must be at least 1 for {row['ResourceId']}, not {least}")


def _forget(cloud: "Cloud", resource_id: str) -> None:
    kept = state(cloud)
    del kept.targets[resource_id]
    kept.scaled.pop(resource_id, None)
    for key in [key for key in kept.policies if key[0] == resource_id]:
        del kept.policies[key]


OPERATIONS = {
    "RegisterScalableTarget": register_scalable_target,
    "DescribeScalableTargets": describe_scalable_targets,
    "DeregisterScalableTarget": deregister_scalable_target,
}
