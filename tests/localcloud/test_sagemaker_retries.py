"""Retry policies of pipeline steps: which failures, how often, how long."""

from datetime import timedelta

import pytest

from localcloud.sagemaker.retries import SCALE, check, delay, of_reason

INTERNAL = "SageMaker.JOB_INTERNAL_ERROR"
MOMENT = timedelta(seconds=1)


def pauses(policy: dict) -> list[float]:
    """The pauses before each retry of a step that fails for ever, in SageMaker's own seconds; 30 at most."""
    found = []
    for attempt in range(1, 31):
        seconds = delay([{"ExceptionType": [INTERNAL], **policy}], INTERNAL, attempt, MOMENT)
        if seconds is None:
            break
        found.append(seconds * SCALE)
    return found


def test_five_retries_each_twice_as_long_are_the_default():
    assert pauses({}) == pytest.approx([1, 2, 4, 8, 16])


def test_attempts_interval_and_rate_are_the_policys():
    assert pauses({"MaxAttempts": 3, "IntervalSeconds": 10, "BackoffRate": 1.5}) == pytest.approx([10, 15, 22.5])
    assert pauses({"MaxAttempts": 0}) == []


def test_a_policy_that_expires_counts_minutes_and_not_attempts():
    policy = {"ExceptionType": [INTERNAL], "ExpireAfterMin": 5}
    within, over = timedelta(minutes=4) / SCALE, timedelta(minutes=6) / SCALE
    assert delay([policy], INTERNAL, 9, within) is not None
    assert delay([policy], INTERNAL, 1, over) is None
    assert pauses({"ExpireAfterMin": 0}) == []


def test_a_failure_that_no_policy_names_is_not_retried():
    policies = [{"ExceptionType": ["Step.THROTTLING"]}]
    assert delay(policies, INTERNAL, 1, MOMENT) is None
    assert delay(policies, of_reason("AlgorithmError: ValueError, exit code: 1"), 1, MOMENT) is None
    assert of_reason("InternalServerError: We encountered an internal error. Please try again.") == INTERNAL


@pytest.mark.parametrize(
    "policy",
    [
        {"ExceptionType": ["SageMaker.ANYTHING"]},
        {"ExceptionType": []},
        {"ExceptionType": [INTERNAL], "MaxAttempts": 2, "ExpireAfterMin": 2},
    ],
)
def test_a_policy_that_sagemaker_refuses_is_refused(policy: dict):
    with pytest.raises(ValueError, match="retry policy"):
        check([policy])
