"""Pipeline executions: Start, Stop, Retry, Update, Describe and List."""

import secrets
import string
from typing import TYPE_CHECKING

from ..service import CloudError
from . import engine, pipelines
from .definition import parse, values
from .execution import TABLE, Execution, change, of_pipeline
from .references import text
from .schedule import SUCCEEDED
from .store import Row, between, listed, lock, now, page, refuse, table

if TYPE_CHECKING:
    from ..cloud import Cloud

_HIDDEN = ("Token", "Retries")


def start_pipeline_execution(cloud: "Cloud", request: Row) -> Row:
    """Start a version (the latest unless asked); the same ClientRequestToken answers the same execution."""
    members = ("SelectiveExecutionConfig", "MlflowExperimentName", "PipelineVersionAlias", "RoleArn")
    refuse("StartPipelineExecution", request, members)
    with lock(cloud):
        pipeline = pipelines.find(cloud, request["PipelineName"])
        for known in of_pipeline(cloud, pipeline["PipelineArn"]):
            if known.row["Token"] == request["ClientRequestToken"]:
                return {"PipelineExecutionArn": known.arn}
        execution = _new(cloud, pipeline, request)
    change(cloud, execution, "Executing")
    cloud.spawn(lambda: engine.drive(cloud, execution), f"execution {execution.arn}")
    return {"PipelineExecutionArn": execution.arn}


def stop_pipeline_execution(cloud: "Cloud", request: Row) -> Row:
    """Stop what runs and start nothing more."""
    execution = find(cloud, request["PipelineExecutionArn"])
    if execution.status not in ("Executing", "Stopping"):
        raise CloudError("ConflictException", _not_in(execution, "Only a running pipeline execution can be stopped"))
    if execution.status == "Executing":
        engine.stop(cloud, execution)
    return {"PipelineExecutionArn": execution.arn}


def retry_pipeline_execution(cloud: "Cloud", request: Row) -> Row:
    """Run again the steps of a failed or stopped execution that have not succeeded, and what comes after them."""
    token = request["ClientRequestToken"]
    with lock(cloud):
        execution = find(cloud, request["PipelineExecutionArn"])
        if token in execution.row["Retries"]:
            return {"PipelineExecutionArn": execution.arn}
        if execution.status not in ("Failed", "Stopped"):
            only = "Only a failed or stopped pipeline execution can be retried"
            raise CloudError("ConflictException", _not_in(execution, only))
        execution.row["Retries"].add(token)
        execution.row.pop("FailureReason", None)
        execution.stopping.clear()
        execution.runs = {name: run for name, run in execution.runs.items() if run.status == SUCCEEDED}
        _configure(execution, request)
        execution.row["PipelineExecutionStatus"] = "Executing"
    change(cloud, execution, "Executing")
    cloud.spawn(lambda: engine.drive(cloud, execution), f"execution {execution.arn}")
    return {"PipelineExecutionArn": execution.arn}


def update_pipeline_execution(cloud: "Cloud", request: Row) -> Row:
    """Rename, describe, or change how many steps run at a time."""
    members = ("PipelineExecutionDescription", "PipelineExecutionDisplayName")
    with lock(cloud):
        execution = find(cloud, request["PipelineExecutionArn"])
        execution.row.update({member: request[member] for member in members if member in request})
        execution.row["LastModifiedTime"] = now()
        _configure(execution, request)
    execution.changed.set()
    return {"PipelineExecutionArn": execution.arn}


