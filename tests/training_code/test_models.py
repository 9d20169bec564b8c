import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing torch warns of what is not ours
    import torch  # noqa: F401

import checkerboard as board
import numpy as np
import pytest
from als import ImplicitALS
from dataset import TrainingError, from_arrays
from ease import EASE, MAX_ITEMS
from model import load
from model_contract import ModelContract, checkerboard
from models import MODELS, fit
from ncf import NeuMF, PretrainedNeuMF
from settings import Settings
from validation import Watch, nothing_held
from warm_start import blended


class TestGMF(ModelContract):
    name = "gmf"


class TestMLP(ModelContract):
    name = "mlp"


class TestNeuMF(ModelContract):
    name = "neumf"


class TestPretrainedNeuMF(ModelContract):
    name = "neumf_pretrained"


class TestImplicitALS(ModelContract):
    name = "als"


class TestEASE(ModelContract):
    name = "ease"


def test_every_model_keeps_the_contract():
    assert {contract.name for contract in ModelContract.__subclasses__()} == set(MODELS)


@pytest.mark.parametrize("pretrain", ["als", "blend"])
def test_pretrained_neumf_begins_as_the_linear_model_it_starts_from(pretrain: str):
    data = checkerboard()
    settings = Settings(als_factors=4, als_reg=0.01, ease_reg=10.0, num_layers=2, pretrain=pretrain)
    watch = Watch(nothing_held(data), settings, lambda epoch: None)
    begun = NeuMF(**PretrainedNeuMF.start(data, settings, watch).arrays())
    linear = ImplicitALS.fit(data, settings, watch)
    if pretrain == "blend":
        linear = blended(linear, EASE.fit(data, settings, watch), settings.ease_factors)
    users = np.arange(board.SIZE)
    found, expected = begun.score(users), linear.score(users)
    far = np.abs(np.diff(np.sort(expected, axis=1), axis=1)).max() / 4  # ties may fall either way
    for row, right in zip(found, expected, strict=True):
        assert (np.diff(right[np.argsort(row)]) > -far).all()


def test_pretrained_neumf_may_start_from_its_fitted_parts():
    settings = Settings(**{**board.SMALL, **board.HYPERPARAMETERS["gmf"]}, pretrain="parts", pretrain_epochs=3)
    assert fit("neumf_pretrained", checkerboard(), settings).quality.hr == 1.0


def test_ease_refuses_a_catalogue_that_is_too_large():
    data = from_arrays(np.array([0]), np.array([MAX_ITEMS]))
    with pytest.raises(TrainingError, match=f"{MAX_ITEMS + 1} items; at most {MAX_ITEMS} would be right"):
        EASE.fit(data, Settings(), Watch(nothing_held(data), Settings(), lambda epoch: None))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path):
    (tmp_path / "score.onnx").write_bytes(b"not a graph")
    with pytest.raises(TrainingError, match=r"score.onnx: not a ImplicitALS"):
        load(ImplicitALS, tmp_path / "score.onnx")
