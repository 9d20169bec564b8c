"""A running job: its description, its statuses, its events."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..service import CloudError
from .store import Row, invalid, listed, lock, matches, now, table

if TYPE_CHECKING:
    from ..cloud import Cloud

RUNNING = {"InProgress", "Stopping"}
REASON_LENGTH = 1024


class JobError(Exception):
    """A job that cannot go on; the text is its FailureReason."""


@dataclass(frozen=True)
class Kind:
    """What differs between training, processing, transform and tuning jobs outside of running them."""

    word: str  # as in TrainingJobName
    title: str  # as in the name of its event
    table: str
    resource: str  # as in an ARN
    absent: tuple[str, str]  # error code and sentence for a job that does not exist
    taken: str  # the sentence for a name that is taken

    @property
    def name(self) -> str:
        return f"{self.word}JobName"

    @property
    def arn(self) -> str:
        return f"{self.word}JobArn"

    @property
    def status(self) -> str:
        return f"{self.word}JobStatus"


_TAKEN = "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
TRAINING = Kind(
    "Training",
    "Training",
    "training_jobs",
    "training-job",
    ("ValidationException", "Requested resource not found."),
    _TAKEN,
)
PROCESSING = Kind(
    "Processing",
    "Processing",
    "processing_jobs",
    "processing-job",
    ("ValidationException", "Could not find requested job with name: {name}"),
    _TAKEN,
)
TRANSFORM = Kind(
    "Transform",
    "Transform",
    "transform_jobs",
    "transform-job",
    ("ValidationException", "Could not find requested job with name: {name}"),
    _TAKEN,
)
TUNING = Kind(
    "HyperParameterTuning",
    "HyperParameter Tuning",
    "tuning_jobs",
    "hyper-parameter-tuning-job",
    ("ResourceNotFound", "Amazon SageMaker can't find a tuning job called {name}. Type another name."),
    "A hyperparameter tuning job with the name, {name}, already exists. Choose a different name.",
)


@dataclass
class Job:
    """One job. `row` is what Describe answers; it changes only under SageMaker's lock."""

    kind: Kind
    row: Row
    stop: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        return str(self.row[self.kind.name])

    @property
    def arn(self) -> str:
        return str(self.row[self.kind.arn])

    @property
    def status(self) -> str:
        return str(self.row[self.kind.status])


def find(cloud: "Cloud", kind: Kind, name: str) -> Job:
    """The job of that name, or SageMaker's own sentence that there is none."""
    job = table(cloud, kind.table).get(name)
    if not isinstance(job, Job):
        code, sentence = kind.absent
        raise CloudError(code, sentence.format(name=name))
    return job


def add(cloud: "Cloud", job: Job) -> None:
    """Take a new job in, unless its name is taken."""
    with lock(cloud):
        rows = table(cloud, job.kind.table)
        if job.name in rows:
            raise CloudError("ResourceInUse", job.kind.taken.format(name=job.name, arn=job.arn))
        rows[job.name] = job


def change(cloud: "Cloud", job: Job, **members: Any) -> None:
    """Change a job's description, perhaps its status with it, and tell EventBridge."""
    with lock(cloud):
        job.row.update(members, LastModifiedTime=now())
        detail = event_detail(job.row)
    _emit(cloud, job, detail)


def request_stop(cloud: "Cloud", kind: Kind, name: str) -> None:
    """Ask a running job to end; its container gets SIGTERM."""
    job = find(cloud, kind, name)
    with lock(cloud):
        if job.status not in RUNNING:
            raise invalid(f"The request was rejected because the {kind.title.lower()} job is in status {job.status}.")
        if job.status == "Stopping":
            return
        job.row[kind.status] = "Stopping"
        if kind is TRAINING:
            job.row["SecondaryStatus"] = "Stopping"
        job.row["LastModifiedTime"] = now()
        job.stop.set()
        detail = event_detail(job.row)
    _emit(cloud, job, detail)


def _emit(cloud: "Cloud", job: Job, detail: Row) -> None:
    cloud.emit("aws.sagemaker", f"SageMaker {job.kind.title} Job State Change", detail, [job.arn])


def listing(cloud: "Cloud", kind: Kind, request: Row) -> Row:
    """The summaries a List request asks for."""
    status = request.get("StatusEquals")
    with lock(cloud):
        rows = [summary(job) for job in table(cloud, kind.table).values() if not status or job.status == status]
    keys = {"Name": kind.name, "Status": kind.status}
    key = keys.get(request.get("SortBy", ""), "CreationTime")
    found = [row for row in rows if matches(row, request, kind.name)]
    return listed(f"{kind.word}JobSummaries", found, request, lambda row: row[key])


def failure_reason(text: str, code: int) -> str:
    """The FailureReason of a container that ended with an exit code, its text cut to what SageMaker keeps."""
    start, end = "AlgorithmError: ", f", exit code: {code}"
    return start + text[: REASON_LENGTH - len(start) - len(end)] + end


def explain(error: Exception) -> str:
    """The FailureReason of what stopped a job before or after its container ran."""
    return f"ClientError: {error.message}" if isinstance(error, CloudError) else str(error)


def last_lines(lines: list[str]) -> str:
    """As many of the last lines as a FailureReason can hold."""
    text = "\n".join(lines)
    return text[-(REASON_LENGTH - 40) :] or "the container wrote nothing"


def summary(job: Job) -> Row:
    """The fields of a job that its List operation answers."""
    kind, row = job.kind, job.row
    ended = row.get(f"{kind.word}EndTime")
    fields = {
        kind.name: job.name,
        kind.arn: job.arn,
        "CreationTime": row["CreationTime"],
        "LastModifiedTime": row["LastModifiedTime"],
        kind.status: job.status,
    }
    if kind is TRAINING:
        fields["SecondaryStatus"] = row["SecondaryStatus"]
    if kind is TRANSFORM and "FailureReason" in row:
        fields["FailureReason"] = row["FailureReason"]
    if kind is TUNING:
        config = row["HyperParameterTuningJobConfig"]
        fields |= {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
        fields |= {name: row[name] for name in ("TrainingJobStatusCounters", "ObjectiveStatusCounters")}
    return {**fields, f"{kind.word}EndTime": ended} if ended else fields


def event_detail(value: Any) -> Any:
    """A description as EventBridge carries it: moments in milliseconds since 1970."""
    if isinstance(value, dict):
        return {key: event_detail(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [event_detail(item) for item in value]
    return int(value.timestamp() * 1000) if hasattr(value, "timestamp") else value
