import json
from copy import deepcopy
from typing import Any

import pytest

from pipelines.errors import ProjectError
from pipelines.validate import validate


def spoiled(definition: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """The definition with a piece of its JSON text replaced."""
    text = json.dumps(definition)
    assert old in text
    return json.loads(text.replace(old, new))


def test_what_the_sdk_compiles_is_valid(definition: dict[str, Any]):
    validate(definition)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Parameters.Commit", "Parameters.Comit", "no parameter Comit; did you mean Commit?"),
        ("Steps.Train.ModelArtifacts", "Steps.Trian.ModelArtifacts", "no step Trian; did you mean Train?"),
        ("ModelArtifacts.S3ModelArtifacts", "ModelArtifacts.S3Uri", "Train has no property ModelArtifacts.S3Uri"),
        ("Outputs['holdout']", "Outputs['holdot']", "no output holdot; did you mean holdout?"),
        ("PropertyFiles.Decision", "PropertyFiles.Decisions", "no property file Decisions; did you mean Decision?"),
        ("Execution.PipelineExecutionArn", "Execution.Arn", "no execution variable Arn"),
        ("Parameters.Commit", "Env.COMMIT", "Env.COMMIT: not a reference"),
        ('"InstanceType": "ml.m5.xlarge"', '"InstanceType": 5', "CreateProcessingJob would refuse it: Invalid type"),
        ("ProcessingResources", "Resources", "CreateProcessingJob would refuse it: Missing required parameter"),
        ("TrainingInputMode", "InputMode", "CreateTrainingJob would refuse it: Missing required parameter"),
        ("GateFailed", "Register", "Register: two steps of that name"),
    ],
)
def test_what_sagemaker_would_refuse_is_named(definition: dict[str, Any], old: str, new: str, says: str):
    with pytest.raises(ProjectError) as caught:
        validate(spoiled(definition, old, new))
    assert says in str(caught.value)


def test_a_number_where_only_text_is_allowed_is_found_behind_its_reference(definition: dict[str, Any]):
    changed = deepcopy(definition)
    changed["Parameters"].append({"Name": "Epochs", "Type": "Integer", "DefaultValue": 3})
    changed["Steps"][1]["Arguments"]["HyperParameters"]["epochs"] = {"Get": "Parameters.Epochs"}
    with pytest.raises(ProjectError, match="Train: CreateTrainingJob would refuse it: Invalid type for parameter"):
        validate(changed)
