"""What each type of step does. A new type is one function and one line in RUNNERS."""

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ..service import CloudError
from . import conditions, models, processing, registry, registry_groups, retries, training, transform, tuning
from . import job as jobs
from .definition import CALLS
from .execution import Execution, ExecutionScope, StepRun
from .job import Job
from .references import resolve, text
from .shapes import check
from .store import Row, lock, table

if TYPE_CHECKING:
    from ..cloud import Cloud

_LONGEST_NAME, _LONGEST_TUNING_NAME = 63, 32


class StepError(Exception):
    """A step that failed. `kind` is the exception type that a retry policy may name."""

    def __init__(self, reason: str, kind: str = "") -> None:
        super().__init__(reason)
        self.kind = kind


class StepStopped(Exception):  # noqa: N818 it is no error
    """A step that was stopped."""


@dataclass(frozen=True)
class Work:
    """A step to run, and where it belongs. `arguments` are resolved, except those of a condition."""

    execution: Execution
    run: StepRun
    scope: ExecutionScope
    arguments: Any


def _call(work: Work, operation: Callable[[Row], Any], request: Row) -> Any:
    """One call of the step's API, its refusal put as the step's failure."""
    name = CALLS[work.run.step.type]
    try:
        check(name, request)
        return operation(request)
    except CloudError as error:
        reason = f"ClientError: Failed to invoke sagemaker:{name}. Error Details: {error.message}"
        raise StepError(reason, retries.of_call(error.code, error.status)) from error


def _name(work: Work, member: str) -> str:
    """`pipelines-<execution>-<step>-<random>`, or the step's own prefix in place of the first three."""
    given = work.arguments.get(member)
    execution = work.execution.arn.rpartition("/")[2]
    prefix = given or f"pipelines-{execution}-{re.sub('[^A-Za-z0-9-]+', '-', work.run.step.name)}"
    return f"{prefix[: _LONGEST_NAME - 11].rstrip('-')}-{secrets.token_hex(5)}"


def _await(cloud: "Cloud", work: Work, job: Job) -> Row:
    """Wait for a job; its description when it has completed."""
    with lock(cloud):
        work.run.job = job
        stopping = work.execution.stopping.is_set()
    if stopping:
        jobs.request_stop(cloud, job.kind, job.name)
    job.finished.wait()
    if job.status == "Completed":
        return dict(job.row)
    if work.execution.stopping.is_set():
        raise StepStopped
    ended = job.row.get("SecondaryStatus", job.status)
    reason = str(job.row.get("FailureReason") or f"ClientError: The job {job.name} ended as {ended}")
    raise StepError(reason, retries.of_reason(reason))


def _processing(cloud: "Cloud", work: Work) -> None:
    request = {**work.arguments, "ProcessingJobName": _name(work, "ProcessingJobName")}
    job: Job = _call(work, lambda row: processing.start(cloud, row), request)
    work.run.metadata = {"ProcessingJob": {"Arn": job.arn}}
    work.run.properties = _await(cloud, work, job)


def _training(cloud: "Cloud", work: Work) -> None:
    request = {**work.arguments, "TrainingJobName": _name(work, "TrainingJobName")}
    job: Job = _call(work, lambda row: training.start(cloud, row), request)
    work.run.metadata = {"TrainingJob": {"Arn": job.arn}}
    work.run.properties = _await(cloud, work, job)


def _transform(cloud: "Cloud", work: Work) -> None:
    request = {**work.arguments, "TransformJobName": _name(work, "TransformJobName")}
    job: Job = _call(work, lambda row: transform.start(cloud, row), request)
    work.run.metadata = {"TransformJob": {"Arn": job.arn}}
    work.run.properties = _await(cloud, work, job)


def _tuning(cloud: "Cloud", work: Work) -> None:
    execution, step = work.execution.arn.rpartition("/")[2], re.sub("[^A-Za-z0-9-]+", "-", work.run.step.name)
    prefix = work.arguments.get("HyperParameterTuningJobName") or f"{execution}-{step}"
    name = f"{prefix[: _LONGEST_TUNING_NAME - 11].rstrip('-')}-{secrets.token_hex(5)}"
    request = {**work.arguments, "HyperParameterTuningJobName": name}
    job: Job = _call(work, lambda row: tuning.start(cloud, row), request)
    work.run.metadata = {"TuningJob": {"Arn": job.arn}}
    work.run.properties = _await(cloud, work, job)


