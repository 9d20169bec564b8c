"""Processing jobs: CreateProcessingJob, DescribeProcessingJob, ListProcessingJobs, StopProcessingJob."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from . import job as jobs
from .job import PROCESSING, Job
from .processing_run import run
from .shapes import describe
from .store import Row, arn, invalid, lock, now, unsupported
from .tags import keep

if TYPE_CHECKING:
    from ..cloud import Cloud

CREATE = "CreateProcessingJob"
ROOT = PurePosixPath("/opt/ml/processing")
DEFAULT_SECONDS = 86_400


def create_processing_job(cloud: "Cloud", request: Row) -> Row:
    """Start a processing job and answer its ARN."""
    return {"ProcessingJobArn": start(cloud, request).arn}


def start(cloud: "Cloud", request: Row) -> Job:
    """Accept a job and run it in the background."""
    _check(request)
    job = Job(PROCESSING, _row(cloud, request))
    jobs.add(cloud, job)
    keep(cloud, job.arn, request.get("Tags"))
    cloud.spawn(lambda: run(cloud, job), f"processing {job.name}")
    return job


def describe_processing_job(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one job."""
    job = jobs.find(cloud, PROCESSING, request["ProcessingJobName"])
    with lock(cloud):
        return describe("DescribeProcessingJob", job.row)


def list_processing_jobs(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by name, status and time."""
    return jobs.listing(cloud, PROCESSING, request)


def stop_processing_job(cloud: "Cloud", request: Row) -> None:
    """SIGTERM to the container; the job passes through Stopping to Stopped."""
    jobs.request_stop(cloud, PROCESSING, request["ProcessingJobName"])


def _check(request: Row) -> None:
    cluster = request["ProcessingResources"]["ClusterConfig"]
    if cluster.get("InstanceCount", 1) != 1:
        raise unsupported(CREATE, "ClusterConfig.InstanceCount other than 1")
    if request.get("NetworkConfig", {}).get("VpcConfig"):
        raise unsupported(CREATE, "NetworkConfig.VpcConfig")
    inputs = request.get("ProcessingInputs", [])
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    _check_unique([item["InputName"] for item in inputs], "input")
    _check_unique([item["OutputName"] for item in outputs], "output")
    for item in inputs:
        _check_input(item)
    for item in outputs:
        _check_output(item)


def _check_unique(names: list[str], word: str) -> None:
    if len(names) != len(set(names)):
        raise invalid(f"Processing {word} names must be unique: {', '.join(sorted(names))}")


def _check_input(item: Row) -> None:
    name, source = item["InputName"], item.get("S3Input")
    if not source:
        raise unsupported(CREATE, f"input {name}: DatasetDefinition; use S3Input")
    if source.get("S3InputMode", "File") != "File":
        raise unsupported(CREATE, f"input {name}: S3InputMode {source['S3InputMode']}; use File")
    if source.get("S3CompressionType", "None") != "None":
        raise unsupported(CREATE, f"input {name}: S3CompressionType {source['S3CompressionType']}")
    if not item.get("AppManaged"):
        _check_path(source.get("LocalPath"), name)


def _check_output(item: Row) -> None:
    if item.get("AppManaged") or not item.get("S3Output"):
        raise unsupported(CREATE, f"output {item['OutputName']}: only an S3Output that SageMaker uploads")
    _check_path(item["S3Output"].get("LocalPath"), item["OutputName"])


def _check_path(local: str | None, name: str) -> None:
    path = PurePosixPath(local or "/")
    if not path.is_relative_to(ROOT) or ".." in path.parts:
        raise invalid(f"LocalPath {local} of {name} is invalid. LocalPath must begin with {ROOT}.")


def _row(cloud: "Cloud", request: Row) -> Row:
    moment = now()
    return {
        **{key: value for key, value in request.items() if key != "Tags"},
        "StoppingCondition": request.get("StoppingCondition", {"MaxRuntimeInSeconds": DEFAULT_SECONDS}),
        "ProcessingJobArn": arn(cloud, "processing-job", request["ProcessingJobName"]),
        "ProcessingJobStatus": "InProgress",
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }


OPERATIONS = {
    "CreateProcessingJob": create_processing_job,
    "DescribeProcessingJob": describe_processing_job,
    "ListProcessingJobs": list_processing_jobs,
    "StopProcessingJob": stop_processing_job,
}
