"""Rollouts: what a deploy file may ask, and the request that SageMaker gets."""

from pathlib import Path

import pytest
from botocore.session import get_session
from botocore.validate import validate_parameters
from hypothesis import example, given
from hypothesis import strategies as st

from gitops import deployment, specs
from gitops.rollout import Rollout, deployment_config
from pipelines.errors import ProjectError
from tests.gitops.test_deployment import RELEASE
from tests.gitops.test_specs import FACTS, OTHER, PLACE

SHAPE = get_session().get_service_model("sagemaker").shape_for("DeploymentConfig")
WHERE = Path("deploy/production/ncf.yml")
WATCHED = "alarms: [ncf-5xx, ncf-latency]"
CANARY = f"{{strategy: canary, canary_percent: 10, wait_seconds: 300, bake_seconds: 600, {WATCHED}}}"
LINEAR = f"{{strategy: linear, step_percent: 25, wait_seconds: 60, {WATCHED}, maximum_seconds: 1800}}"
ROLLING = f"{{strategy: rolling, batch_percent: 50, wait_seconds: 120, {WATCHED}}}"
BAKED = f"{{bake_seconds: 300, {WATCHED}}}"
ALARMS = {"Alarms": [{"AlarmName": "ncf-5xx"}, {"AlarmName": "ncf-latency"}]}


def load(rollout: str, more: str = "", serving: str = "instance_type: ml.c6i.large, instances: 2"):
    text = f"model: ncf\nrelease: {RELEASE.model_dump_json()}\nserving: {{{serving}}}\nrollout: {rollout}\n{more}"
    return deployment.load(WHERE, text)


def request(rollout: str) -> dict:
    return specs.spec(load(rollout), PLACE, FACTS).deployment


def test_a_canary_is_sent_as_sagemaker_spells_it():
    assert request(CANARY) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 300,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
            },
            "TerminationWaitInSeconds": 600,
        },
        "AutoRollbackConfiguration": ALARMS,
    }


def test_a_linear_rollout_is_sent_as_sagemaker_spells_it():
    assert request(LINEAR) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "LINEAR",
                "WaitIntervalInSeconds": 60,
                "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25},
            },
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": 1800,
        },
        "AutoRollbackConfiguration": ALARMS,
    }


def test_a_rolling_update_is_sent_as_sagemaker_spells_it():
    assert request(ROLLING) == {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
            "WaitIntervalInSeconds": 120,
        },
        "AutoRollbackConfiguration": ALARMS,
    }


def test_all_at_once_asks_for_guardrails_only_where_something_watches():
    assert request("{}") == {}
    assert request(BAKED)["BlueGreenUpdatePolicy"] == {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 300,
    }


WRONG = {
    "{strategy: canary, canary_percent: 10, wait_seconds: 60}": "canary without alarms: nothing would stop it",
    "{strategy: linear, step_percent: 10, wait_seconds: 60}": "linear without alarms",
    "{strategy: rolling, batch_percent: 10, wait_seconds: 60}": "rolling without alarms",
    f"{{strategy: canary, wait_seconds: 60, {WATCHED}}}": "without canary_percent",
    f"{{strategy: canary, canary_percent: 10, {WATCHED}}}": "without wait_seconds",
    f"{{strategy: canary, canary_percent: 51, wait_seconds: 60, {WATCHED}}}": "canary_percent: 51 is wrong",
    f"{{strategy: linear, step_percent: 9, wait_seconds: 60, {WATCHED}}}": "step_percent: 9 is wrong",
    f"{{strategy: rolling, batch_percent: 4, wait_seconds: 60, {WATCHED}}}": "batch_percent: 4 is wrong",
    f"{{strategy: linear, step_percent: 10, canary_percent: 10, wait_seconds: 60, {WATCHED}}}": "belongs to strategy c",
    f"{{strategy: rolling, batch_percent: 10, wait_seconds: 60, bake_seconds: 60, {WATCHED}}}": "no old fleet",
    f"{{strategy: linear, step_percent: 10, wait_seconds: 60, maximum_seconds: 600, {WATCHED}}}": "waits alone",
    "{wait_seconds: 60}": "belongs to canary, linear and rolling",
    "{bake_seconds: 3601}": "bake_seconds: 3601 is wrong",
    "{maximum_seconds: 600}": "belongs to a rollout that is watched",
    "{alarms: [a]}": "alarms without bake_seconds",
    "{bake_seconds: 60, alarms: [a, a]}": "names one twice",
    "{bake_seconds: 60, alarms: [a, b, c, d, e, f, g, h, i, j, k]}": "give at most 10",
    "{strategy: blue_green}": "strategy: .blue_green. is wrong",
}


