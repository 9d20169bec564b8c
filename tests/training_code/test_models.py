import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing torch warns of what is not ours
    import torch  # noqa: F401

from model_contract import ModelContract
from models import MODELS


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
