import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.delivery.decide import MOVING, STATES, Desired, Kind, Observed, decide

ASKED = Desired(config="config-new", digest="d1")


def seen(status: str, config: str = "config-old", **more: str) -> Observed:
    return Observed(status=status, config=config, modified="t1", **more)


def test_there_are_nine_endpoint_states():
    names = "Creating Updating SystemUpdating RollingBack InService Failed OutOfService Deleting UpdateRollbackFailed"
    assert set(names.split()) == STATES


def test_a_null_release_asks_for_nothing_and_deletes_nothing():
    for observed in (None, *(seen(status) for status in STATES)):
        assert decide(Desired(config=None, digest=""), observed).kind is Kind.NOTHING


def test_what_is_not_there_is_created():
    assert decide(ASKED, None).kind is Kind.CREATE


@pytest.mark.parametrize("status", sorted(MOVING))
def test_f44_what_moves_is_waited_for(status):
    assert decide(ASKED, seen(status)).kind is Kind.WAIT


def test_f07_the_asked_config_in_service_is_asked_to_prove_itself_and_not_deployed_again():
    assert decide(ASKED, seen("InService", "config-new")).kind is Kind.VERIFY


def test_another_config_in_service_is_updated():
    assert decide(ASKED, seen("InService")).kind is Kind.UPDATE


def test_f41_a_spec_that_was_rolled_back_is_not_tried_again():
    rolled_back = seen("InService", attempt_digest="d1", attempt_modified="t0")
    action = decide(ASKED, rolled_back)
    assert action.kind is Kind.CLOSED
    assert "rolled back" in action.reason
    assert decide(Desired("config-new", "d2"), rolled_back).kind is Kind.UPDATE


def test_f11_an_attempt_that_was_noted_but_never_called_is_made():
    crashed = seen("InService", attempt_digest="d1", attempt_modified="t1")
    assert decide(ASKED, crashed).kind is Kind.UPDATE


def test_what_serves_instead_of_what_was_verified_is_drift_unless_an_attempt_put_it_there():
    assert decide(ASKED, seen("InService", verified="config-new")).kind is Kind.DRIFT
    assert decide(ASKED, seen("InService", verified="config-other")).kind is Kind.UPDATE
    tried = seen("InService", verified="config-new", attempt_digest="d0", attempt_modified="t0")
    assert decide(ASKED, tried).kind is Kind.UPDATE


@pytest.mark.parametrize("status", ["Failed", "OutOfService"])
def test_f45_what_serves_nothing_is_recreated_only_where_that_is_allowed(status):
    assert decide(ASKED, seen(status)).kind is Kind.REFUSE
    allowed = Desired("config-new", "d1", allow_recreate=True)
    assert decide(allowed, seen(status)).kind is Kind.RECREATE


def test_f45_a_spec_that_ended_failed_is_not_recreated_in_a_loop():
    allowed = Desired("config-new", "d1", allow_recreate=True)
    failed = seen("Failed", attempt_digest="d1", attempt_modified="never", failure="no ping")
    action = decide(allowed, failed)
    assert action.kind is Kind.REFUSE
    assert "no ping" in action.reason


def test_f43_a_failed_rollback_is_left_to_a_person():
    assert decide(ASKED, seen("UpdateRollbackFailed")).kind is Kind.REFUSE


words = st.sampled_from(["", "a", "b", "t1", "never"])
observations = st.builds(
    Observed,
    status=st.sampled_from(sorted(STATES)) | st.text(max_size=5),
    config=words,
    modified=words,
    attempt_digest=words,
    attempt_modified=words,
    failure=words,
    verified=words,
)


@given(st.builds(Desired, config=st.none() | words, digest=words, allow_recreate=st.booleans()), observations)
def test_every_pair_has_an_action_with_a_reason(desired, observed):
    action = decide(desired, observed)
    assert action.kind in Kind
    assert action.reason
    if action.kind in {Kind.CREATE, Kind.UPDATE, Kind.RECREATE}:
        assert desired.config is not None
    if action.kind is Kind.RECREATE:
        assert observed.status in {"Failed", "OutOfService"}
    if action.kind is Kind.VERIFY:
        assert (observed.status, observed.config) == ("InService", desired.config)
