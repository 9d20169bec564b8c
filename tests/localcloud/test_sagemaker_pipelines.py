"""Pipelines: definitions, versions and real executions, driven through boto3."""

import json
import uuid
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker_lab import COMPUTE, IMAGE, ROLE, Lab, archive, until

FAIL = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
CACHE = {"Enabled": True, "ExpireAfter": "P30D"}
PREPARE = """
import json, pathlib, sys
out = pathlib.Path(sys.argv[1])
(out / "rows.json").write_text(json.dumps({"a": {"rows": int(sys.argv[2])}, "good": int(sys.argv[2]) > 5}))
"""
TRAIN = """
import os
data = os.environ["SM_CHANNEL_TRAIN"] + "/rows.json"
open(os.environ["SM_MODEL_DIR"] + "/copy.json", "w").write(open(data).read())
"""


@pytest.fixture(scope="module")
def lab(localcloud) -> Lab:
    return Lab(localcloud)


def prepare(lab: Lab, rows: object = 7, **changes: object) -> dict:
    """A processing step that writes a property file `counts`."""
    request = lab.processing(PREPARE, [])
    del request["ProcessingJobName"]
    code = lab.put("prepare/run.py", PREPARE)
    request["ProcessingInputs"][0]["S3Input"]["S3Uri"] = code
    request["AppSpecification"]["ContainerArguments"] = ["/opt/ml/processing/output/data", rows]
    place = {"LocalPath": "/opt/ml/processing/output/data", "S3Uri": f"s3://{lab.bucket}/prepared/{lab.name('p')}"}
    outputs = [{"OutputName": "data", "S3Output": {**place, "S3UploadMode": "EndOfJob"}}]
    file = {"PropertyFileName": "counts", "OutputName": "data", "FilePath": "rows.json"}
    arguments = {**request, "ProcessingOutputConfig": {"Outputs": outputs}}
    return {"Name": "Prepare", "Type": "Processing", "Arguments": arguments, "PropertyFiles": [file], **changes}


