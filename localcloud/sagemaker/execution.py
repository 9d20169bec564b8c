"""One run of a pipeline: what is remembered of it and of each of its steps."""

import json
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import transfers
from .definition import Definition, Step
from .job import Job, event_detail
from .references import ResolutionError, text, tokens, walk
from .schedule import OVER
from .store import Row, lock, now, table

if TYPE_CHECKING:
    from ..cloud import Cloud

TABLE = "pipeline_executions"


@dataclass
class StepRun:
    """A step that has started. `properties` is what `Steps.<name>.` refers to."""

    step: Step
    status: str = "Starting"
    started: datetime = field(default_factory=now)
    ended: datetime | None = None
    failure: str | None = None
    attempts: int = 0
    metadata: Row = field(default_factory=dict)
    properties: Row = field(default_factory=dict)
    outcome: bool | None = None
    cache_key: str | None = None
    cached_from: str | None = None
    job: Job | None = None

    def description(self) -> Row:
        """As ListPipelineExecutionSteps answers it."""
        row = {
            "StepName": self.step.name,
            "StepDisplayName": self.step.row.get("DisplayName"),
            "StepDescription": self.step.row.get("Description"),
            "StartTime": self.started,
            "EndTime": self.ended,
            "StepStatus": self.status,
            "FailureReason": self.failure,
            "Metadata": self.metadata or None,
            "AttemptCount": self.attempts,
            "CacheHitResult": {"SourcePipelineExecutionArn": self.cached_from} if self.cached_from else None,
        }
        return {key: value for key, value in row.items() if value is not None}


@dataclass
class Execution:
    """A pipeline execution. `row` is what Describe answers; everything changes only under SageMaker's lock."""

    row: Row
    text: str
    definition: Definition
    parameters: dict[str, Any]
    runs: dict[str, StepRun] = field(default_factory=dict)
    changed: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def arn(self) -> str:
        return str(self.row["PipelineExecutionArn"])

    @property
    def pipeline(self) -> str:
        return str(self.row["PipelineArn"])

    @property
    def status(self) -> str:
        return str(self.row["PipelineExecutionStatus"])

    @property
    def outcomes(self) -> dict[str, bool]:
        """What each decided condition step came to."""
        return {name: run.outcome for name, run in self.runs.items() if run.outcome is not None}


class ExecutionScope:
    """What references in an execution's definition resolve to."""

    def __init__(self, cloud: "Cloud", execution: Execution) -> None:
        self._cloud = cloud
        self._execution = execution
        self._documents: dict[str, Any] = {}

    def get(self, path: str) -> Any:
        """The value of `Parameters.X`, `Execution.X` or `Steps.X...`."""
        root, name, *rest = tokens(path)
        if root == "Parameters":
            return self._execution.parameters[str(name)]
        if root == "Execution":
            return self._variable(str(name))
        value = walk(self._run(str(name), path).properties, rest, path)
        return text(value) if isinstance(value, datetime) else value

    def property_file(self, path: str) -> str:
        """The S3 address of `Steps.X.PropertyFiles.Y`: a file in one of that step's outputs."""
        _, name, _, file = (str(part) for part in tokens(path))
        run = self._run(name, path)
        row = next(row for row in run.step.row["PropertyFiles"] if row["PropertyFileName"] == file)
        outputs = ["ProcessingOutputConfig", "Outputs", str(row["OutputName"]), "S3Output", "S3Uri"]
        return f"{str(walk(run.properties, list(outputs), path)).rstrip('/')}/{row['FilePath']}"

    def document(self, uri: str) -> Any:
        """The JSON document at an S3 address."""
        if uri not in self._documents:
            try:
                self._documents[uri] = json.loads(transfers.read(self._cloud, uri))
            except (transfers.TransferError, ValueError) as error:
                raise ResolutionError(f"ClientError: Unable to read the property file {uri}: {error}") from error
        return self._documents[uri]

    def _run(self, name: str, path: str) -> StepRun:
        run = self._execution.runs.get(name)
        if run is None:
            raise ResolutionError(f"ClientError: Unable to resolve {path}: step {name} has not run")
        return run

    def _variable(self, name: str) -> str:
        row = self._execution.row
        return {
            "StartDateTime": text(row["CreationTime"]),
            "CurrentDateTime": text(now()),
            "PipelineName": self._execution.pipeline.rpartition("/")[2],
            "PipelineArn": self._execution.pipeline,
            "PipelineExecutionId": self._execution.arn.rpartition("/")[2],
            "PipelineExecutionArn": self._execution.arn,
        }[name]


def of_pipeline(cloud: "Cloud", pipeline: str) -> list[Execution]:
    """The executions of a pipeline, oldest first."""
    return [execution for execution in table(cloud, TABLE).values() if execution.pipeline == pipeline]


def change(cloud: "Cloud", execution: Execution, status: str, **members: Any) -> None:
    """Move an execution to a status and tell EventBridge."""
    with lock(cloud):
        detail = _moved(execution, status, members)
    _emit(cloud, execution, "Execution Status Change", detail)


def change_from(cloud: "Cloud", execution: Execution, accepted: tuple[str, ...], status: str) -> bool:
    """As `change`, if its status is still one of the accepted ones; whether it was."""
    with lock(cloud):
        if execution.status not in accepted:
            return False
        detail = _moved(execution, status, {})
    _emit(cloud, execution, "Execution Status Change", detail)
    return True


def _moved(execution: Execution, status: str, members: Row) -> Row:
    row, previous = execution.row, execution.row.get("PipelineExecutionStatus")
    row.update(members, PipelineExecutionStatus=status, LastModifiedTime=now())
    return {
        "pipelineExecutionDisplayName": row.get("PipelineExecutionDisplayName"),
        "pipelineExecutionDescription": row.get("PipelineExecutionDescription"),
        "currentPipelineExecutionStatus": status,
        "previousPipelineExecutionStatus": previous if previous != status else None,
        "executionStartTime": _moment(row["CreationTime"]),
        "executionEndTime": _moment(row["LastModifiedTime"]) if status in OVER else None,
        "failureReason": row.get("FailureReason"),
        "pipelineArn": execution.pipeline,
        "pipelineExecutionArn": execution.arn,
    }


def change_step(cloud: "Cloud", execution: Execution, run: StepRun, status: str, **members: Any) -> None:
    """Move a step that is not over to a status and tell EventBridge."""
    with lock(cloud):
        if run.status in OVER:
            return
        previous, run.status = run.status, status
        for name, value in members.items():
            setattr(run, name, value)
        detail = {
            "stepName": run.step.name,
            "stepType": run.step.type,
            "currentStepStatus": status,
            "previousStepStatus": previous if previous != status else None,
            "stepStartTime": _moment(run.started),
            "stepEndTime": _moment(run.ended),
            "failureReason": run.failure,
            "metadata": _camel(run.metadata),
            "cacheHitResult": {"sourcePipelineExecutionArn": run.cached_from} if run.cached_from else None,
            "pipelineArn": execution.pipeline,
            "pipelineExecutionArn": execution.arn,
        }
    _emit(cloud, execution, "Execution Step Status Change", detail)


def _emit(cloud: "Cloud", execution: Execution, what: str, detail: Row) -> None:
    resources = [execution.pipeline, execution.arn]
    cloud.emit("aws.sagemaker", f"SageMaker Model Building Pipeline {what}", event_detail(detail), resources)


def _moment(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _camel(item) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value
