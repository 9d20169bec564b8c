import math

import pytest
from gate import Evidence, Slice, decide
from hypothesis import given
from hypothesis import strategies as st
from intervals import Interval
from problems import ProcessingError

GATE = {
    "absolute": {"ndcg@10": {"min": 0.02}},
    "relative": {"metric": "ndcg@10", "interval": 0.95, "max_drop": 0.001},
    "sanity": {"beat_popularity": True, "min_users": 200},
}


def evidence(value: object = 0.05, users: int = 500, popular: float = 0.03, **more) -> Evidence:
    return Evidence({"ndcg@10": value}, {"ndcg@10": popular}, users, **more)


def difference(value: float, low: float, high: float) -> dict[str, Interval]:
    return {"ndcg@10": Interval(value, low, high, 0.01)}


def test_a_good_model_passes_with_what_it_was_measured_at():
    decision = decide(GATE, evidence(difference=difference(0.002, -0.001, 0.005)))
    assert (decision.verdict, decision.register) == ("pass", True)
    assert "ndcg@10 against the champion: +0.0020 [-0.0010, +0.0050]" in decision.reasons


def test_f32_without_a_champion_absolute_rules_and_popularity_decide():
    assert decide(GATE, evidence()).verdict == "pass"
    assert decide(GATE, evidence(popular=0.05)).verdict == "fail"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (evidence(0.01, popular=0.001), "ndcg@10 is 0.0100; at least 0.02 is asked"),
        (evidence(0.03, popular=0.04), "ndcg@10 is 0.0300, popularity's 0.0400; a model must beat popularity"),
        (
            evidence(difference=difference(-0.01, -0.02, -0.0011)),
            "ndcg@10 against the champion: -0.0100 [-0.0200, -0.0011]; a drop of 0.001 is allowed",
        ),
    ],
)
def test_f30_a_model_below_a_threshold_or_worse_than_the_champion_fails(found: Evidence, reason: str):
    decision = decide(GATE, found)
    assert (decision.verdict, decision.register, decision.reasons) == ("fail", False, (reason,))


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "0.05", True])
def test_f31_a_metric_that_is_no_number_is_inconclusive(value: object):
    decision = decide(GATE, evidence(value))
    assert (decision.verdict, decision.register) == ("inconclusive", True)


def test_f31_a_missing_metric_and_too_few_users_are_inconclusive():
    assert decide(GATE, Evidence({}, {}, 500)).verdict == "inconclusive"
    for rules in ({"absolute": GATE["absolute"]}, {"sanity": {"beat_popularity": True}}):
        assert decide(rules, Evidence({}, {"ndcg@10": 0.1}, 500)).verdict == "inconclusive"
    assert decide(GATE, evidence(users=199)).reasons == ("199 holdout users; at least 200 are asked",)


@pytest.mark.parametrize("broken", [{}, difference(math.nan, 0, 0), difference(0.01, math.nan, 0.02)])
def test_f31_a_comparison_that_is_no_number_is_inconclusive(broken: dict[str, Interval]):
    assert decide(GATE, evidence(difference=broken)).verdict == "inconclusive"


def test_a_drop_that_is_likely_but_not_certain_is_inconclusive():
    assert decide(GATE, evidence(difference=difference(-0.004, -0.009, 0.001))).verdict == "inconclusive"


def test_a_doubt_rules_out_a_pass_but_does_not_excuse_a_failure():
    assert decide(GATE, evidence(doubts=("the champion cannot be read",))).verdict == "inconclusive"
    assert decide(GATE, evidence(0.01, doubts=("the champion cannot be read",))).verdict == "fail"


def test_a_gate_without_rules_passes_nothing():
    assert decide({}, evidence()).verdict == "inconclusive"


def test_a_misspelt_gate_decides_nothing():
    with pytest.raises(ProcessingError, match="right are absolute, relative"):
        decide({"absolut": {}}, evidence())


BASELINE = {"baselines": {"als": {"max_drop": 0.005}}}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (difference(0.001, -0.002, 0.004), "pass"),
        (difference(-0.004, -0.02, 0.01), "pass"),
        (difference(-0.006, -0.02, 0.01), "inconclusive"),
        (difference(-0.02, -0.03, -0.006), "fail"),
        (difference(math.nan, math.nan, math.nan), "inconclusive"),
        ({}, "inconclusive"),
    ],
)
def test_f30_a_model_certainly_worse_than_a_tuned_baseline_fails(found: dict[str, Interval], verdict: str):
    assert decide(BASELINE, evidence(baselines={"als": found})).verdict == verdict


def test_f31_a_baseline_that_was_not_measured_is_inconclusive():
    assert decide(BASELINE, evidence()).reasons == ("baseline als: is not measured",)
    skipped = evidence(skipped={"als": "30,000 items; it is for at most 20,000"})
    assert decide(BASELINE, skipped).reasons == ("baseline als: 30,000 items; it is for at most 20,000",)


FLOOR = {"slices": {"activity=low": {"ndcg@10": {"min": 0.02}}}}


def sliced(users: int, found: dict[str, Interval]) -> Evidence:
    return evidence(slices={"activity=low": Slice(users, found)})


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (difference(0.03, 0.01, 0.05), "pass"),
        (difference(0.019, 0.01, 0.03), "inconclusive"),
        (difference(0.01, 0.005, 0.019), "fail"),
        (difference(math.inf, 0.01, math.inf), "inconclusive"),
        ({}, "inconclusive"),
    ],
)
def test_f30_a_slice_certainly_below_its_floor_fails(found: dict[str, Interval], verdict: str):
    assert decide(FLOOR, sliced(100, found)).verdict == verdict


@pytest.mark.parametrize("users", [0, 1, 29])
def test_f31_a_slice_of_too_few_users_is_inconclusive_whatever_its_numbers(users: int):
    for value in (0.001, 0.9):
        decision = decide(FLOOR, sliced(users, difference(value, value, value)))
        assert decision.reasons == (f"activity=low: {users} holdout users; at least 30 are asked",)


def test_f31_a_slice_that_the_data_does_not_have_is_inconclusive():
    assert decide(FLOOR, evidence()).verdict == "inconclusive"


NUMBERS = st.one_of(st.floats(), st.none(), st.text(max_size=3), st.booleans())


@given(NUMBERS, NUMBERS, st.integers(0, 1000), st.tuples(st.floats(), st.floats(), st.floats()))
def test_f31_only_finite_numbers_of_enough_users_pass(value, popular, users, parts):
    found = Evidence({"ndcg@10": value}, {"ndcg@10": popular}, users, {"ndcg@10": Interval(*parts, 0.01)})
    finite = all(type(one) is float and math.isfinite(one) for one in (value, popular, *parts))
    if decide(GATE, found).verdict == "pass":
        assert finite
        assert (users >= 200, value >= 0.02, value > popular, parts[0] >= -0.001) == (True, True, True, True)