def describe_pipeline_execution(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one execution."""
    with lock(cloud):
        row = find(cloud, request["PipelineExecutionArn"]).row
        return {key: value for key, value in row.items() if key not in _HIDDEN}


def describe_definition(cloud: "Cloud", request: Row) -> Row:
    """The very definition that an execution runs."""
    execution = find(cloud, request["PipelineExecutionArn"])
    return {"PipelineDefinition": execution.text, "CreationTime": execution.row["CreationTime"]}


def list_pipeline_executions(cloud: "Cloud", request: Row) -> Row:
    """Summaries of one pipeline's executions."""
    refuse("ListPipelineExecutions", request, ("PipelineVersionAlias",))
    with lock(cloud):
        pipeline = pipelines.find(cloud, request["PipelineName"])
        mine = [item.row for item in of_pipeline(cloud, pipeline["PipelineArn"]) if between(item.row, request)]
        rows = [_summary(row) for row in mine]
    key = "PipelineExecutionArn" if request.get("SortBy") == "PipelineExecutionArn" else "StartTime"
    return listed("PipelineExecutionSummaries", rows, request, lambda row: row[key])


def list_steps(cloud: "Cloud", request: Row) -> Row:
    """Every step that has started, the latest first unless SortOrder says otherwise."""
    with lock(cloud):
        execution = find(cloud, request.get("PipelineExecutionArn", ""))
        order = {name: number for number, name in enumerate(execution.runs)}
        rows = [run.description() for run in execution.runs.values()]
    return listed("PipelineExecutionSteps", rows, request, lambda row: (row["StartTime"], order[row["StepName"]]))


def list_parameters(cloud: "Cloud", request: Row) -> Row:
    """Every parameter of an execution with the value it has, defaults too."""
    parameters = find(cloud, request["PipelineExecutionArn"]).parameters
    rows = [{"Name": name, "Value": text(value)} for name, value in parameters.items()]
    answer = page(rows, {**request, "SortOrder": "Ascending"}, lambda row: row["Name"])
    return {"PipelineParameters": answer.pop("Rows"), **answer}


def find(cloud: "Cloud", arn: str) -> Execution:
    """The execution of that ARN, or SageMaker's sentence that there is none."""
    execution = table(cloud, TABLE).get(arn)
    if not isinstance(execution, Execution):
        raise CloudError("ResourceNotFound", f"Pipeline execution '{arn}' does not exist.")
    return execution


def _new(cloud: "Cloud", pipeline: Row, request: Row) -> Execution:
    version, moment = pipelines.version(pipeline, request.get("PipelineVersionId")), now()
    definition = parse(version["PipelineDefinition"])
    name = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))
    row = {
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineExecutionArn": f"{pipeline['PipelineArn']}/execution/{name}",
        "PipelineExecutionDisplayName": f"execution-{int(moment.timestamp() * 1000)}",
        "PipelineExecutionStatus": "Executing",
        "PipelineVersionId": version["PipelineVersionId"],
        "CreationTime": moment,
        "LastModifiedTime": moment,
        "CreatedBy": {},
        "LastModifiedBy": {},
        "Token": request["ClientRequestToken"],
        "Retries": set(),
    }
    members = ("PipelineExecutionDisplayName", "PipelineExecutionDescription")
    row.update({member: request[member] for member in members if member in request})
    parameters = values(definition, request.get("PipelineParameters", []))
    execution = Execution(row, version["PipelineDefinition"], definition, parameters)
    _configure(execution, {**pipeline, **request})
    version["LastExecutionPipelineExecutionArn"] = execution.arn
    pipeline["LastRunTime"] = moment
    table(cloud, TABLE)[execution.arn] = execution
    return execution


def _configure(execution: Execution, request: Row) -> None:
    if "ParallelismConfiguration" in request:
        execution.row["ParallelismConfiguration"] = request["ParallelismConfiguration"]


def _summary(row: Row) -> Row:
    members = ("PipelineExecutionArn", "PipelineExecutionStatus", "PipelineExecutionDescription")
    answer = {key: row[key] for key in (*members, "PipelineExecutionDisplayName") if key in row}
    answer["StartTime"] = row["CreationTime"]
    if "FailureReason" in row:
        answer["PipelineExecutionFailureReason"] = row["FailureReason"]
    return answer


def _not_in(execution: Execution, only: str) -> str:
    return f"{only}; {execution.arn} is {execution.status}."


OPERATIONS = {
    "StartPipelineExecution": start_pipeline_execution,
    "StopPipelineExecution": stop_pipeline_execution,
    "RetryPipelineExecution": retry_pipeline_execution,
    "UpdatePipelineExecution": update_pipeline_execution,
    "DescribePipelineExecution": describe_pipeline_execution,
    "DescribePipelineDefinitionForExecution": describe_definition,
    "ListPipelineExecutions": list_pipeline_executions,
    "ListPipelineExecutionSteps": list_steps,
    "ListPipelineParametersForExecution": list_parameters,
}
