"""Training jobs: CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob."""

from typing import TYPE_CHECKING

from . import job as jobs
from .instances import MOST
from .job import TRAINING, Job
from .metrics import compile_all
from .shapes import describe
from .store import Row, arn, invalid, lock, now, refuse, unsupported
from .tags import keep
from .training_run import run

if TYPE_CHECKING:
    from ..cloud import Cloud

CREATE = "CreateTrainingJob"
DEFAULT_SECONDS = 86_400
_REFUSED = (
    "VpcConfig",
    "DebugRuleConfigurations",
    "ProfilerRuleConfigurations",
    "TensorBoardOutputConfig",
    "ServerlessJobConfig",
    "MlflowConfig",
    "ModelPackageConfig",
    "RetryStrategy",
    "SessionChainingConfig",
)


def create_training_job(cloud: "Cloud", request: Row) -> Row:
    """Start a training job and answer its ARN."""
    return {"TrainingJobArn": start(cloud, request).arn}


def start(cloud: "Cloud", request: Row) -> Job:
    """Accept a job and run it in the background."""
    check(request)
    patterns = compile_all(request["AlgorithmSpecification"].get("MetricDefinitions", []))
    job = Job(TRAINING, _row(cloud, request))
    jobs.add(cloud, job)
    keep(cloud, job.arn, request.get("Tags"))
    cloud.spawn(lambda: run(cloud, job, patterns), f"training {job.name}")
    return job


def describe_training_job(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one job."""
    job = jobs.find(cloud, TRAINING, request["TrainingJobName"])
    with lock(cloud):
        return describe("DescribeTrainingJob", job.row)


def list_training_jobs(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by name, status and time."""
    refuse("ListTrainingJobs", request, ("WarmPoolStatusEquals", "TrainingPlanArnEquals"))
    return jobs.listing(cloud, TRAINING, request)


def stop_training_job(cloud: "Cloud", request: Row) -> None:
    """SIGTERM to the container; the job passes through Stopping to Stopped."""
    jobs.request_stop(cloud, TRAINING, request["TrainingJobName"])


def check(request: Row) -> None:
    """Refuse what localcloud does not do, and what SageMaker would refuse too."""
    refuse(CREATE, request, _REFUSED)
    algorithm, resources = request["AlgorithmSpecification"], request.get("ResourceConfig", {})
    if not algorithm.get("TrainingImage"):
        raise unsupported(CREATE, "an AlgorithmName; give AlgorithmSpecification.TrainingImage")
    if algorithm["TrainingInputMode"] == "Pipe":
        raise unsupported(CREATE, "TrainingInputMode Pipe; use File")
    count = resources.get("InstanceCount", 1)
    if resources.get("InstanceGroups") or not 1 <= count <= MOST:
        raise unsupported(CREATE, f"ResourceConfig other than an InstanceCount of 1 to {MOST}")
    if not resources.get("InstanceType"):
        raise invalid("ResourceConfig.InstanceType is required.")
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(names) != len(set(names)):
        raise invalid(f"Channel names must be unique: {', '.join(sorted(names))}")
    for channel in request.get("InputDataConfig", []):
        _check_channel(channel, count)


def _check_channel(channel: Row, count: int) -> None:
    name, source = channel["ChannelName"], channel["DataSource"]
    s3 = source.get("S3DataSource")
    if not s3 or s3["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise unsupported(CREATE, f"channel {name}: only S3DataSource of type S3Prefix or ManifestFile")
    if count > 1 and s3.get("S3DataDistributionType") == "ShardedByS3Key":
        raise unsupported(CREATE, f"channel {name}: ShardedByS3Key over several instances; use FullyReplicated")
    if name in (".", ".."):
        raise invalid(f"Invalid channel name: {name}")
    for member in ("CompressionType", "RecordWrapperType"):
        if channel.get(member, "None") != "None":
            raise unsupported(CREATE, f"channel {name}: {member} {channel[member]}")
    refuse(CREATE, channel, ("ShuffleConfig",))
    if channel.get("InputMode") == "Pipe":
        raise unsupported(CREATE, f"channel {name}: InputMode Pipe; use File")


def _row(cloud: "Cloud", request: Row) -> Row:
    moment = now()
    stopping = {"MaxRuntimeInSeconds": DEFAULT_SECONDS, **request.get("StoppingCondition", {})}
    return {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **{key: value for key, value in request.items() if key != "Tags"},
        "TrainingJobArn": arn(cloud, "training-job", request["TrainingJobName"]),
        "StoppingCondition": stopping,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [],
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }


OPERATIONS = {
    "CreateTrainingJob": create_training_job,
    "DescribeTrainingJob": describe_training_job,
    "ListTrainingJobs": list_training_jobs,
    "StopTrainingJob": stop_training_job,
}