def train(lab: Lab, script: str = TRAIN, **changes: object) -> dict:
    """A training step on what Prepare has written."""
    code = lab.put(f"train/{uuid.uuid5(uuid.NAMESPACE_OID, script)}.tar.gz", archive({"train.py": script}))
    uri = {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['data'].S3Output.S3Uri"}
    arguments = {
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"sagemaker_program": "train.py", "sagemaker_submit_directory": code},
        "InputDataConfig": [
            {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{lab.bucket}/models"},
        "ResourceConfig": COMPUTE,
        "RoleArn": ROLE,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return {"Name": "Train", "Type": "Training", "Arguments": arguments, **changes}


def count(path: str = "a.rows") -> dict:
    return {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Prepare.PropertyFiles.counts"}, "Path": path}}


def sleeper(lab: Lab, name: str, seconds: float = 0.5, **changes: object) -> dict:
    request = lab.processing(f"import time; time.sleep({seconds})", [])
    del request["ProcessingJobName"]
    return {"Name": name, "Type": "Processing", "Arguments": request, **changes}


def document(*steps: dict, parameters: list[dict] | None = None) -> str:
    return json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters or [], "Steps": list(steps)})


def token() -> str:
    return uuid.uuid4().hex


def create(lab: Lab, definition: str) -> str:
    name = lab.name("pipeline")
    lab.sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=definition, RoleArn=ROLE, ClientRequestToken=token()
    )
    return name


def start(lab: Lab, name: str, **more: object) -> str:
    more.setdefault("ClientRequestToken", token())
    return lab.sagemaker.start_pipeline_execution(PipelineName=name, **more)["PipelineExecutionArn"]


def finished(lab: Lab, arn: str) -> dict:
    def look() -> dict | None:
        found = lab.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        return found if found["PipelineExecutionStatus"] not in ("Executing", "Stopping") else None

    return until(look)


def steps(lab: Lab, arn: str) -> dict[str, dict]:
    found = lab.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending")
    return {row["StepName"]: row for row in found["PipelineExecutionSteps"]}


def run(lab: Lab, *parts: dict, **more: object) -> tuple[dict, dict[str, dict]]:
    """Create a pipeline of these steps, run it; the execution and its steps."""
    arn = start(lab, create(lab, document(*parts)), **more)
    return finished(lab, arn), steps(lab, arn)


def condition(lab: Lab, *tests: dict) -> dict:
    return {
        "Name": "Gate",
        "Type": "Condition",
        "Arguments": {"Conditions": list(tests), "IfSteps": [train(lab)], "ElseSteps": [FAIL]},
    }


def test_steps_pass_their_outputs_on_and_a_condition_reads_a_property_file(lab: Lab):
    good = {"Type": "Equals", "LeftValue": count("good"), "RightValue": True}
    execution, found = run(lab, prepare(lab, "7"), condition(lab, good))
    assert execution["PipelineExecutionStatus"] == "Succeeded", found
    assert list(found) == ["Prepare", "Gate", "Train"]
    assert found["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    name = found["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    assert name.startswith(f"pipelines-{execution['PipelineExecutionArn'].rpartition('/')[2]}-Train-")
    model = lab.sagemaker.describe_training_job(TrainingJobName=name)["ModelArtifacts"]["S3ModelArtifacts"]
    assert lab.read(model)
    assert all(step["StartTime"] <= step["EndTime"] for step in found.values())


def test_the_other_branch_fails_with_its_message(lab: Lab):
    message = {"Std:Join": {"On": " ", "Values": ["too few:", count(), {"Get": "Execution.PipelineName"}]}}
    gate = condition(lab, {"Type": "GreaterThan", "LeftValue": count(), "RightValue": 10})
    gate["Arguments"]["ElseSteps"] = [{**FAIL, "Arguments": {"ErrorMessage": message}}]
    execution, found = run(lab, prepare(lab, "3"), gate)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "Step failure: One or multiple steps failed."
    name = execution["PipelineArn"].rpartition("/")[2]
    assert found["Stop"]["FailureReason"] == f"too few: 3 {name}"
    assert "Train" not in found


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ({"Type": "GreaterThanOrEqualTo", "LeftValue": {"Get": "Parameters.N"}, "RightValue": 5}, True),
        ({"Type": "LessThan", "LeftValue": {"Get": "Parameters.N"}, "RightValue": 5}, False),
        ({"Type": "LessThanOrEqualTo", "LeftValue": 5.5, "RightValue": {"Get": "Parameters.N"}}, False),
        ({"Type": "In", "QueryValue": {"Get": "Parameters.S"}, "Values": ["a", "b"]}, True),
        (
            {"Type": "Not", "Condition": {"Type": "Equals", "LeftValue": {"Get": "Parameters.S"}, "RightValue": "a"}},
            False,
        ),
        (
            {
                "Type": "Or",
                "Conditions": [
                    {"Type": "Equals", "LeftValue": {"Get": "Parameters.B"}, "RightValue": 1},
                    {"Type": "Equals", "LeftValue": {"Get": "Parameters.B"}, "RightValue": True},
                ],
            },
            True,
        ),
    ],
)
def test_every_kind_of_condition_decides(lab: Lab, test: dict, outcome: bool):
    parameters = [
        {"Name": "N", "Type": "Integer"},
        {"Name": "S", "Type": "String", "DefaultValue": "a"},
        {"Name": "B", "Type": "Boolean", "DefaultValue": True},
    ]
    gate = {"Name": "Gate", "Type": "Condition", "Arguments": {"Conditions": [test], "IfSteps": [], "ElseSteps": []}}
    name = create(lab, document(gate, parameters=parameters))
    arn = start(lab, name, PipelineParameters=[{"Name": "N", "Value": "5"}])
    assert finished(lab, arn)["PipelineExecutionStatus"] == "Succeeded"
    assert steps(lab, arn)["Gate"]["Metadata"]["Condition"]["Outcome"] == str(outcome)
    shown = lab.sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)["PipelineParameters"]
    assert {row["Name"]: row["Value"] for row in shown} == {"N": "5", "S": "a", "B": "true"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"Name": "N", "Value": "five"}], "is of type Integer"),
        ([{"Name": "M", "Value": "5"}], "not defined in the pipeline"),
        ([], "do not have default values"),
    ],
)
def test_parameters_are_held_to_the_definition(lab: Lab, given: list[dict], message: str):
    name = create(lab, document(FAIL, parameters=[{"Name": "N", "Type": "Integer"}]))
    with pytest.raises(ClientError, match=message):
        start(lab, name, PipelineParameters=given)


