"""Which steps an update takes by its DeploymentConfig, and what SageMaker refuses in one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker import guardrails
from localcloud.sagemaker.guard import Guard, GuardError
from localcloud.sagemaker.guardrails import PLAIN, Step


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def count(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def blue_green(kind: str, termination: int = 0, wait: int = 60, **size: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **size}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": termination}}


def rolling(batch: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 60, **more}}


def test_without_a_deployment_config_everything_goes_at_once():
    assert guardrails.steps({}, 2, 3) == [Step(3, 1.0, 0, 2)]


def test_a_canary_is_two_steps_and_the_old_fleet_stands_by_for_the_termination_wait():
    config = blue_green("CANARY", termination=300, CanarySize=percent(25))
    assert guardrails.steps(config, 2, 4) == [Step(1, 0.25, 60, 2), Step(4, 1.0, 300, 2)]


def test_a_canary_of_one_instance_is_everything():
    assert guardrails.steps(blue_green("CANARY", CanarySize=percent(10)), 1, 1) == [Step(1, 1.0, 0, 1)]


def test_linear_steps_are_whole_instances_rounded_up_and_the_last_one_is_what_is_left():
    steps = guardrails.steps(blue_green("LINEAR", LinearStepSize=percent(33)), 5, 5)
    assert [step.share for step in steps] == [0.4, 0.8, 1.0]


def test_a_rolling_update_ends_as_many_old_instances_as_have_been_replaced():
    steps = guardrails.steps(rolling(count(2)), 3, 5)
    assert [(step.new, step.old) for step in steps] == [(2, 2), (4, 1), (5, 0)]


def test_a_rolled_back_batch_goes_at_once_unless_a_batch_size_is_given():
    assert guardrails.rollback(rolling(count(1)), 4, 4, 3, left=2) == [Step(0, 0.0, 0, 4)]
    steps = guardrails.rollback(rolling(count(1), RollbackMaximumBatchSize=count(2)), 4, 4, 3, left=2)
    assert steps == [Step(1, 0.25, 0, 3), Step(0, 0.0, 0, 4)]


def test_no_way_back_ends_an_instance_of_what_served_before():
    steps = guardrails.rollback(rolling(count(2), RollbackMaximumBatchSize=count(1)), 4, 4, 2, left=4)
    assert steps == [Step(1, 0.25, 0, 4), Step(0, 0.0, 0, 4)]


SIZES = st.builds(percent, st.integers(5, 50)) | st.builds(count, st.integers(1, 20))
CONFIGS = st.one_of(
    st.builds(lambda size: blue_green("CANARY", CanarySize=size), SIZES),
    st.builds(lambda size: blue_green("LINEAR", LinearStepSize=size), SIZES),
    st.builds(rolling, SIZES),
)


@given(CONFIGS, st.integers(1, 40), st.integers(1, 40))
def test_shares_only_grow_to_all_and_what_remains_of_the_old_fleet_can_carry_the_rest(config, old, new):
    steps = guardrails.steps(config, old, new)
    shares = [step.share for step in steps]
    assert shares == sorted(set(shares))
    assert shares[-1] == 1.0
    for step in steps:
        assert step.share == step.new / new
        assert step.old * new >= old * (new - step.new)
    back = guardrails.rollback(config, old, new, steps[0].new, old)
    assert back[-1] == Step(0, 0.0, 0, old)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (blue_green("CANARY", CanarySize=percent(51)), "CanarySize must be at most 50%"),
        (blue_green("CANARY", CanarySize=count(3)), "CanarySize must be at most 50%"),
        (blue_green("LINEAR", LinearStepSize=percent(9)), "LinearStepSize must be between 10% and 50%"),
        (rolling(percent(4)), "MaximumBatchSize must be between 5% and 50%"),
        (blue_green("CANARY"), "CanarySize is required"),
        (blue_green("ALL_AT_ONCE", CanarySize=percent(5)), "CanarySize is not allowed"),
        ({**rolling(percent(50)), **PLAIN}, "Only one of"),
        (rolling(percent(25), MaximumExecutionTimeoutInSeconds=240), "total waiting time, 240 seconds"),
    ],
)
def test_what_sagemaker_does_not_take_is_refused_with_its_limit(config, why):
    assert why in guardrails.problem(config, 4)


def test_what_is_inside_the_limits_is_taken():
    assert guardrails.problem(blue_green("CANARY", CanarySize=percent(50)), 1) is None
    assert guardrails.problem(rolling(count(2), MaximumExecutionTimeoutInSeconds=600), 4) is None
    assert guardrails.problem({}, 1) is None


def config(*names: str, kind: str = "ml.c6i.large", **more: Any) -> dict[str, Any]:
    return {"ProductionVariants": [{"VariantName": name, "InstanceType": kind} for name in names], **more}


@pytest.mark.parametrize(
    ("policy", "old", "new"),
    [
        (blue_green("CANARY", CanarySize=percent(10)), config("main"), config("other")),
        (blue_green("CANARY", CanarySize=percent(10)), config("main"), config("main", kind="ml.inf1.xlarge")),
        (blue_green("CANARY", CanarySize=percent(10)), config("main", ShadowProductionVariants=[{}]), config("main")),
        (rolling(percent(10)), config("main", "second"), config("main", "second")),
    ],
)
def test_what_cannot_be_guarded_goes_all_at_once(policy, old, new):
    assert guardrails.effective(policy, old, new) == PLAIN


def test_a_blue_green_update_of_several_variants_is_guarded():
    policy, variants = blue_green("CANARY", CanarySize=percent(10)), config("main", "second")
    assert guardrails.effective(policy, variants, variants) == policy


def test_an_update_that_takes_longer_than_it_may_is_rolled_back():
    with Guard(None, [], maximum=1) as guard:
        guard.wait(0)
        with pytest.raises(GuardError, match="MaximumExecutionTimeoutInSeconds"):
            guard.wait(600)


class Blind:
    """A cloud whose alarms nobody can read."""

    def client(self, service: str) -> Any:
        raise ConnectionError(f"no {service} today")

    def spawn(self, function: Any, name: str) -> None:
        """Nothing: the alarms are looked at once."""


def test_alarms_that_cannot_be_read_roll_an_update_back():
    with Guard(Blind(), ["p99"], maximum=None) as guard, pytest.raises(GuardError, match="cannot be read: no cloudw"):
        guard.check()
