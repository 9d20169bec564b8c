"""Scaling policies: PutScalingPolicy, DescribeScalingPolicies, DeleteScalingPolicy. tracking.py carries them out."""

import uuid
from typing import TYPE_CHECKING

from . import tracking
from .state import DIMENSION, NAMESPACE, Row, invalid, missing, now, page, require_variant, state, target, unsupported

if TYPE_CHECKING:
    from ..cloud import Cloud

KIND = "TargetTrackingScaling"
CONFIGURATION = f"{KIND}PolicyConfiguration"
METRIC = "SageMakerVariantInvocationsPerInstance"


def put_scaling_policy(cloud: "Cloud", request: Row) -> Row:
    """Remember or change a policy of target tracking, and carry it out from now on."""
    resource_id, name = require_variant(request), request["PolicyName"]
    asked = _asked(request)
    kept = state(cloud)
    with kept.lock:
        if resource_id not in kept.targets:
            raise missing("scalable target registered", resource_id)
        known = kept.policies.get((resource_id, name)) or _new(cloud, resource_id, name)
        kept.policies[resource_id, name] = {**known, CONFIGURATION: asked}
        if not kept.tracking:
            kept.tracking = True
            cloud.spawn(tracking.Tracker(cloud).run, "target tracking")
    return {"PolicyARN": known["PolicyARN"], "Alarms": []}


def describe_scaling_policies(cloud: "Cloud", request: Row) -> Row:
    """The policies of SageMaker, or those that are named."""
    names, resource_id = request.get("PolicyNames"), request.get("ResourceId")
    fits = request["ServiceNamespace"] == NAMESPACE and request.get("ScalableDimension", DIMENSION) == DIMENSION
    with state(cloud).lock:
        rows = [
            row
            for (resource, name), row in state(cloud).policies.items()
            if fits and resource_id in (None, resource) and (not names or name in names)
        ]
    return page("ScalingPolicies", rows, request)


def delete_scaling_policy(cloud: "Cloud", request: Row) -> Row:
    """Forget a policy; the target and its instances stay."""
    resource_id = require_variant(request)
    with state(cloud).lock:
        target(cloud, resource_id)
        if state(cloud).policies.pop((resource_id, request["PolicyName"]), None) is None:
            raise missing(f"scaling policy found with name {request['PolicyName']}", resource_id)
    return {}


def _asked(request: Row) -> Row:
    """The policy's configuration; what is not carried out is refused by name."""
    kind = request.get("PolicyType", "StepScaling")  # AWS's default
    if kind != KIND:
        raise unsupported(f"PolicyType {kind}")
    asked: Row | None = request.get(CONFIGURATION)
    if asked is None:
        raise invalid(f"{CONFIGURATION} is required for PolicyType {KIND}")
    metric = asked.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType", "a metric of one's own")
    if metric != METRIC:
        raise unsupported(metric)
    if not asked["TargetValue"] > 0:
        raise invalid(f"TargetValue must be above 0, not {asked['TargetValue']}")
    return asked


def _new(cloud: "Cloud", resource_id: str, name: str) -> Row:
    where = f"resource/{NAMESPACE}/{resource_id}:policyName/{name}"
    return {
        "PolicyARN": f"arn:aws:autoscaling:{cloud.region}:{cloud.account}:scalingPolicy:{uuid.uuid4()}:{where}",
        "PolicyName": name,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource_id,
        "ScalableDimension": DIMENSION,
        "PolicyType": KIND,
        "Alarms": [],
        "CreationTime": now(),
    }


OPERATIONS = {
    "PutScalingPolicy": put_scaling_policy,
    "DescribeScalingPolicies": describe_scaling_policies,
    "DeleteScalingPolicy": delete_scaling_policy,
}
