import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.gates import Gate, loosened, rules
from pipelines.models import parse

ROOT = Path(__file__).parent.parent.parent
STRICT: dict[str, Any] = {
    "absolute": {"ndcg@10": {"min": 0.02}, "gini@10": {"max": 0.9}},
    "relative": {"metric": "ndcg@10", "interval": 0.95, "max_drop": 0.001},
    "baselines": {"als": {"max_drop": 0.005}},
    "slices": {"activity=low": {"ndcg@10": {"min": 0.01}}},
    "sanity": {"beat_popularity": True, "min_users": 200},
}
REMOVED = object()


def gate(document: dict[str, Any]) -> Gate:
    return parse(Gate, Path("gate"), document)


def changed(key: str, value: Any) -> dict[str, Any]:
    document = deepcopy(STRICT)
    *folders, last = key.split("/")
    place = document
    for folder in folders:
        place = place.setdefault(folder, {})
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return document


def test_a_gate_is_one_argument_for_each_rule_and_never_a_long_one():
    found = rules(gate(STRICT))
    assert "slices.activity=low.ndcg@10.min=0.01" in found
    assert ("relative.metric=ndcg@10" in found, "sanity.beat_popularity=true" in found) == (True, True)
    assert len(found) == 9
    assert list(found) == sorted(found)


def test_the_gate_that_the_document_shows_is_one():
    text = (ROOT / "docs" / "evaluation.md").read_text()
    shown = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, flags=re.S)[0])
    assert len(rules(gate(shown["gate"]))) == 10


def test_a_gate_left_out_is_a_real_one():
    assert rules(Gate()) == (
        "baselines.als.max_drop=0.02",
        "relative.interval=0.95",
        "relative.max_drop=0.001",
        "relative.metric=ndcg@10",
        "sanity.beat_popularity=true",
        "sanity.min_users=200",
    )


LOOSENED = {
    ("absolute/ndcg@10/min", 0.01): "gate.absolute.ndcg@10.min: 0.02 -> 0.01; lower is easier to meet",
    ("absolute/gini@10/max", 0.95): "gate.absolute.gini@10.max: 0.9 -> 0.95; higher is easier to meet",
    ("absolute/ndcg@10", REMOVED): "gate.absolute.ndcg@10.min: 0.02 is removed; nothing asks for it any more",
    ("relative/max_drop", 0.01): "gate.relative.max_drop: 0.001 -> 0.01; higher is easier to meet",
    ("relative/interval", 0.99): "gate.relative.interval: 0.95 -> 0.99; higher is easier to meet",
    ("relative/metric", "hr@10"): "gate.relative.metric: ndcg@10 -> hr@10; models are compared by another metric",
    ("baselines/als/max_drop", 0.05): "gate.baselines.als.max_drop: 0.005 -> 0.05; higher is easier to meet",
    ("baselines/als", REMOVED): "gate.baselines.als.max_drop: 0.005 is removed; nothing asks for it any more",
    ("slices", REMOVED): "gate.slices.activity=low.ndcg@10.min: 0.01 is removed; nothing asks for it any more",
    ("sanity/beat_popularity", False): "gate.sanity.beat_popularity: true -> false; it is switched off",
    ("sanity/min_users", 50): "gate.sanity.min_users: 200 -> 50; lower is easier to meet",
}


@pytest.mark.parametrize(("key", "value"), LOOSENED)
def test_a_rule_that_asks_less_is_named(key: str, value: Any):
    assert loosened(gate(STRICT), gate(changed(key, value))) == [LOOSENED[key, value]]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("absolute/ndcg@10/min", 0.03),
        ("absolute/ndcg@10/max", 0.9),
        ("absolute/hr@10", {"min": 0.1}),
        ("relative/max_drop", 0.0),
        ("relative/interval", 0.9),
        ("baselines/ease", {"max_drop": 0.1}),
        ("slices/items=tail", {"recall@10": {"min": 0.001}}),
        ("sanity/min_users", 500),
    ],
)
def test_a_rule_that_asks_more_or_is_new_is_none_of_a_reviewers_worries(key: str, value: Any):
    assert loosened(gate(STRICT), gate(changed(key, value))) == []


def test_a_section_left_out_is_the_defaults_not_nothing():
    assert loosened(gate(STRICT), gate(changed("sanity", REMOVED))) == []
    assert loosened(gate(STRICT), gate(changed("baselines", REMOVED))) == [
        "gate.baselines.als.max_drop: 0.005 -> 0.02; higher is easier to meet"
    ]
    strict = gate(changed("sanity/min_users", 300))
    assert loosened(strict, gate(changed("sanity", REMOVED))) == [
        "gate.sanity.min_users: 300 -> 200; lower is easier to meet"
    ]


@settings(max_examples=50, deadline=None)
@given(st.sets(st.sampled_from([key for key in LOOSENED if key[1] is not REMOVED])))
def test_nothing_hides_behind_other_changes(changes: set[tuple[str, Any]]):
    document = deepcopy(STRICT)
    for key, value in changes:
        section, *folders, last = key.split("/")
        place = document[section]
        for folder in folders:
            place = place[folder]
        place[last] = value
    assert set(loosened(gate(STRICT), gate(document))) == {LOOSENED[change] for change in changes}
