"""Deployment guardrails of real endpoints through boto3, while others ask all the time. 20 s of an update take one."""

import concurrent.futures
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.sagemaker.guardrails import PLAIN
from tests.localcloud.endpoint_lab import Host
from tests.localcloud.sagemaker_lab import until
from tests.localcloud.test_guardrails import blue_green, count, percent, rolling


class Fleets(Host):
    """A host whose endpoints are updated under alarms of their own."""

    def alarm(self, **changes: Any) -> str:
        """An alarm that nothing sets off, unless it is told on what."""
        name = self.name("alarm")
        quiet = {"Namespace": "Lab", "MetricName": name, "Statistic": "Average", "Period": 10, "EvaluationPeriods": 1}
        rule = {"Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore"}
        self.client("cloudwatch").put_metric_alarm(AlarmName=name, **{**quiet, **rule, **changes})
        return name

    def ring(self, alarm: str) -> None:
        self.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="a test")

    def pair(self, old: str = "old", new: str = "new", instances: int = 2) -> tuple[str, str, str]:
        """An endpoint in service with so many instances; its configuration and the one to come."""
        before, after = (self.config(says, InitialInstanceCount=instances) for says in (old, new))
        name = self.start(before)
        assert self.settled(name)["EndpointStatus"] == "InService"
        return name, before, after

    def update(self, name: str, config: str, deployment: dict[str, Any], *alarms: str, **more: Any) -> None:
        rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm} for alarm in alarms]}}
        deployment = {**deployment, **(rollback if alarms else {})}
        self.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment, **more
        )

    def pending(self, name: str, status: str, weight: float) -> dict[str, Any]:
        """The pending variant, once it has this status and weight."""

        def look() -> dict[str, Any] | None:
            summary = self.sagemaker.describe_endpoint(EndpointName=name).get("PendingDeploymentSummary", {})
            for variant in summary.get("ProductionVariants", []):
                if (variant["VariantStatus"][0]["Status"], variant["CurrentWeight"]) == (status, weight):
                    return variant
            return None

        return until(look)


@pytest.fixture(scope="module")
def host(localcloud) -> Fleets:
    host = Fleets(localcloud)
    yield host
    host.close()


def test_a_canary_gets_its_share_of_the_requests_by_its_share_of_the_instances(host: Fleets):
    name, _, config = host.pair(instances=4)
    alarm = host.alarm()
    with host.asking(name):
        host.update(name, config, blue_green("CANARY", wait=3600, CanarySize=percent(25)), alarm)
        canary = host.pending(name, "Baking", 0.25)
        seen = Counter(host.ask(name)["model"] for _ in range(120))
        with concurrent.futures.ThreadPoolExecutor(40) as pool:  # so many at once that every instance gets some
            pids = {answer["pid"] for answer in pool.map(lambda _: host.ask(name, "slow"), range(40))}
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            host.sagemaker.delete_endpoint(EndpointName=name)
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            host.update(name, config, {})
        host.ring(alarm)
        host.settled(name)
    assert 10 < seen["new"] < 55
    assert len(pids) == 5  # four of the old fleet and the canary
    assert (canary["CurrentInstanceCount"], canary["DesiredInstanceCount"], canary["DesiredWeight"]) == (4, 4, 1.0)


