import json
import re
from typing import Any

import pytest
import yaml

from pipelines import cloud, ncf, params, sources, validate
from pipelines.errors import ProjectError
from tests.pipelines.test_space import FILE

SPACE = {
    "lr": {"min": 0.001, "max": 0.02, "scale": "log"},
    "num_ng": {"min": 2, "max": 6},
    "factor_num": {"values": [8, 16]},
}


@pytest.fixture
def searched(shipped: dict[str, Any]) -> dict[str, Any]:
    """The shipped params with a search, as a document free to be changed."""
    shipped["train"]["models"] = ["neumf"]
    return {**shipped, "search": {"model": "neumf", "trials": 6, "parallel": 2, "space": SPACE}}


def compiled(document: dict[str, Any], digests: sources.Sources, account: cloud.Cloud) -> dict[str, Any]:
    definition = ncf.define(params.load(FILE, yaml.safe_dump(document)), digests, account)
    validate.validate(definition)
    return definition


def steps(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["Name"]: step for step in definition["Steps"]}


def tune(definition: dict[str, Any]) -> dict[str, Any]:
    return steps(definition)["Tune"]["Arguments"]


def written(definition: dict[str, Any]) -> str:
    return tune(definition)["TrainingJobDefinition"]["OutputDataConfig"]["S3OutputPath"]


def test_a_search_takes_the_place_of_the_training_step(searched, digests, account):
    definition = compiled(searched, digests, account)
    assert [step["Name"] for step in definition["Steps"]] == ["Prepare", "Tune", "Evaluate", "Gate"]
    step = steps(definition)["Tune"]
    assert (step["Type"], step["CacheConfig"]["Enabled"]) == ("Tuning", True)
    assert {kind for policy in step["RetryPolicies"] for kind in policy["ExceptionType"]} >= {"Step.THROTTLING"}


def test_the_space_becomes_sagemakers_parameter_ranges(searched, digests, account):
    config = tune(compiled(searched, digests, account))["HyperParameterTuningJobConfig"]
    lr = {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.02", "ScalingType": "Logarithmic"}
    num_ng = {"Name": "num_ng", "MinValue": "2", "MaxValue": "6", "ScalingType": "Linear"}
    assert config["ParameterRanges"] == {
        "ContinuousParameterRanges": [lr],
        "IntegerParameterRanges": [num_ng],
        "CategoricalParameterRanges": [{"Name": "factor_num", "Values": ["8", "16"]}],
    }
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 2}
    assert (config["Strategy"], config["TrainingJobEarlyStoppingType"]) == ("Bayesian", "Off")
    assert config["RandomSeed"] == 1


def test_what_is_searched_is_not_also_fixed(searched, digests, account):
    fixed = tune(compiled(searched, digests, account))["TrainingJobDefinition"]["StaticHyperParameters"]
    assert not set(SPACE) & set(fixed)
    assert (fixed["models"], fixed["epochs"], fixed["sagemaker_program"]) == (
        "neumf",
        str(searched["hyperparameters"]["epochs"]),
        "train.py",
    )
    assert fixed["sagemaker_submit_directory"].endswith(f"{'b' * 64}/sourcedir.tar.gz")
    assert all(isinstance(value, str) for value in fixed.values())


def test_the_objective_is_read_from_the_line_that_training_ends_with(searched, digests, account):
    arguments = tune(compiled(searched, digests, account))
    objective = arguments["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    assert objective == {"Type": "Maximize", "MetricName": "ndcg@10"}
    defined = arguments["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    (pattern,) = [one["Regex"] for one in defined if one["Name"] == "ndcg@10"]
    line = "neumf validation: hr@10=0.100000; ndcg@10=0.056789; sampled_hr@10=0.3; sampled_ndcg@10=0.2;"
    assert re.findall(pattern, line) == ["0.056789"]
    assert not re.findall(pattern, line.replace("neumf", "neumf_pretrained"))


def test_evaluate_reads_the_best_trials_archive(searched, digests, account):
    definition = compiled(searched, digests, account)
    inputs = steps(definition)["Evaluate"]["Arguments"]["ProcessingInputs"]
    (uri,) = [one["S3Input"]["S3Uri"] for one in inputs if one["InputName"] == "model"]
    *place, job, file = uri["Std:Join"]["Values"]
    assert "/".join(place) == written(definition)
    assert (job, file) == ({"Get": "Steps.Tune.TrainingJobSummaries[0].TrainingJobName"}, "output/model.tar.gz")


def test_models_that_a_search_would_leave_out_are_named(searched, digests, account):
    searched["train"]["models"] = ["neumf", "ease"]
    with pytest.raises(
        ProjectError, match=r"a pipeline tunes one model; write train.models: \[neumf\], or take search"
    ):
        compiled(searched, digests, account)


def test_a_choice_of_yes_and_no_is_told_as_training_is_told_it(searched, digests, account):
    searched["search"]["space"] = {"refit": {"values": [True, False]}}
    ranges = tune(compiled(searched, digests, account))["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert ranges["CategoricalParameterRanges"] == [{"Name": "refit", "Values": ["true", "false"]}]


def test_two_compiles_are_equal_to_the_byte(searched, digests, account):
    assert json.dumps(compiled(searched, digests, account)) == json.dumps(compiled(searched, digests, account))


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("search", {"trials": 7}),
        ("search", {"strategy": "Random"}),
        ("search", {"objective": "hr@10"}),
        ("search", {"space": {**SPACE, "num_ng": {"min": 2, "max": 7}}}),
        ("search", {"space": {**SPACE, "lr": {"min": 0.001, "max": 0.02}}}),
        ("hyperparameters", {"epochs": 77}),
        ("train", {"seed": 2}),
    ],
)
def test_a_search_is_named_by_all_that_it_depends_on(searched, digests, account, section, change):
    other = {**searched, section: {**searched[section], **change}}
    assert written(compiled(other, digests, account)) != written(compiled(searched, digests, account))


def test_a_fixed_value_of_what_is_searched_changes_nothing(searched, digests, account):
    other = {**searched, "hyperparameters": {**searched["hyperparameters"], "lr": 0.5}}
    assert written(compiled(other, digests, account)) == written(compiled(searched, digests, account))


def test_spot_is_a_literal_and_may_wait(searched, digests, account):
    searched["train"]["spot"] = True
    arguments = tune(compiled(searched, digests, account))["TrainingJobDefinition"]
    assert arguments["EnableManagedSpotTraining"] is True
    assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 14400}


def test_a_reference_to_what_no_tuning_job_has_is_refused(searched, digests, account):
    definition = compiled(searched, digests, account)
    text = json.dumps(definition).replace("TrainingJobSummaries[0].TrainingJobName", "TrainingJobSummaries[0].Name")
    with pytest.raises(ProjectError, match=r"Tune has no property TrainingJobSummaries\[0\].Name"):
        validate.validate(json.loads(text))


def test_what_sagemaker_would_refuse_of_a_tuning_job_is_refused(searched, digests, account):
    definition = compiled(searched, digests, account)
    del tune(definition)["HyperParameterTuningJobConfig"]["Strategy"]
    with pytest.raises(ProjectError, match="Tune: CreateHyperParameterTuningJob would refuse it"):
        validate.validate(definition)
