"""Canaries on localcloud, whose endpoints shift traffic as SageMaker does, twenty times as fast."""

import json
import threading
import time

import pytest
from botocore.exceptions import ClientError

from tests.gitops.serving import Registry
from tests.gitops.team import FILE, at_work, connect

CANARY = "strategy: canary, canary_percent: 50, wait_seconds: 20, bake_seconds: 20, alarms: [{alarm}]"


@pytest.fixture
def team(tmp_path, localcloud):
    clients = connect(localcloud)
    with at_work(tmp_path / "origin", clients) as found:
        found.registry = Registry(clients.s3, clients.sagemaker)
        found.alarm = f"{found.name}-5xx"
        localcloud.client("cloudwatch").put_metric_alarm(
            AlarmName=found.alarm,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Dimensions=[
                {"Name": "EndpointName", "Value": f"{found.name}-ncf-staging"},
                {"Name": "VariantName", "Value": "main"},
            ],
            Statistic="Sum",
            Period=3600,  # as long as the state is that a test has set
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
        )
        yield found


def served(team, behaviour: str = "good"):
    """A release in service on two instances, and another one asked for as a canary."""
    good, other = team.registry.release(), team.registry.release(behaviour)
    more = {
        "serving": "{instance_type: ml.c6i.large, instances: 2}",
        "rollout": f"{{{CANARY.format(alarm=team.alarm)}}}",
    }
    team.write(good, **more)
    assert team.reconcile() == []
    team.write(other)
    return good, other


def test_a_canary_ends_with_all_traffic_on_the_new_release_and_loses_no_request(team):
    good, other = served(team)
    over, failed, versions = threading.Event(), [], set()

    def hammer() -> None:
        while not over.is_set():
            try:
                versions.add(team.serving(good)["version"])
            except ClientError as error:
                failed.append(str(error))

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        assert team.reconcile() == []
    finally:
        over.set()
        thread.join()
    assert (failed, versions) == ([], {str(good.version), str(other.version)})
    assert team.serving(other)["version"] == str(other.version)


def baking(endpoint: dict) -> bool:
    variants = endpoint.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    return any(status["Status"] == "Baking" for variant in variants for status in variant["VariantStatus"])


def test_f42_an_alarm_while_a_canary_bakes_rolls_back_and_asks_git_to_revert(team, localcloud):
    good, _ = served(team)

    def alarm() -> None:
        while not baking(team.endpoint()):
            time.sleep(0.05)
        localcloud.client("cloudwatch").set_alarm_state(
            AlarmName=team.alarm,
            StateValue="ALARM",
            StateReason="errors",
            StateReasonData=json.dumps({"version": "1.0"}),
        )

    thread = threading.Thread(target=alarm)
    thread.start()
    (failure,) = team.reconcile()
    thread.join()
    assert "rolled back" in failure
    assert team.serving(good)["version"] == str(good.version)
    (request,) = team.host.every
    assert team.host.changed_by(request) == [FILE["staging"]]
    assert team.alarm in team.host.bodies[request.number]