@pytest.mark.parametrize("rollout", WRONG)
def test_what_is_wrong_with_a_rollout_is_named(rollout):
    with pytest.raises(ProjectError, match=f"^deploy/production/ncf.yml: rollout.*{WRONG[rollout]}"):
        load(rollout)


@pytest.mark.parametrize("role", ["challenger", "shadow"])
@pytest.mark.parametrize("rollout", [CANARY, LINEAR, ROLLING, BAKED])
def test_a_watched_rollout_beside_a_second_variant_is_refused(role, rollout):
    second = f"{role}: {{release: {OTHER.model_dump_json()}, share: 0.5}}\n"
    with pytest.raises(ProjectError, match="everything at once and unwatched"):
        load(rollout, second)
    assert load("{}", second).rollout == Rollout()


def test_steps_of_a_single_instance_are_refused():
    with pytest.raises(ProjectError, match="the first step is everything"):
        load(CANARY, serving="instance_type: ml.c6i.large")
    with pytest.raises(ProjectError, match="the first step is everything"):
        load(CANARY, "autoscaling: {min: 1, max: 4, invocations_per_instance: 9}\n")
    assert load(BAKED, serving="instance_type: ml.c6i.large").rollout.guarded


def test_an_instance_type_without_guardrails_is_refused():
    with pytest.raises(ProjectError, match="no guardrails for ml"):
        load(CANARY, serving="instance_type: ml.inf1.xlarge, instances: 2")


def test_a_challenger_that_leaves_needs_no_guardrails_and_with_a_new_release_is_refused():
    alone = specs.spec(load(CANARY), PLACE, FACTS)
    live = specs.spec(load("{}", f"challenger: {{release: {OTHER.model_dump_json()}, share: 0.5}}\n"), PLACE, FACTS)
    assert specs.guards(alone, alone.config) == alone.deployment
    assert specs.guards(alone, live.config) == {}
    other = {"ProductionVariants": [{"VariantName": "main", "ModelName": "x"}, {"VariantName": "b", "ModelName": "y"}]}
    with pytest.raises(ProjectError, match="from main, b to main together with the release"):
        specs.guards(alone, other)


def test_another_rollout_is_another_attempt_at_the_same_config():
    plain, canary = (specs.spec(load(rollout), PLACE, FACTS) for rollout in ("{}", CANARY))
    assert plain.config == canary.config
    assert plain.digest != canary.digest


numbers = st.none() | st.integers(0, 60)
rollouts = st.fixed_dictionaries(
    {"strategy": st.sampled_from(["all_at_once", "canary", "linear", "rolling"])},
    optional={
        "canary_percent": numbers,
        "step_percent": numbers,
        "batch_percent": numbers,
        "wait_seconds": st.sampled_from([0, 1, 300, 3600]),
        "bake_seconds": st.sampled_from([0, 1, 300, 3600]),
        "alarms": st.lists(st.sampled_from(["a", "b c", "d"]), max_size=3),
        "maximum_seconds": st.sampled_from([None, 600, 7300, 28800]),
    },
)


@given(rollouts)
@example({"strategy": "canary", "canary_percent": 10, "wait_seconds": 300})
@example({"strategy": "linear", "step_percent": 10, "wait_seconds": 300})
@example({"strategy": "rolling", "batch_percent": 10, "wait_seconds": 300})
def test_f42_whatever_is_accepted_is_a_request_that_sagemaker_takes_and_no_step_goes_unwatched(asked):
    try:
        rollout = Rollout.model_validate(asked)
    except ValueError:
        return
    found = deployment_config(rollout)
    validate_parameters(found, SHAPE)
    assert len(found.keys() & {"BlueGreenUpdatePolicy", "RollingUpdatePolicy"}) == (1 if rollout.guarded else 0)
    if rollout.strategy != "all_at_once":
        assert found["AutoRollbackConfiguration"]["Alarms"]
