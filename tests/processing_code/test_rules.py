import math

import pytest
from problems import ProcessingError
from rules import check_rules, metric_of, read_rules


def test_one_text_for_each_rule_makes_the_gate():
    texts = [
        "absolute.ndcg@10.min=0.02",
        "absolute.ndcg@10.max=1",
        "relative.metric=hr@10",
        "baselines.als.max_drop=0.005",
        "slices.segment=over 60.ndcg@10.min=0.01",
        "sanity.beat_popularity=true",
        "sanity.min_users=200",
    ]
    assert read_rules(texts) == {
        "absolute": {"ndcg@10": {"min": 0.02, "max": 1}},
        "relative": {"metric": "hr@10"},
        "baselines": {"als": {"max_drop": 0.005}},
        "slices": {"segment=over 60": {"ndcg@10": {"min": 0.01}}},
        "sanity": {"beat_popularity": True, "min_users": 200},
    }


@pytest.mark.parametrize(
    "texts",
    [
        ["absolute.ndcg@10.min"],
        ["absolute.ndcg@10.min=0.1", "absolute.ndcg@10.min=0.2"],
        ["absolute.ndcg@10.min=0.1", "absolute.ndcg@10.min.more=0.2"],
        ["absolute.ndcg@10.min=NaN"],
        ["absolute.ndcg@10.min=Infinity"],
        ["absolute.ndcg@10.min=$(id)"],
        ["absolute.ndcg@10.minimum=1"],
        ["absolute.ndcg@10=0.02"],
        ["relative.metric=1"],
        ["relative.metric=gini@10"],
        ["relative.metric=ndcg"],
        ["relative.interval=1.5"],
        ["sanity.beat_popularity=yes"],
        ["baselines.als=true"],
        ["gate=1"],
        ["=1"],
        [""],
    ],
)
def test_what_is_no_rule_is_refused_with_what_would_be(texts: list[str]):
    with pytest.raises(ProcessingError, match=r"^gate.*; right (is|are) "):
        read_rules(texts)


@pytest.mark.parametrize(
    "gate",
    [
        {"absolut": {}},
        {"absolute": {"ndcg@10": {"minimum": 1}}},
        {"absolute": {"ndcg@10": {}}},
        {"absolute": {"ndcg@10": {"min": "0.02"}}},
        {"absolute": {"ndcg@10": 0.02}},
        {"absolute": {"ndcg@10": {"min": math.nan}}},
        {"relative": {"max_drop": "x"}},
        {"relative": []},
        {"relative": {"interval": 0}},
        {"baselines": {"als": {}}},
        {"baselines": {"als": {"min": 1}}},
        {"slices": {"users=new": {}}},
        {"slices": {"users=new": {"ndcg@10": {"max_drop": 1}}}},
        {"sanity": {"beat_popular": True}},
        {"sanity": {"min_users": "many"}},
        {"sanity": {"beat_popularity": "yes"}},
    ],
)
def test_a_misspelt_rule_is_an_error_not_a_rule_that_is_off(gate: dict):
    with pytest.raises(ProcessingError, match=r"gate.*right (is|are)"):
        check_rules(gate)


def test_models_are_compared_by_what_is_named_else_by_what_is_asked_else_by_ndcg():
    assert metric_of({"relative": {"metric": "hr@10"}, "absolute": {"mrr@5": {"min": 0}}}) == "hr@10"
    assert metric_of({"absolute": {"bytes": {"max": 1}, "mrr@5": {"min": 0}}}) == "mrr@5"
    assert metric_of({"absolute": {"bytes": {"max": 1}}}) == "ndcg@10"
