"""The number of instances belongs to Application Auto Scaling where a deploy file says so, and git leaves it alone."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.deployment import Deployment

# Fields of a live variant that autoscaling owns: kept over an update, and never drift. Everything else is git's.
DELEGATED = ("DesiredInstanceCount",)
OURS = ("DesiredWeight", "DataCaptureConfig")  # an update may keep these too, and must not
RETAINED: Mapping[str, Any] = {
    "RetainAllVariantProperties": True,
    "ExcludeRetainedVariantProperties": [{"VariantPropertyType": name} for name in OURS],
}
SERVICE, NAMESPACE = "application-autoscaling", "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"  # invocations per minute and instance
POLICY = "gitops-invocations"  # one name, so that putting it again changes it
Call = tuple[str, dict[str, Any]]  # a method of the client, and its arguments


def calls(endpoint: str, variants: Iterable[str], desired: Deployment) -> Iterator[Call]:
    """What makes autoscaling as the deploy file asks, for each production variant: pure, and harmless twice."""
    asked = desired.autoscaling
    if asked is None:
        yield from ended(endpoint, variants)
        return
    for variant in variants:
        target = _target(endpoint, variant)
        yield "register_scalable_target", {**target, "MinCapacity": asked.min, "MaxCapacity": asked.max}
        tracking = {
            "TargetValue": float(asked.invocations_per_instance),
            "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC},
        }
        yield (
            "put_scaling_policy",
            {
                **target,
                "PolicyName": POLICY,
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": tracking,
            },
        )


def ended(endpoint: str, variants: Iterable[str]) -> Iterator[Call]:
    """What takes these variants off autoscaling: pure. Their policies go with them, their instances stay."""
    for variant in variants:
        yield "deregister_scalable_target", _target(endpoint, variant)


def given_up(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The variants of one endpoint config that are missing in another, or have another instance type there: pure.

    SageMaker refuses an update that does so to a variant that is scaled.
    """
    types = {one["VariantName"]: one["InstanceType"] for one in after["ProductionVariants"]}
    return [
        one["VariantName"]
        for one in before["ProductionVariants"]
        if types.get(one["VariantName"]) != one.get("InstanceType")
    ]


def registered(client: Any, endpoint: str, variants: Iterable[str]) -> list[str]:
    """Those of the variants that are scaled, whoever asked for it."""
    names = {_target(endpoint, variant)["ResourceId"]: variant for variant in variants}
    found = client.describe_scalable_targets(ServiceNamespace=NAMESPACE, ResourceIds=list(names))
    return [names[one["ResourceId"]] for one in found["ScalableTargets"] if one["ScalableDimension"] == DIMENSION]


def carry_out(client: Any, asked: Iterable[Call]) -> None:
    """Make the calls."""
    for method, arguments in asked:
        try:
            getattr(client, method)(**arguments)
        except ClientError as error:
            # a target that was to go, and is gone, is as asked
            if method != "deregister_scalable_target" or aws.code(error) != "ObjectNotFoundException":
                raise


def _target(endpoint: str, variant: str) -> dict[str, str]:
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }
