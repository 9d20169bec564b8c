"""Batch transform jobs: CreateTransformJob, DescribeTransformJob, ListTransformJobs, StopTransformJob."""

from typing import TYPE_CHECKING

from . import job as jobs
from . import models
from .job import TRANSFORM, Job
from .shapes import describe
from .store import Row, arn, invalid, lock, now, refuse, unsupported
from .tags import keep
from .transform_run import run

if TYPE_CHECKING:
    from ..cloud import Cloud

CREATE = "CreateTransformJob"


def create_transform_job(cloud: "Cloud", request: Row) -> Row:
    """Start a batch transform job and answer its ARN."""
    return {"TransformJobArn": start(cloud, request).arn}


def start(cloud: "Cloud", request: Row) -> Job:
    """Accept a job and run it in the background."""
    _check(request)
    with lock(cloud):
        model = models.find(cloud, request["ModelName"])
    if model["Runs"].get("Mode") == models.MULTI_MODEL:
        raise invalid(f"Batch transform does not take the multi-model model {request['ModelName']}.")
    job = Job(TRANSFORM, _row(cloud, request))
    jobs.add(cloud, job)
    keep(cloud, job.arn, request.get("Tags"))
    cloud.spawn(lambda: run(cloud, job, model["Runs"]), f"transform {job.name}")
    return job


def describe_transform_job(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one job."""
    job = jobs.find(cloud, TRANSFORM, request["TransformJobName"])
    with lock(cloud):
        return describe("DescribeTransformJob", job.row)


def list_transform_jobs(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by name, status and time."""
    return jobs.listing(cloud, TRANSFORM, request)


def stop_transform_job(cloud: "Cloud", request: Row) -> None:
    """No further request is sent; the job passes through Stopping to Stopped."""
    jobs.request_stop(cloud, TRANSFORM, request["TransformJobName"])


def _check(request: Row) -> None:
    refuse(CREATE, request, ("DataCaptureConfig", "ExperimentConfig"))
    if request["TransformResources"]["InstanceCount"] != 1:
        raise unsupported(CREATE, "TransformResources.InstanceCount other than 1")
    given = request["TransformInput"]
    kind, split = given["DataSource"]["S3DataSource"]["S3DataType"], given.get("SplitType", "None")
    if kind not in ("S3Prefix", "ManifestFile"):
        raise unsupported(CREATE, f"S3DataType {kind}")
    if split not in ("None", "Line"):
        raise unsupported(CREATE, f"SplitType {split}")
    for member, default in (("InputFilter", "$"), ("OutputFilter", "$"), ("JoinSource", "None")):
        if request.get("DataProcessing", {}).get(member, default) != default:
            raise unsupported(CREATE, f"DataProcessing.{member}")


def _row(cloud: "Cloud", request: Row) -> Row:
    moment = now()
    return {
        "MaxConcurrentTransforms": 1,
        "MaxPayloadInMB": 6,
        "BatchStrategy": "MultiRecord",
        **{key: value for key, value in request.items() if key != "Tags"},
        "TransformJobArn": arn(cloud, "transform-job", request["TransformJobName"]),
        "TransformJobStatus": "InProgress",
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }


OPERATIONS = {
    "CreateTransformJob": create_transform_job,
    "DescribeTransformJob": describe_transform_job,
    "ListTransformJobs": list_transform_jobs,
    "StopTransformJob": stop_transform_job,
}