def test_a_step_that_fails_stops_only_what_comes_after_it(lab: Lab):
    bad = sleeper(lab, "Bad")
    bad["Arguments"]["AppSpecification"]["ContainerEntrypoint"] = ["python3", "-c", "raise SystemExit('broken')"]
    after, aside = sleeper(lab, "After", DependsOn=["Bad"]), sleeper(lab, "Aside", 0.1)
    execution, found = run(lab, bad, after, aside)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert found["Bad"]["FailureReason"] == "AlgorithmError: broken, exit code: 1"
    assert found["Aside"]["StepStatus"] == "Succeeded"
    assert "After" not in found


def test_independent_steps_run_at_the_same_time_up_to_the_limit(lab: Lab):
    pair = (sleeper(lab, "A"), sleeper(lab, "B"))
    _, found = run(lab, *pair)
    assert found["B"]["StartTime"] < found["A"]["EndTime"]
    _, found = run(lab, *pair, ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    assert found["B"]["StartTime"] >= found["A"]["EndTime"]


def test_a_cached_step_is_not_run_again_while_its_attributes_are_the_same(lab: Lab):
    rows = {"Get": "Parameters.Rows"}
    definition = document(
        prepare(lab, rows, CacheConfig=CACHE),
        train(lab, CacheConfig=CACHE),
        parameters=[{"Name": "Rows", "Type": "String", "DefaultValue": "7"}],
    )
    name = create(lab, definition)
    first, again = start(lab, name), None
    assert finished(lab, first)["PipelineExecutionStatus"] == "Succeeded"
    again = start(lab, name)
    assert finished(lab, again)["PipelineExecutionStatus"] == "Succeeded"
    before, after = steps(lab, first), steps(lab, again)
    for step in ("Prepare", "Train"):
        assert after[step]["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
        assert after[step]["Metadata"] == before[step]["Metadata"]
    other = start(lab, name, PipelineParameters=[{"Name": "Rows", "Value": "8"}])
    finished(lab, other)
    assert "CacheHitResult" not in steps(lab, other)["Prepare"]
    # the same place in S3 as before: SageMaker compares addresses, not content
    assert "CacheHitResult" in steps(lab, other)["Train"]


def test_a_result_that_is_too_old_is_not_used(lab: Lab):
    name = create(lab, document(prepare(lab, "7", CacheConfig={"Enabled": True, "ExpireAfter": "PT0S"})))
    finished(lab, start(lab, name))
    arn = start(lab, name)
    finished(lab, arn)
    assert "CacheHitResult" not in steps(lab, arn)["Prepare"]


def test_a_retry_runs_only_what_had_not_succeeded(lab: Lab):
    key = f"s3://{lab.bucket}/{lab.name('flag')}"
    script = f"""
import boto3
bucket, _, key = {key!r}.removeprefix("s3://").partition("/")
boto3.client("s3").get_object(Bucket=bucket, Key=key)
"""
    name = create(lab, document(prepare(lab, "7"), train(lab, script)))
    arn = start(lab, name)
    assert finished(lab, arn)["PipelineExecutionStatus"] == "Failed"
    before = steps(lab, arn)
    assert "NoSuchKey" in before["Train"]["FailureReason"]
    lab.s3.put_object(Bucket=lab.bucket, Key=key.rpartition("/")[2], Body=b"1")
    again = token()
    for _ in range(2):  # the same token twice is one retry
        lab.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=again)
    execution = finished(lab, arn)
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    assert "FailureReason" not in execution
    assert steps(lab, arn)["Prepare"] == before["Prepare"]
    with pytest.raises(ClientError, match="Only a failed or stopped"):
        lab.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token())


