"""Application Auto Scaling of an endpoint's variants, driven through boto3."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.autoscaling.tracking import wanted
from tests.localcloud.endpoint_lab import Host
from tests.localcloud.sagemaker_lab import until

VARIANT = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
METRIC = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}


@pytest.fixture(scope="module")
def host(localcloud) -> Host:
    host = Host(localcloud)
    yield host
    host.close()


@pytest.fixture(scope="module")
def scaling(localcloud) -> Any:
    return localcloud.client("application-autoscaling")


@pytest.fixture
def endpoint(host: Host) -> str:
    return host.serve([host.variant(host.model("one"), "main", 1)])


def of(endpoint: str, variant: str = "main") -> dict[str, str]:
    return {**VARIANT, "ResourceId": f"endpoint/{endpoint}/variant/{variant}"}


def put(scaling: Any, endpoint: str, value: float, **more: Any) -> dict[str, Any]:
    tracking = {"TargetValue": value, "PredefinedMetricSpecification": METRIC, **more}
    kind = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking}
    return scaling.put_scaling_policy(**of(endpoint), PolicyName="p", **kind)


def instances(host: Host, endpoint: str) -> int:
    return host.settled(endpoint)["ProductionVariants"][0]["CurrentInstanceCount"]


def test_a_target_is_registered_described_changed_and_forgotten_with_its_policies(host, scaling, endpoint):
    arn = scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=3)["ScalableTargetARN"]
    assert scaling.register_scalable_target(**of(endpoint), MaxCapacity=4)["ScalableTargetARN"] == arn
    asked = {"ServiceNamespace": "sagemaker", "ResourceIds": [of(endpoint)["ResourceId"]]}
    (target,) = scaling.describe_scalable_targets(**asked)["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"], target["ScalableTargetARN"]) == (1, 4, arn)
    assert put(scaling, endpoint, 10)["PolicyARN"] == put(scaling, endpoint, 20)["PolicyARN"]
    found = {"ServiceNamespace": "sagemaker", "ResourceId": of(endpoint)["ResourceId"]}
    (policy,) = scaling.describe_scaling_policies(**found)["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 20
    scaling.deregister_scalable_target(**of(endpoint))
    assert scaling.describe_scalable_targets(**asked)["ScalableTargets"] == []
    assert scaling.describe_scaling_policies(**found)["ScalingPolicies"] == []
    with pytest.raises(ClientError, match="No scalable target found"):
        scaling.deregister_scalable_target(**of(endpoint))


def test_registering_brings_the_instances_into_the_limits(host, scaling, endpoint):
    scaling.register_scalable_target(**of(endpoint), MinCapacity=2, MaxCapacity=3)
    assert instances(host, endpoint) == 2


def test_a_policy_can_be_deleted_alone(scaling, endpoint):
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=3)
    put(scaling, endpoint, 10)
    scaling.delete_scaling_policy(**of(endpoint), PolicyName="p")
    with pytest.raises(ClientError, match="No scaling policy found"):
        scaling.delete_scaling_policy(**of(endpoint), PolicyName="p")


def test_what_is_scaled_keeps_its_instance_type_and_stays(host, scaling, endpoint):
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=3)
    larger = host.config("two", name="main", InstanceType="ml.c6i.xlarge")
    renamed = host.config("two", name="other")
    for config in (larger, renamed):
        with pytest.raises(ClientError, match='"main" must be deregistered as a scalable target'):
            host.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    host.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=host.config("two", name="main"))
    host.settled(endpoint)
    scaling.deregister_scalable_target(**of(endpoint))
    host.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=larger)
    assert host.settled(endpoint)["EndpointConfigName"] == larger


def test_an_endpoint_takes_its_targets_with_it(host, scaling):
    endpoint = host.serve([host.variant(host.model("one"), "main", 1)])
    host.endpoints.remove(endpoint)
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=3)
    host.sagemaker.delete_endpoint(EndpointName=endpoint)
    asked = {"ServiceNamespace": "sagemaker", "ResourceIds": [of(endpoint)["ResourceId"]]}
    until(lambda: scaling.describe_scalable_targets(**asked)["ScalableTargets"] == [])


@pytest.fixture(scope="module")
def steady(host: Host) -> str:
    return host.serve([host.variant(host.model("one"), "main", 1)])


LIMITS = {"MinCapacity": 1, "MaxCapacity": 3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ResourceId": "endpoint/nowhere/variant/main"}, "variant doesn't exist"),
        ({"ResourceId": "endpoint/nowhere"}, "Unsupported service namespace"),
        ({"MinCapacity": 4}, "cannot be less than minimum"),
        ({"MinCapacity": 0}, "at least 1"),
        ({"ServiceNamespace": "ecs"}, "localcloud does not implement application-autoscaling with ServiceNamespace"),
        ({"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}, "localcloud does not implement"),
        ({"Tags": {"a": "b"}}, "localcloud does not implement application-autoscaling with Tags"),
    ],
)
def test_what_cannot_be_a_target_is_refused(scaling, steady, change, message):
    with pytest.raises(ClientError, match=message):
        scaling.register_scalable_target(**{**of(steady), **LIMITS, **change})


def test_another_variant_and_a_new_target_without_limits_are_refused(scaling, steady):
    with pytest.raises(ClientError, match="variant doesn't exist"):
        scaling.register_scalable_target(**of(steady, "other"), **LIMITS)
    with pytest.raises(ClientError, match="MaxCapacity is missing"):
        scaling.register_scalable_target(**of(steady), MinCapacity=1)
    with pytest.raises(ClientError, match="No scalable target registered"):
        put(scaling, steady, 10)


def test_a_policy_that_is_not_carried_out_is_refused(scaling, endpoint):
    scaling.register_scalable_target(**of(endpoint), **LIMITS)
    with pytest.raises(ClientError, match="PolicyType StepScaling"):
        scaling.put_scaling_policy(**of(endpoint), PolicyName="p")
    with pytest.raises(ClientError, match="with SageMakerVariantProvisionedConcurrencyUtilization"):
        put(
            scaling,
            endpoint,
            10,
            PredefinedMetricSpecification={"PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"},
        )


@pytest.mark.heavy
def test_more_requests_bring_more_instances_up_to_the_limit_and_none_fails(host, scaling, endpoint):
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=2)
    put(scaling, endpoint, 5)
    with host.asking(endpoint):
        until(lambda: instances(host, endpoint) == 2, seconds=60)
        with host.asking(endpoint):
            assert instances(host, endpoint) == 2


RUNNING = {f"DynamicScaling{way}Suspended": False for way in ("In", "Out")}
POLICY = {"TargetValue": 10.0}


def count(points: list[float | None], now: int = 2, policy: dict[str, Any] = POLICY, **suspended: bool) -> int:
    limits = {"MinCapacity": 1, "MaxCapacity": 4, "SuspendedState": {**RUNNING, **suspended}}
    return wanted(now, [None] * (15 - len(points)) + points, policy, limits)


def test_three_minutes_above_the_target_scale_out_in_proportion_and_within_the_limit():
    assert count([12.0, 12.0, 14.0]) == 3
    assert count([12.0, 99.0, 99.0]) == 4
    assert count([99.0, 9.0, 99.0]) == 2
    assert count([99.0, 99.0]) == 2
    assert count([99.0] * 3, DynamicScalingOutSuspended=True) == 2


def test_fifteen_minutes_below_nine_tenths_scale_in_and_an_idle_endpoint_stays_as_it_is():
    assert count([4.0] * 15, now=4) == 2
    assert count([0.1] * 15, now=4) == 1
    assert count([4.0] * 14, now=4) == 4
    assert count([], now=4) == 4
    assert count([9.5] * 15, now=4) == 4
    assert count([4.0] * 15, now=4, policy={**POLICY, "DisableScaleIn": True}) == 4
    assert count([4.0] * 15, now=4, DynamicScalingInSuspended=True) == 4