def test_a_canary_ends_with_all_traffic_on_the_new_fleet_and_no_request_fails(host: Fleets):
    name, _, config = host.pair()
    with host.asking(name) as seen:
        host.update(name, config, blue_green("CANARY", termination=10, wait=10, CanarySize=count(1)), host.alarm())
        host.pending(name, "Baking", 1.0)
        assert host.ask(name)["model"] == "new"
        found = host.settled(name)
    assert (found["EndpointStatus"], found["EndpointConfigName"], seen) == ("InService", config, {"old", "new"})
    routing = found["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["CanarySize"] == count(1)
    assert "PendingDeploymentSummary" not in found


def test_linear_traffic_grows_step_by_step_and_no_request_fails(host: Fleets):
    name, _, config = host.pair(instances=3)
    with host.asking(name) as seen:
        host.update(name, config, blue_green("LINEAR", wait=10, termination=10, LinearStepSize=count(1)))
        for share in (1 / 3, 2 / 3, 1.0):
            host.pending(name, "Baking", share)
        assert host.settled(name)["EndpointConfigName"] == config
    assert seen == {"old", "new"}


@pytest.mark.parametrize("moment", [0.5, 1.0])
def test_an_alarm_at_any_moment_brings_all_traffic_back_and_no_request_fails(host: Fleets, moment: float):
    name, old, new = host.pair()
    read = host.watch(["SageMaker Endpoint State Change"])
    alarm, policy = host.alarm(), blue_green("CANARY", termination=3600, wait=20, CanarySize=percent(50))
    with host.asking(name) as seen, host.asking(name, 6, "slow"):  # so that there is always something in flight
        host.update(name, new, policy, host.alarm(), alarm)
        host.pending(name, "Baking", moment)
        until(lambda: host.ask(name)["model"] == "new")
        with pytest.raises(ClientError, match="Variant nobody of endpoint"):
            host.ask(name, TargetVariant="nobody")
        host.ring(alarm)
        until(lambda: "FailureReason" in host.sagemaker.describe_endpoint(EndpointName=name))
        found = host.settled(name)
        assert {host.ask(name)["model"] for _ in range(20)} == {"old"}

    def statuses() -> set[str]:
        return {e["detail"]["EndpointStatus"] for e in read() if e["detail"]["EndpointName"] == name}

    until(lambda: statuses() >= {"UPDATING", "ROLLING_BACK", "IN_SERVICE"})
    assert (found["EndpointStatus"], found["EndpointConfigName"], seen) == ("InService", old, {"old", "new"})
    reason = "One or more CloudWatch alarms configured for deployment guardrails are in ALARM state"
    assert found["FailureReason"] == f"{reason}: {alarm}"


def test_an_alarm_on_the_new_fleets_own_metrics_rolls_back_a_slow_model(host: Fleets):
    name, old, slow = host.pair(new="sluggish")
    dimensions = {"EndpointName": name, "VariantName": "main", "EndpointConfigName": slow}
    rows = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Dimensions": rows}
    # the fastest answer of both fleets would be a fast one, the new fleet's own are all slow
    alarm = host.alarm(**metric, Statistic="Minimum", Threshold=190_000.0)
    with host.asking(name) as seen:
        host.update(name, slow, blue_green("CANARY", wait=3600, CanarySize=percent(50)), alarm)
        until(lambda: "FailureReason" in host.sagemaker.describe_endpoint(EndpointName=name))
        found = host.settled(name)
    assert (found["EndpointConfigName"], seen) == (old, {"old", "sluggish"})
    assert alarm in found["FailureReason"]


def test_an_update_under_an_alarm_that_rings_already_never_gets_traffic(host: Fleets):
    name, old, new = host.pair()
    alarm = host.alarm()
    host.ring(alarm)
    with host.asking(name) as seen:
        host.update(name, new, blue_green("ALL_AT_ONCE"), alarm)
        found = host.settled(name)
    assert (found["EndpointConfigName"], seen) == (old, {"old"})
    assert alarm in found["FailureReason"]


def test_an_alarm_that_does_not_exist_and_a_canary_too_large_are_refused(host: Fleets):
    name, old, new = host.pair()
    with pytest.raises(ClientError, match="do not exist: nobody"):
        host.update(name, new, {}, "nobody")
    with pytest.raises(ClientError, match="CanarySize must be at most 50%"):
        host.update(name, new, blue_green("CANARY", CanarySize=count(2)))
    found = host.sagemaker.describe_endpoint(EndpointName=name)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", old)


def test_a_canary_of_other_variants_goes_all_at_once_and_says_so_afterwards(host: Fleets):
    name, _, _ = host.pair(instances=1)
    config = host.config("new", name="other")
    host.update(name, config, blue_green("CANARY", wait=3600, CanarySize=percent(50)), host.alarm())
    found = host.settled(name)
    assert (found["EndpointConfigName"], found["LastDeploymentConfig"]) == (config, PLAIN)


def test_a_rolling_update_replaces_instances_batch_by_batch_and_no_request_fails(host: Fleets):
    name, _, config = host.pair(instances=3)
    with host.asking(name) as seen, host.asking(name, 6, "slow"):
        host.update(name, config, rolling(count(1), WaitIntervalInSeconds=10))
        pending = host.pending(name, "Baking", 2 / 3)
        (serving,) = host.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
        found = host.settled(name)
    assert (pending["CurrentInstanceCount"], pending["DesiredInstanceCount"]) == (2, 3)
    assert serving["CurrentInstanceCount"] == 2
    assert (found["EndpointConfigName"], seen) == (config, {"old", "new"})
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 3


def test_a_rolled_back_rolling_update_has_all_its_old_instances_again_and_no_request_fails(host: Fleets):
    name, old, new = host.pair(instances=3)
    alarm = host.alarm()
    with host.asking(name):
        host.update(name, new, rolling(count(1), WaitIntervalInSeconds=20, RollbackMaximumBatchSize=count(1)), alarm)
        host.pending(name, "Baking", 2 / 3)
        host.ring(alarm)
        until(lambda: "FailureReason" in host.sagemaker.describe_endpoint(EndpointName=name))
        found = host.settled(name)
        assert {host.ask(name)["model"] for _ in range(20)} == {"old"}
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", old)
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 3


def test_a_rollback_that_fails_leaves_both_serving_until_an_update_ends_it(host: Fleets):
    name, old, new = host.pair(instances=3)
    alarm = host.alarm()
    with host.asking(name):
        host.update(name, new, rolling(count(1), WaitIntervalInSeconds=20), alarm)
        host.pending(name, "Baking", 2 / 3)
        host.s3.delete_object(Bucket=host.bucket, Key=f"archives/{old}/model.tar.gz")
        host.ring(alarm)
        found = host.settled(name)
        assert found["EndpointStatus"] == "UpdateRollbackFailed"
        assert alarm in found["FailureReason"]
        assert "The rollback failed: Failed to download model data" in found["FailureReason"]
        until(lambda: {host.ask(name)["model"] for _ in range(20)} == {"old", "new"})
        for config in (old, new):
            with pytest.raises(ClientError, match="in use by endpoint"):
                host.sagemaker.delete_endpoint_config(EndpointConfigName=config)
        host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)
        found = host.settled(name)
        assert {host.ask(name)["model"] for _ in range(20)} == {"new"}
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", new)


def test_instances_and_weights_are_retained_where_asked_and_so_is_the_way_to_deploy(host: Fleets):
    name, _, new = host.pair()
    wanted = {"VariantName": "main", "DesiredInstanceCount": 1, "DesiredWeight": 3.0}
    host.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=[wanted])
    host.settled(name)
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    retained = {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": excluded}
    host.update(name, new, blue_green("ALL_AT_ONCE", termination=1), **retained)
    (variant,) = host.settled(name)["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (1, 1.0)
    host.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new, RetainDeploymentConfig=True)
    found = host.settled(name)
    assert found["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 1
