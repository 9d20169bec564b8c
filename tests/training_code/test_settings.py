import re
from dataclasses import fields, replace

import pytest
from dataset import TrainingError
from models import MODELS
from settings import Settings, checked, truth

from pipelines import ncf, params

GIVEN_ELSEWHERE = {"seed", "validation_days"}  # by params.train and params.prepare


def test_params_offer_every_model_there_is():
    assert set(params.Model.__args__) == set(MODELS)


def test_params_offer_every_hyperparameter_with_the_same_default_and_bounds():
    schema = params.Hyperparameters.model_json_schema()["properties"]
    ours = {one.name: one for one in fields(Settings) if one.name not in GIVEN_ELSEWHERE}
    assert set(schema) == set(ours)
    for name in set(ours) - {"top_k", "test_num_ng"}:
        about, said = ours[name].metadata, schema[name]
        assert said["default"] == ours[name].default, name
        if "least" in about:
            assert (said["minimum"], said["maximum"]) == (about["least"], about["most"]), name


@pytest.mark.parametrize("name", [one.name for one in fields(Settings) if "least" in one.metadata])
def test_a_hyperparameter_out_of_its_bounds_is_named(name: str):
    given = vars(replace(Settings(), **{name: -1}))
    with pytest.raises(TrainingError, match=f"--{name}: is -1; right is from"):
        checked(given)


def test_each_models_metrics_are_found_in_its_own_lines():

    line = "neumf_pretrained epoch 3: HR=0.3604; NDCG=0.2135; Loss=0.3704; full catalogue: 0.1, 0.2"
    found = ncf.metrics(("neumf", "neumf_pretrained"))
    values = {name: match.group(1) for name, pattern in found.items() if (match := re.search(pattern, line))}
    own = {"HR": "0.3604", "NDCG": "0.2135", "Loss": "0.3704"}
    assert values == own | {f"neumf_pretrained:{name}": value for name, value in own.items()}


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False), ("False", False)])
def test_a_truth_is_read_as_people_and_as_sagemakers_toolkit_write_it(text: str, value: bool):
    assert truth(text) is value
