from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st

from pipelines import params
from pipelines.errors import ProjectError
from pipelines.space import Categorical, Continuous, Dimension, Integer

FILE = Path(__file__).parent.parent.parent / "params" / "ncf.yml"
SEARCH = {"model": "neumf", "trials": 4, "parallel": 2, "space": {"lr": {"min": 0.001, "max": 0.02, "scale": "log"}}}


def load(**changes: Any) -> params.Params:
    """The shipped params with a search; `space` replaces its space, other keys of the search are changed."""
    document = yaml.safe_load(FILE.read_text())
    document["train"]["models"] = ["neumf", "ease"]
    document["search"] = {**deepcopy(SEARCH), **changes}
    return params.load(FILE, yaml.safe_dump(document))


def test_each_range_is_of_its_hyperparameters_kind():
    space = {
        "lr": {"min": 0.001, "max": 0.02, "scale": "log"},
        "dropout": {"min": 0, "max": 0.5},
        "num_ng": {"min": 2, "max": 6},
        "factor_num": {"values": [8, 16]},
        "reg": {"values": [0, 0.5]},
        "pretrain": {"values": ["als", "parts"]},
    }
    assert load(space=space).dimensions == (
        Continuous("dropout", 0.0, 0.5, False),
        Categorical("factor_num", (8, 16)),
        Continuous("lr", 0.001, 0.02, True),
        Integer("num_ng", 2, 6, False),
        Categorical("pretrain", ("als", "parts")),
        Categorical("reg", (0.0, 0.5)),
    )
    assert all(type(value) is float for value in load(space=space).dimensions[5].values)


def test_without_an_objective_it_is_ndcg_at_the_depth_of_training():
    assert load().objective == "ndcg@10"
    assert load(objective="hr@10").objective == "hr@10"


MISTAKES = [
    ({"lrr": {"min": 0.1, "max": 0.2}}, "search.space.lrr: no hyperparameter that can be searched; did you mean lr?"),
    ({"top_k": {"values": [5, 10]}}, "search.space.top_k: no hyperparameter that can be searched"),
    ({"seed": {"min": 1, "max": 9}}, "search.space.seed: no hyperparameter that can be searched"),
    ({}, "search.space: a mapping is wrong; give at least 1"),
    ({"lr": {}}, "search.space.lr: is empty; give min and max, or values"),
    ({"lr": {"min": 0.1}}, "search.space.lr: has one bound; give min and max, or values"),
    ({"lr": {"min": 0.1, "max": 0.1}}, "search.space.lr: min 0.1 is not below max 0.1; a fixed value goes to"),
    ({"lr": {"min": 0.2, "max": 0.1}}, "search.space.lr: min 0.2 is not below max 0.1"),
    ({"lr": {"min": 0.1, "max": 2}}, "search.space.lr.max: 2.0 is wrong; it must be less than or equal to 1"),
    (
        {"lr": {"min": 0, "max": 1}},
        "search.space.lr.min: 0.0 is wrong; it must be greater than or equal to 0.000000001",
    ),
    ({"lr": {"min": "0.1", "max": 1}}, "search.space.lr.min: '0.1' is wrong; it must be a valid number"),
    ({"lr": {"min": 0.1, "max": 1, "scale": "reverse"}}, "search.space.lr.scale: 'reverse' is wrong; it must be"),
    ({"lr": {"min": 0.1, "max": 1, "step": 1}}, "search.space.lr.step: unknown key; known keys: min, max"),
    ({"lr": 0.1}, "search.space.lr: 0.1 is wrong; it must be a mapping"),
    ({"dropout": {"min": 0, "max": 0.5, "scale": "log"}}, "search.space.dropout: min 0 has no logarithm"),
    ({"num_ng": {"min": 1.5, "max": 4}}, "search.space.num_ng.min: 1.5 is not whole; num_ng is"),
    ({"num_ng": {"min": 0, "max": 4}}, "search.space.num_ng.min: 0 is wrong; it must be greater than or equal to 1"),
    ({"pretrain": {"min": 1, "max": 2}}, "search.space.pretrain: is no number; give values"),
    ({"pretrain": {"values": ["als", "svd"]}}, "search.space.pretrain.values: 'svd' is wrong; it must be 'als'"),
    ({"factor_num": {"values": [8, 16.5]}}, "search.space.factor_num.values: 16.5 is wrong"),
    ({"factor_num": {"values": [8, 8]}}, "search.space.factor_num.values: each value once"),
    ({"reg": {"values": [0, 0.0]}}, "search.space.reg.values: each value once"),
    ({"factor_num": {"values": [8]}}, "search.space.factor_num.values: a list of 1 is wrong; give at least 2"),
    ({"factor_num": {"values": [8, 9], "min": 3}}, "search.space.factor_num: values go alone; give either them, or"),
    ({"factor_num": {"values": [8, 9], "scale": "log"}}, "search.space.factor_num: values go alone"),
]


@pytest.mark.parametrize(("space", "says"), MISTAKES, ids=[says[:50] for _, says in MISTAKES])
def test_a_wrong_space_is_one_line_with_file_key_and_remedy(space: dict[str, Any], says: str):
    with pytest.raises(ProjectError) as caught:
        load(space=space)
    assert str(caught.value).startswith(f"{FILE}: {says}")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": "als"}, "search.model: als is not in train.models; write neumf or ease"),
        ({"objective": "ndcg@20"}, "search.objective: training measures at 10, not 20; write 20 as top_k"),
        ({"objective": "coverage@10"}, "search.objective: 'coverage@10' is wrong; write ndcg@k or hr@k"),
        ({"parallel": 5}, "search: parallel: 5 is more than trials 4; lower it"),
        ({"parallel": 11, "trials": 20}, "search.parallel: 11 is wrong; it must be less than or equal to 10"),
        ({"trials": 0}, "search.trials: 0 is wrong"),
        ({"strategy": "Grid"}, "search.strategy: 'Grid' is wrong; it must be 'Bayesian' or 'Random'"),
        ({"trails": 3}, "search.trails: unknown key; did you mean trials?"),
    ],
)
def test_a_wrong_search_is_one_line_with_file_key_and_remedy(changes: dict[str, Any], says: str):
    with pytest.raises(ProjectError) as caught:
        load(**changes)
    assert str(caught.value).startswith(f"{FILE}: {says}")


NUMBERS = st.integers(-5, 2000) | st.floats(allow_nan=True, allow_infinity=True)
RANGES = st.fixed_dictionaries(
    {},
    optional={"min": NUMBERS, "max": NUMBERS, "scale": st.sampled_from(["linear", "log"]), "values": st.lists(NUMBERS)},
)


@settings(max_examples=100, deadline=None)
@given_by(st.sampled_from(["lr", "num_ng", "dropout", "pretrain", "patience"]), RANGES)
def test_any_range_is_refused_in_one_line_or_lies_within_its_hyperparameters_bounds(name: str, found: dict[str, Any]):
    said, found_dimensions = outcome(name, found)
    assert said.startswith(f"{FILE}: search.space.{name}") or found_dimensions
    for dimension in found_dimensions:
        ends = dimension.values if isinstance(dimension, Categorical) else (dimension.least, dimension.most)
        for end in ends:
            params.Hyperparameters.model_validate({name: end})


def outcome(name: str, found: dict[str, Any]) -> tuple[str, tuple[Dimension, ...]]:
    try:
        return "", load(space={name: found}).dimensions
    except ProjectError as error:
        return str(error), ()