def test_stop_stops_the_running_job_and_starts_nothing_more(lab: Lab):
    arn = start(lab, create(lab, document(sleeper(lab, "Long", 60), sleeper(lab, "Next", DependsOn=["Long"]))))
    until(lambda: steps(lab, arn).get("Long", {}).get("Metadata"))
    lab.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token())
    assert finished(lab, arn)["PipelineExecutionStatus"] == "Stopped"
    found = steps(lab, arn)
    assert {name: row["StepStatus"] for name, row in found.items()} == {"Long": "Stopped"}
    job = found["Long"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    assert lab.sagemaker.describe_processing_job(ProcessingJobName=job)["ProcessingJobStatus"] == "Stopped"


def test_an_execution_keeps_the_version_it_was_started_with(lab: Lab):
    one, two = document(sleeper(lab, "One", 0)), document(sleeper(lab, "Two", 0))
    name = create(lab, one)
    updated = lab.sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=two)
    assert updated["PipelineVersionId"] == 2
    assert lab.sagemaker.describe_pipeline(PipelineName=name)["PipelineDefinition"] == two
    assert lab.sagemaker.describe_pipeline(PipelineName=name, PipelineVersionId=1)["PipelineDefinition"] == one
    arn = start(lab, name, PipelineVersionId=1)
    used = lab.sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    assert used["PipelineDefinition"] == one
    assert finished(lab, arn)["PipelineVersionId"] == 1
    assert list(steps(lab, arn)) == ["One"]
    versions = lab.sagemaker.list_pipeline_versions(PipelineName=name)["PipelineVersionSummaries"]
    assert [row["PipelineVersionId"] for row in versions] == [2, 1]
    with pytest.raises(lab.sagemaker.exceptions.ResourceNotFound, match="version 9"):
        start(lab, name, PipelineVersionId=9)


def test_a_token_starts_one_execution(lab: Lab):
    name, once = create(lab, document(sleeper(lab, "One", 0))), token()
    first = start(lab, name, ClientRequestToken=once, PipelineExecutionDisplayName="run-1")
    assert start(lab, name, ClientRequestToken=once) == first
    assert start(lab, name) != first
    rows = lab.sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    assert len(rows) == 2
    assert rows[-1]["PipelineExecutionDisplayName"] == "run-1"
    lab.sagemaker.update_pipeline_execution(PipelineExecutionArn=first, PipelineExecutionDescription="the first")
    finished(lab, first)
    found = lab.sagemaker.describe_pipeline_execution(PipelineExecutionArn=first)
    assert found["PipelineExecutionDescription"] == "the first"


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("{", "not JSON"),
        (document(), "no steps"),
        (document({"Name": "T", "Type": "EMR", "Arguments": {}}), "does not implement steps of type EMR"),
        (document({**FAIL, "Arguments": {"ErrorMessage": {"Get": "Parameters.No"}}}), "Parameters.No"),
        (document({**FAIL, "Arguments": {"ErrorMessage": {"Get": "Steps.No.X"}}}), "no earlier step"),
        (document(FAIL, FAIL), "unique"),
        (document({**FAIL, "DependsOn": ["B"]}, {**FAIL, "Name": "B", "DependsOn": ["Stop"]}), "wait for each other"),
        (document({"Name": "P", "Type": "Processing", "Arguments": {"Speed": 1}}), "no member Speed"),
        (document({**FAIL, "CacheConfig": {"Enabled": True, "ExpireAfter": "soon"}}), "ISO 8601"),
        (document({**FAIL, "RetryPolicies": [{"ExceptionType": ["Any"]}]}), "ExceptionType is none of"),
        (document({**FAIL, "RetryPolicies": "often"}), "Malformed"),
    ],
)
def test_a_definition_that_could_not_run_is_refused(lab: Lab, definition: str, message: str):
    with pytest.raises(ClientError, match=message) as refusal:
        create(lab, definition)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


def test_names_are_unique_and_absent_pipelines_are_sagemakers_own_error(lab: Lab):
    name = create(lab, document(FAIL))
    with pytest.raises(ClientError, match="Pipeline names must be unique within an AWS account and region"):
        lab.sagemaker.create_pipeline(
            PipelineName=name, PipelineDefinition=document(FAIL), RoleArn=ROLE, ClientRequestToken=token()
        )
    lab.sagemaker.delete_pipeline(PipelineName=name, ClientRequestToken=token())
    with pytest.raises(lab.sagemaker.exceptions.ResourceNotFound, match="does not exist"):
        lab.sagemaker.describe_pipeline(PipelineName=name)