def _model(cloud: "Cloud", work: Work) -> None:
    request = {**work.arguments, "ModelName": _name(work, "ModelName")}
    answer = _call(work, lambda row: models.create_model(cloud, row), request)
    work.run.metadata = {"Model": {"Arn": answer["ModelArn"]}}
    work.run.properties = models.describe_model(cloud, request)


def _register(cloud: "Cloud", work: Work) -> None:
    group = work.arguments.get("ModelPackageGroupName")
    if group and group not in table(cloud, registry_groups.TABLE) and not group.startswith("arn:"):
        registry_groups.create(cloud, {"ModelPackageGroupName": group})  # as the pipeline service does
    answer = _call(work, lambda row: registry.create_model_package(cloud, row), dict(work.arguments))
    arn = answer["ModelPackageArn"]
    work.run.metadata = {"RegisterModel": {"Arn": arn}}
    work.run.properties = registry.describe_model_package(cloud, {"ModelPackageName": arn})


def _lambda(cloud: "Cloud", work: Work) -> None:
    function = str(resolve(work.run.step.row["FunctionArn"], work.scope))
    work.run.metadata = {"Lambda": {"Arn": function, "OutputParameters": []}}
    answer = _invoke(cloud, function, work.arguments or {})
    outputs = [row["OutputName"] for row in work.run.step.row.get("OutputParameters") or []]
    missing = [name for name in outputs if not isinstance(answer, dict) or name not in answer]
    if missing:
        raise StepError(f"ClientError: The function's answer has no output parameter {', '.join(missing)}")
    rows = [{"Name": name, "Value": text(answer[name])} for name in outputs]
    work.run.metadata = {"Lambda": {"Arn": function, "OutputParameters": rows}}
    work.run.properties = {"OutputParameters": {name: answer[name] for name in outputs}}


def _invoke(cloud: "Cloud", function: str, arguments: Any) -> Any:
    """The function's answer, read from JSON."""
    try:
        answer = cloud.client("lambda").invoke(
            FunctionName=function, Payload=json.dumps(arguments, default=str).encode()
        )
        content = json.loads(answer["Payload"].read() or b"null")
    except ClientError as error:
        details: Any = error.response
        kind = retries.of_call(details["Error"]["Code"], details["ResponseMetadata"]["HTTPStatusCode"])
        reason = f"ClientError: Failed to invoke lambda:Invoke. Error Details: {details['Error'].get('Message')}"
        raise StepError(reason, kind) from error
    except (BotoCoreError, ValueError) as error:
        raise StepError(f"ClientError: {function} gave no JSON answer: {error}") from error
    if answer.get("FunctionError"):
        said = content.get("errorMessage") if isinstance(content, dict) else content
        kind = content.get("errorType", "") if isinstance(content, dict) else ""
        raise StepError(f"ClientError: Lambda function {function} failed: {kind}: {said}")
    return content


def _condition(_: "Cloud", work: Work) -> None:
    rows = work.run.step.row["Arguments"]["Conditions"]
    outcome = all(conditions.holds(row, work.scope) for row in rows)
    work.run.metadata = {"Condition": {"Outcome": str(outcome)}}
    work.run.outcome = outcome


def _fail(_: "Cloud", work: Work) -> None:
    message = text((work.arguments or {}).get("ErrorMessage", ""))
    work.run.metadata = {"Fail": {"ErrorMessage": message}}
    raise StepError(message or "ClientError: The pipeline reached a Fail step")


RUNNERS: dict[str, Callable[["Cloud", Work], None]] = {
    "Processing": _processing,
    "Training": _training,
    "Transform": _transform,
    "Tuning": _tuning,
    "Model": _model,
    "RegisterModel": _register,
    "Lambda": _lambda,
    "Condition": _condition,
    "Fail": _fail,
}
