"""Tuning jobs, driven through boto3, with tiny scripts as containers."""

import json
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.sagemaker import samplers
from tests.localcloud.sagemaker_lab import COMPUTE, IMAGE, ROLE, Lab, archive, until

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, os
given = json.loads(os.environ["SM_HPS"])
open(os.environ["SM_MODEL_DIR"] + "/given.json", "w").write(json.dumps(given))
print("score=0;")
print(f"score={given['lr'] * given['factors']};")
"""
RANGES = {
    "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}],
    "IntegerParameterRanges": [{"Name": "factors", "MinValue": "2", "MaxValue": "9"}],
}
GRID = {
    "CategoricalParameterRanges": [
        {"Name": "lr", "Values": ["0.1", "0.2"]},
        {"Name": "factors", "Values": ["2", "3"]},
    ]
}


@pytest.fixture(scope="module")
def lab(localcloud) -> Lab:
    return Lab(localcloud)


def request(lab: Lab, script: str = SCRIPT, ranges: dict = RANGES, **changes: Any) -> dict[str, Any]:
    """A tuning job of three training jobs, two at a time; `changes` are of its configuration."""
    code = lab.put(f"tune/{uuid.uuid5(uuid.NAMESPACE_OID, script)}.tar.gz", archive({"train.py": script}))
    return {
        "HyperParameterTuningJobName": lab.name("tune"),
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": ranges,
            "RandomSeed": 7,
            **changes,
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+);"}],
            },
            "StaticHyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": code,
                "fixed": "1",
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{lab.bucket}/tuned"},
            "ResourceConfig": COMPUTE,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
    }


def describe(lab: Lab, name: str) -> dict[str, Any]:
    return lab.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def ended(lab: Lab, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job = describe(lab, name)
        return job if job["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping") else None

    return until(look, 60)


def tune(lab: Lab, **given: Any) -> dict[str, Any]:
    """Run a tuning job to its end; its description."""
    asked = request(lab, **given)
    lab.sagemaker.create_hyper_parameter_tuning_job(**asked)
    return ended(lab, asked["HyperParameterTuningJobName"])


def trained(lab: Lab, job: dict[str, Any], **by: str) -> list[dict[str, Any]]:
    name = job["HyperParameterTuningJobName"]
    answer = lab.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name, **by)
    return answer["TrainingJobSummaries"]


def score(summary: dict[str, Any]) -> float:
    return summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]


def test_training_jobs_with_other_values_are_run_and_the_best_is_named(lab: Lab):
    job = tune(lab)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == job["ObjectiveStatusCounters"]["Succeeded"] == 3
    ranked = trained(lab, job, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert [score(one) for one in ranked] == sorted((score(one) for one in ranked), reverse=True)
    assert job["BestTrainingJob"]["TrainingJobName"] == ranked[0]["TrainingJobName"]
    for one in ranked:
        values = {name: float(value) for name, value in one["TunedHyperParameters"].items()}
        assert 0.001 <= values["lr"] <= 0.1
        assert values["factors"] in range(2, 10)
        assert score(one) == pytest.approx(values["lr"] * values["factors"], rel=1e-5)  # the last line of its log
        described = lab.sagemaker.describe_training_job(TrainingJobName=one["TrainingJobName"])
        assert described["TuningJobArn"] == job["HyperParameterTuningJobArn"]
        assert lab.read(described["ModelArtifacts"]["S3ModelArtifacts"])
        assert described["HyperParameters"]["_tuning_objective_metric"] == "score"
    assert len({json.dumps(one["TunedHyperParameters"]) for one in ranked}) == 3


def test_no_more_training_jobs_run_at_a_time_than_allowed(lab: Lab):
    limits = {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2}
    job = tune(lab, script=SCRIPT + "import time; time.sleep(0.5)", ResourceLimits=limits)
    spans = [(one["CreationTime"], one["TrainingEndTime"]) for one in trained(lab, job)]
    together = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(together) == 2


def test_the_least_is_the_best_of_what_is_to_be_minimised(lab: Lab):
    job = tune(lab, HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": "score"})
    assert score(job["BestTrainingJob"]) == min(score(one) for one in trained(lab, job))


def test_a_grid_tries_every_combination_once(lab: Lab):
    job = tune(lab, ranges=GRID, Strategy="Grid", ResourceLimits={"MaxParallelTrainingJobs": 4})
    tried = [one["TunedHyperParameters"] for one in trained(lab, job)]
    assert tried == [{"factors": factors, "lr": lr} for factors in ("2", "3") for lr in ("0.1", "0.2")]


def test_training_jobs_that_fail_are_counted_and_do_not_stop_the_others(lab: Lab):
    script = SCRIPT + "assert given['factors'] == 2, 'too many'"
    job = tune(lab, script=script, ranges=GRID, Strategy="Grid", ResourceLimits={"MaxParallelTrainingJobs": 2})
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    counters = job["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["NonRetryableError"]) == (2, 2)
    failed = trained(lab, job, StatusEquals="Failed")
    assert all(one["FailureReason"].endswith("AssertionError: too many, exit code: 1") for one in failed)
    assert job["BestTrainingJob"]["TunedHyperParameters"]["factors"] == "2"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise SystemExit(1)", r"No training job succeeded after [5-9] attempts\."),
        ("print('score=none;')", r"No objective metrics found after running [5-9] training jobs\."),
    ],
)
def test_when_five_come_to_nothing_the_tuning_job_fails(lab: Lab, script: str, reason: str):
    limits = {"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 5}
    job = tune(lab, script=script, ResourceLimits=limits)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert re.match(reason, job["FailureReason"])
    assert "BestTrainingJob" not in job


def test_stop_ends_its_training_jobs_and_refuses_a_finished_one(lab: Lab):
    asked = request(lab, script="import time; print('on', flush=True); time.sleep(60)")
    name = asked["HyperParameterTuningJobName"]
    lab.sagemaker.create_hyper_parameter_tuning_job(**asked)
    until(lambda: describe(lab, name)["TrainingJobStatusCounters"]["InProgress"] == 2)
    lab.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    job = ended(lab, name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert {one["TrainingJobStatus"] for one in trained(lab, job)} == {"Stopped"}
    with pytest.raises(ClientError, match="the hyperparameter tuning job is in status Stopped"):
        lab.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def test_tuning_jobs_are_listed_and_told_on_the_default_bus(lab: Lab):
    read = lab.watch(["SageMaker HyperParameter Tuning Job State Change"])
    job = tune(lab, ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1})
    name = job["HyperParameterTuningJobName"]
    found = lab.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name, StatusEquals="Completed")
    (summary,) = found["HyperParameterTuningJobSummaries"]
    assert (summary["HyperParameterTuningJobName"], summary["Strategy"]) == (name, "Random")
    assert summary["TrainingJobStatusCounters"]["Completed"] == 1
    told = until(lambda: [one for one in read() if one["resources"] == [job["HyperParameterTuningJobArn"]]])
    assert told[-1]["detail"]["HyperParameterTuningJobStatus"] == "Completed"


def test_names_are_unique_and_an_absent_job_is_sagemakers_own_error(lab: Lab):
    asked = request(lab, ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1})
    lab.sagemaker.create_hyper_parameter_tuning_job(**asked)
    with pytest.raises(ClientError, match=r"already exists\. Choose a different name") as refusal:
        lab.sagemaker.create_hyper_parameter_tuning_job(**asked)
    assert refusal.value.response["Error"]["Code"] == "ResourceInUse"
    ended(lab, asked["HyperParameterTuningJobName"])
    with pytest.raises(lab.sagemaker.exceptions.ResourceNotFound, match="can't find a tuning job called absent"):
        describe(lab, "absent")


def numbers(**changes: str) -> dict[str, Any]:
    return {"ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0", "MaxValue": "1", **changes}]}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Strategy": "Hyperband"}, "localcloud does not implement .* Strategy Hyperband"),
        ({"TrainingJobEarlyStoppingType": "Auto"}, "TrainingJobEarlyStoppingType Auto"),
        ({"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 1.0}}, "with TuningJobCompletionCriteria"),
        ({"ResourceLimits": {"MaxParallelTrainingJobs": 1}}, "MaxNumberOfTrainingJobs is required"),
        ({"Strategy": "Grid"}, "categorical hyperparameter ranges only"),
        ({"Strategy": "Grid", "ranges": GRID}, "MaxNumberOfTrainingJobs 3 must equal .* combinations, 4"),
        ({"ranges": {}}, "ParameterRanges is required"),
        ({"ranges": numbers(MinValue="a")}, "MinValue and MaxValue must be numbers"),
        ({"ranges": numbers(MinValue="2")}, "MinValue 2 must be below 1"),
        ({"ranges": numbers(ScalingType="Logarithmic")}, "Logarithmic scaling needs a MinValue above 0"),
        ({"ranges": numbers(ScalingType="ReverseLogarithmic")}, "needs real values from 0 to below 1"),
        ({"ranges": numbers(Name="fixed")}, "both static and tunable: fixed"),
        (
            {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "f1"}},
            "A metric is required for this hyperparameter tuning job objective. Provide a metric",
        ),
    ],
)
def test_what_could_not_be_searched_is_refused(lab: Lab, changes: dict[str, Any], says: str):
    with pytest.raises(ClientError, match=says):
        lab.sagemaker.create_hyper_parameter_tuning_job(**request(lab, **changes))


def test_what_would_be_refused_of_a_training_job_is_refused_of_the_tuning_job(lab: Lab):
    asked = request(lab)
    asked["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingInputMode"] = "Pipe"
    with pytest.raises(ClientError, match="TrainingInputMode Pipe; use File"):
        lab.sagemaker.create_hyper_parameter_tuning_job(**asked)


def test_a_tuning_step_gives_its_best_archive_to_later_steps_and_is_cached(lab: Lab):
    arguments = request(lab)
    del arguments["HyperParameterTuningJobName"]
    cached = {"Enabled": True, "ExpireAfter": "P30D"}
    step = {"Name": "Tune", "Type": "Tuning", "Arguments": arguments, "CacheConfig": cached}
    best = {"Get": "Steps.Tune.TrainingJobSummaries[0].TrainingJobName"}
    end = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": {"Std:Join": {"On": "/", "Values": [best]}}}}
    name = lab.name("pipeline")
    definition = json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": [step, end]})
    lab.sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=definition, RoleArn=ROLE, ClientRequestToken=uuid.uuid4().hex
    )
    first, second = (steps_of_run(lab, name) for _ in range(2))
    tuning = first["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
    assert first["Stop"]["FailureReason"] == describe(lab, tuning)["BestTrainingJob"]["TrainingJobName"]
    assert second["Tune"]["CacheHitResult"]
    assert second["Stop"]["FailureReason"] == first["Stop"]["FailureReason"]


def steps_of_run(lab: Lab, name: str) -> dict[str, dict[str, Any]]:
    arn = lab.sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    describe = lab.sagemaker.describe_pipeline_execution
    until(lambda: describe(PipelineExecutionArn=arn)["PipelineExecutionStatus"] == "Failed", 60)
    steps = lab.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    return {step["StepName"]: step for step in steps}


def test_without_optuna_a_bayesian_search_is_refused_by_name():
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from localcloud.sagemaker import samplers\n"
        "from localcloud.service import CloudError\n"
        "try:\n    samplers.Bayesian((), 1)\n"
        "except CloudError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "with Strategy Bayesian where Optuna is not installed; use Random or Grid" in done.stdout


SCALES = st.sampled_from(["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"])


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-6, 0.9), st.floats(1e-6, 0.9), SCALES, st.integers(0, 9))
def test_a_random_value_lies_in_its_range_whatever_the_scale(one: float, other: float, scale: str, seed: int):
    low, high = sorted((one, other))
    if low == high:
        return
    row = {"Name": "lr", "MinValue": repr(low), "MaxValue": repr(high), "ScalingType": scale}
    space = samplers.dimensions({"ContinuousParameterRanges": [row]})
    first, second = (samplers.Random(space, seed) for _ in range(2))
    for number in range(1, 9):
        values = first.ask(number)
        assert low <= float(values["lr"]) <= high
        assert second.ask(number) == values


@pytest.mark.parametrize("scale", ["Linear", "Logarithmic"])
def test_every_whole_number_of_a_range_can_be_drawn(scale: str):
    row = {"Name": "n", "MinValue": "1", "MaxValue": "4", "ScalingType": scale}
    sampler = samplers.Random(samplers.dimensions({"IntegerParameterRanges": [row]}), 1)
    assert {sampler.ask(number)["n"] for number in range(200)} == {"1", "2", "3", "4"}