def test_a_model_is_registered_and_created_by_steps(lab: Lab):
    uri = {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}
    group = lab.name("group")
    inference = {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": uri}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {"ModelPackageGroupName": group, "InferenceSpecification": inference},
    }
    model = {
        "Name": "Model",
        "Type": "Model",
        "Arguments": {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": uri}},
    }
    execution, found = run(lab, prepare(lab, "7"), train(lab), register, model)
    assert execution["PipelineExecutionStatus"] == "Succeeded", found
    arn = found["Register"]["Metadata"]["RegisterModel"]["Arn"]
    assert arn.endswith(f"model-package/{group}/1")
    package = lab.sagemaker.describe_model_package(ModelPackageName=arn)
    assert lab.read(package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])
    assert found["Model"]["Metadata"]["Model"]["Arn"].rpartition("/")[2].startswith("pipelines-")


@pytest.fixture
def function(lab: Lab) -> Callable[[str], str]:
    def deploy(source: str) -> str:
        import io
        import zipfile

        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as packed:
            packed.writestr("index.py", source)
        answer = lab.client("lambda").create_function(
            FunctionName=lab.name("function"),
            Runtime="python3.12",
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": buffer.getvalue()},
        )
        return answer["FunctionArn"]

    return deploy


def test_a_lambda_step_gives_its_outputs_to_later_steps(lab: Lab, function: Callable[[str], str]):
    arn = function("def handler(event, context):\n    return {'double': event['n'] * 2, 'word': 'x' + event['s']}\n")
    call = {
        "Name": "Call",
        "Type": "Lambda",
        "FunctionArn": arn,
        "Arguments": {"n": count(), "s": {"Get": "Execution.PipelineName"}},
        "OutputParameters": [{"OutputName": name, "OutputType": "String"} for name in ("double", "word")],
    }
    end = {**FAIL, "Arguments": {"ErrorMessage": {"Get": "Steps.Call.OutputParameters['word']"}}}
    execution, found = run(lab, prepare(lab, "4"), call, end)
    name = execution["PipelineArn"].rpartition("/")[2]
    outputs = [{"Name": "double", "Value": "8"}, {"Name": "word", "Value": f"x{name}"}]
    assert found["Call"]["Metadata"]["Lambda"] == {"Arn": arn, "OutputParameters": outputs}
    assert found["Stop"]["FailureReason"] == f"x{name}"


def test_a_function_that_raises_fails_its_step(lab: Lab, function: Callable[[str], str]):
    arn = function("def handler(event, context):\n    raise ValueError('no such group')\n")
    _, found = run(lab, {"Name": "Call", "Type": "Lambda", "FunctionArn": arn, "Arguments": {}})
    assert "ValueError: no such group" in found["Call"]["FailureReason"]


def test_executions_and_steps_are_told_on_the_default_bus(lab: Lab):
    kind = "SageMaker Model Building Pipeline Execution"
    read = lab.watch([f"{kind} Status Change", f"{kind} Step Status Change"])
    name = create(lab, document(sleeper(lab, "One", 0)))
    arn = start(lab, name)
    finished(lab, arn)

    def mine(what: str) -> list[dict]:
        events = [event for event in read() if event["detail-type"] == f"{kind} {what} Change"]
        return [event for event in events if event["detail"]["pipelineExecutionArn"] == arn]

    def current(what: str, member: str) -> set[str]:
        return {event["detail"][member] for event in mine(what)}

    until(lambda: current("Status", "currentPipelineExecutionStatus") >= {"Executing", "Succeeded"})
    until(lambda: current("Step Status", "currentStepStatus") >= {"Starting", "Executing", "Succeeded"})
    last = next(e for e in mine("Status") if e["detail"]["currentPipelineExecutionStatus"] == "Succeeded")
    assert last["resources"] == [arn.partition("/execution/")[0], arn]
    assert last["detail"]["previousPipelineExecutionStatus"] == "Executing"
    assert last["source"] == "aws.sagemaker"
