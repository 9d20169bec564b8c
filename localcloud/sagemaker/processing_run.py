"""What happens inside a processing job, from the download of its inputs to the upload of its outputs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import job as jobs
from . import toolkit, transfers
from .container import Launch, Outcome, inside
from .container import run as run_container
from .ending import ended
from .job import Job, JobError
from .store import folder, now

if TYPE_CHECKING:
    from ..cloud import Cloud


def run(cloud: "Cloud", job: Job) -> None:
    """Take a job from InProgress to Completed, Failed or Stopped."""
    base = folder(cloud, "processing", job.name)
    with ended(job, base, lambda reason: _end(cloud, job, "Failed", FailureReason=reason)):
        jobs.change(cloud, job)
        _prepare(cloud, job, base)
        _process(cloud, job, base)


def _prepare(cloud: "Cloud", job: Job, base: Path) -> None:
    for item in job.row.get("ProcessingInputs", []):
        if not item.get("AppManaged"):
            source = item["S3Input"]
            target = Path(inside(source["LocalPath"], base))
            transfers.download(cloud, source["S3Uri"], source["S3DataType"], target)
    for output in _outputs(job):
        Path(inside(output["LocalPath"], base)).mkdir(parents=True, exist_ok=True)
    config = base / "config"
    for path in (config, base / "output", base / "processing"):
        path.mkdir(exist_ok=True)
    (config / "processingjobconfig.json").write_text(json.dumps(_configuration(job)))
    instance = job.row["ProcessingResources"]["ClusterConfig"].get("InstanceType", "")
    (config / "resourceconfig.json").write_text(json.dumps(toolkit.resource_config(instance)))


def _process(cloud: "Cloud", job: Job, base: Path) -> None:
    command, cwd = _command(cloud, job, base)
    jobs.change(cloud, job, ProcessingStartTime=now())
    launch = Launch(
        command=command,
        env=_environment(cloud, job, base),
        cwd=cwd,
        output=base / "container.log",
        group="/aws/sagemaker/ProcessingJobs",
        stream=f"{job.name}/algo-1-{int(now().timestamp())}",
        seconds=job.row["StoppingCondition"]["MaxRuntimeInSeconds"],
        stop=job.stop,
    )
    outcome = run_container(cloud, launch, lambda lines: None)
    succeeded = outcome.code == 0 and not outcome.timed_out and not job.stop.is_set()
    for output in _outputs(job):
        if succeeded or output["S3UploadMode"] == "Continuous":
            transfers.upload_folder(cloud, Path(inside(output["LocalPath"], base)), output["S3Uri"])
    _conclude(cloud, job, base, outcome)


def _conclude(cloud: "Cloud", job: Job, base: Path, outcome: Outcome) -> None:
    message = base / "output" / "message"
    members = {"ExitMessage": message.read_text(errors="replace")[: jobs.REASON_LENGTH]} if message.is_file() else {}
    if outcome.timed_out or job.stop.is_set():
        _end(cloud, job, "Stopped", **members)
    elif outcome.code:
        reason = jobs.failure_reason(jobs.last_lines(outcome.tail), outcome.code)
        _end(cloud, job, "Failed", FailureReason=reason, **members)
    else:
        _end(cloud, job, "Completed", **members)


def _end(cloud: "Cloud", job: Job, status: str, **members: Any) -> None:
    jobs.change(cloud, job, ProcessingJobStatus=status, ProcessingEndTime=now(), **members)


def _outputs(job: Job) -> list[dict[str, Any]]:
    return [item["S3Output"] for item in job.row.get("ProcessingOutputConfig", {}).get("Outputs", [])]


def _command(cloud: "Cloud", job: Job, base: Path) -> tuple[list[str], Path]:
    """The container's entry point and arguments, or else what its image runs by itself."""
    application = job.row["AppSpecification"]
    image = cloud.images.find(application["ImageUri"])
    entry = application.get("ContainerEntrypoint") or image.command
    if not entry:
        raise JobError(
            "ClientError: the image has no entry point of its own; give AppSpecification.ContainerEntrypoint"
        )
    words = [*entry, *application.get("ContainerArguments", [])]
    return [inside(word, base) for word in words], image.folder(cloud) or base


def _environment(cloud: "Cloud", job: Job, base: Path) -> dict[str, str]:
    return {
        **cloud.environment(),
        **{name: inside(value, base) for name, value in job.row.get("Environment", {}).items()},
        "SAGEMAKER_BASE_DIR": str(base),
        "PROCESSING_JOB_NAME": job.name,
        "PROCESSING_JOB_ARN": job.arn,
        "PYTHONUNBUFFERED": "1",
    }


def _configuration(job: Job) -> dict[str, Any]:
    members = (
        "ProcessingJobArn",
        "ProcessingJobName",
        "AppSpecification",
        "Environment",
        "ProcessingInputs",
        "ProcessingOutputConfig",
        "ProcessingResources",
        "RoleArn",
        "StoppingCondition",
    )
    return {member: job.row.get(member) for member in members}
