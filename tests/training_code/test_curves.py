"""How a model learned, in the manifest of its archive."""

import json
from dataclasses import replace

import checkerboard as board
import curves
import numpy as np
import pytest
from als import LOSS, ImplicitALS
from dataset import Dataset
from model_contract import checkerboard
from models import fit
from settings import Settings
from train import facts
from validation import Watch, nothing_held

SMALL = Settings(**{**board.SMALL, "epochs": 3, "factor_num": 2, "als_factors": 4, "als_iterations": 5})
VALIDATION = {"validation hr@10", "validation ndcg@10"}


def said(name: str, given: Settings = SMALL) -> dict:
    """The curves in the manifest of a model, as JSON."""
    return json.loads(json.dumps(facts(name, fit(name, checkerboard(), given), given).get("curves", {})))


@pytest.mark.parametrize("name", ["gmf", "mlp", "neumf"])
def test_a_network_says_its_loss_and_validation_of_every_epoch(name: str):
    found = said(name)
    assert set(found) == {"loss", *VALIDATION}
    assert [epoch for epoch, _ in found["loss"]] == [1, 2, 3]
    assert [epoch for epoch, _ in found["validation ndcg@10"]] == [0, 1, 2, 3]  # 0: before the first
    assert found["loss"][-1][1] < found["loss"][0][1]


def test_what_neumf_starts_from_has_a_curve_of_its_own():
    assert set(said("neumf_pretrained")) == {LOSS, "loss", *VALIDATION}


def test_a_model_that_is_solved_for_at_once_has_no_curve():
    assert "curves" not in facts("ease", fit("ease", checkerboard(), SMALL), SMALL)


def objective(model: ImplicitALS, data: Dataset, given: Settings) -> float:
    """What the docstring of als.py says is minimised, written out, for each taken pair."""
    scores = model.users.astype(float) @ model.items.astype(float).T
    sides = ((model.users, data.user, len(data.items)), (model.items, data.item, len(data.users)))
    total = ((1 - scores[data.user, data.item]) ** 2).sum() + given.als_alpha * (scores**2).sum()
    for vectors, own, others in sides:
        size = np.bincount(own, minlength=len(vectors)) + given.als_alpha * others
        total += (given.als_reg * size**given.als_nu * (vectors.astype(float) ** 2).sum(axis=1)).sum()
    return total / len(data.user)


@pytest.mark.parametrize("nu", [0.0, 1.0])
def test_the_loss_of_als_is_what_it_minimises_and_falls_with_every_sweep(nu: float):
    data, given = checkerboard(), replace(SMALL, als_nu=nu)
    watch = Watch(nothing_held(data), given, lambda epoch: None)
    model = ImplicitALS.fit(data, given, watch)
    values = [value for _, value in watch.curves[LOSS]]
    assert len(values) == given.als_iterations
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(objective(model, data, given), rel=1e-5)


def test_a_curve_of_any_length_keeps_both_ends_and_few_points():
    points = [(number, 1 / (number + 1)) for number in range(10_000)]
    found = curves.shown({"loss": points, "once": [(1, 0.5)]})
    assert set(found) == {"loss"}
    epochs = [epoch for epoch, _ in found["loss"]]
    assert (len(epochs), epochs[0], epochs[-1]) == (curves.MOST, 0, 9_999)
    assert epochs == sorted(set(epochs))
    assert len(json.dumps(found)) < 8_000
