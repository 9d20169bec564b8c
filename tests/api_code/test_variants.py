"""Which variant a user has: stable, by the weights, and moved no more than the weights move."""

from collections import Counter

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from api_code.variants import SECONDS, Weights, choose

USERS = [f"u_{number}" for number in range(20_000)]
WEIGHTS = st.dictionaries(st.text(min_size=1, max_size=5), st.floats(0, 100), max_size=5)


def test_users_are_shared_out_by_the_weights():
    found = Counter(choose(user, {"a": 3.0, "b": 1.0}) for user in USERS)
    assert found["a"] / len(USERS) == pytest.approx(0.75, abs=0.01)
    assert found["b"] / len(USERS) == pytest.approx(0.25, abs=0.01)


def test_only_those_users_move_whom_the_new_weights_move():
    before, after = ({user: choose(user, {"a": a, "b": 10 - a}) for user in USERS} for a in (9, 8))
    moved = [user for user in USERS if before[user] != after[user]]
    assert {(before[user], after[user]) for user in moved} == {("a", "b")}
    assert len(moved) / len(USERS) == pytest.approx(0.1, abs=0.01)


def test_the_scale_of_the_weights_does_not_matter():
    small, large = ({user: choose(user, {"a": 1 * scale, "b": 2 * scale}) for user in USERS[:500]} for scale in (1, 64))
    assert small == large


def test_a_user_keeps_the_variant_for_ever():
    """Fixed here, because other processes and later versions must agree."""
    found = [choose(user, {"a": 1.0, "b": 1.0}) for user in ("u_1", "u_2", "u_3", "é", "17")]
    assert found == ["a", "a", "b", "b", "b"]


@pytest.mark.parametrize("weights", [{}, {"main": 1.0}, {"main": 1.0, "next": 0.0}, {"a": 0.0, "b": 0.0}])
def test_where_there_is_nothing_to_choose_the_endpoint_decides(weights):
    assert choose("u_1", weights) is None


@settings(deadline=None)
@given(st.text(), WEIGHTS)
def test_a_variant_without_weight_is_never_chosen(user, weights):
    found = choose(user, weights)
    assert found is None or weights[found] > 0


class Endpoint:
    """Counts how often it is asked."""

    asked = 0

    def describe_endpoint(self, EndpointName):  # noqa: N803 - boto3's name
        self.asked += 1
        return {"ProductionVariants": [{"VariantName": EndpointName, "CurrentWeight": float(self.asked)}]}


def test_the_weights_are_asked_for_once_a_minute_and_for_each_endpoint():
    endpoint, times = Endpoint(), iter([0.0, 0.0, SECONDS, 1.0, 1.0, SECONDS + 1, SECONDS + 1])
    weights = Weights(lambda: next(times))
    assert weights.of(endpoint, "a") == weights.of(endpoint, "a") == {"a": 1.0}
    assert weights.of(endpoint, "b") == {"b": 2.0}
    assert weights.of(endpoint, "a") == {"a": 3.0}


def test_f12_while_the_endpoint_cannot_be_described_the_last_weights_count():
    class Throttled:
        def describe_endpoint(self, EndpointName):  # noqa: N803 - boto3's name
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, "DescribeEndpoint")

    times = iter([0.0, 0.0, SECONDS + 1, SECONDS + 1, SECONDS + 1])
    weights = Weights(lambda: next(times))
    assert weights.of(Endpoint(), "a") == weights.of(Throttled(), "a") == {"a": 1.0}
    with pytest.raises(ClientError, match="ThrottlingException"):
        weights.of(Throttled(), "b")


def test_weights_that_were_forgotten_are_asked_for_again():
    endpoint, weights = Endpoint(), Weights(lambda: 0.0)
    weights.of(endpoint, "a")
    weights.forget("a")
    assert weights.of(endpoint, "a") == {"a": 2.0}
