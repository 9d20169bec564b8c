"""The number of instances belongs to Application Auto Scaling where a deploy file says so, and git leaves it alone."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.delivery.order import Say
from gitops.deployment import Deployment

# Fields of a live variant that autoscaling owns: kept over an update, and never drift. Everything else is git's.
DELEGATED = ("DesiredInstanceCount",)
OURS = ("DesiredWeight", "DataCaptureConfig")  # an update may keep these too, and must not
RETAINED: Mapping[str, Any] = {
    "RetainAllVariantProperties": True,
    "ExcludeRetainedVariantProperties": [{"VariantPropertyType": name} for name in OURS],
}
SERVICE = "application-autoscaling"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"  # invocations per minute and instance
POLICY = "gitops-invocations"  # one name, so that putting it again changes it
Call = tuple[str, dict[str, Any]]  # a method of the client, and its arguments


def calls(endpoint: str, variants: Iterable[str], desired: Deployment) -> Iterator[Call]:
    """What makes autoscaling as the deploy file asks, for each production variant: pure, and harmless twice."""
    for variant in variants:
        target = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
            "ScalableDimension": DIMENSION,
        }
        if desired.autoscaling is None:
            yield "deregister_scalable_target", target
            continue
        asked = desired.autoscaling
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


def carry_out(client: Any, endpoint: str, asked: Iterable[Call], say: Say) -> bool:
    """Make the calls; True if the service took them. Where there is none, as on localcloud, that is said in one line.

    `serving.instances` then is the number, so the release is deployed all the same.
    """
    for method, arguments in asked:
        try:
            getattr(client, method)(**arguments)
        except ClientError as error:
            if aws.code(error) == "UnsupportedOperation":
                say(f"{endpoint}: autoscaling is not carried out here ({aws.message(error)}); serving.instances is")
                return False
            # a target that was to go, and is gone, is as asked
            if method != "deregister_scalable_target" or aws.code(error) != "ObjectNotFoundException":
                raise
    return True
