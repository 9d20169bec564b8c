"""Tuning jobs: CreateHyperParameterTuningJob and what describes, lists and stops them and their training jobs."""

from typing import TYPE_CHECKING

from . import job as jobs
from . import training
from .job import TUNING, Job
from .samplers import dimensions, sampler
from .shapes import check, describe
from .store import Row, arn, invalid, listed, lock, now, refuse, table
from .tags import keep
from .tuning_run import Tuning, run, state, summaries

if TYPE_CHECKING:
    from ..cloud import Cloud

CREATE = "CreateHyperParameterTuningJob"
NEEDED = ("HyperParameterTuningJobObjective", "ParameterRanges")
# members that are the training job's own, under the same names
SHARED = (
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "Environment",
)
_REFUSED = {
    "": ("TrainingJobDefinitions", "WarmStartConfig", "Autotune"),
    "HyperParameterTuningJobConfig": ("StrategyConfig", "TuningJobCompletionCriteria"),
    "TrainingJobDefinition": (
        "TuningObjective",
        "HyperParameterRanges",
        "VpcConfig",
        "HyperParameterTuningResourceConfig",
        "RetryStrategy",
    ),
}


def create_tuning_job(cloud: "Cloud", request: Row) -> Row:
    """Start a tuning job and answer its ARN."""
    return {"HyperParameterTuningJobArn": start(cloud, request).arn}


def start(cloud: "Cloud", request: Row) -> Job:
    """Accept a tuning job and run its training jobs in the background."""
    _check(request)
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    space = dimensions(config["ParameterRanges"])
    fixed = definition.get("StaticHyperParameters", {})
    both = sorted({dimension.name for dimension in space} & set(fixed))
    if both:
        raise invalid(f"Hyperparameters cannot be both static and tunable: {', '.join(both)}")
    job = Job(TUNING, _row(cloud, request))
    tuning = Tuning(job, sampler(config, space), _training(config, definition))
    _check_training(tuning.request)
    jobs.add(cloud, job)
    keep(cloud, job.arn, request.get("Tags"))
    cloud.spawn(lambda: run(cloud, tuning), f"tuning {job.name}")
    return job


def describe_tuning_job(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one tuning job, with the best of its training jobs so far."""
    job = jobs.find(cloud, TUNING, request["HyperParameterTuningJobName"])
    with lock(cloud):
        job.row.update(state(cloud, job))
        return describe("DescribeHyperParameterTuningJob", job.row)


def list_tuning_jobs(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by name, status and time."""
    with lock(cloud):
        for job in table(cloud, TUNING.table).values():
            job.row.update(state(cloud, job))
    return jobs.listing(cloud, TUNING, request)


def list_training_jobs(cloud: "Cloud", request: Row) -> Row:
    """The training jobs of one tuning job; sorted by their objective, only those that have one."""
    job = jobs.find(cloud, TUNING, request["HyperParameterTuningJobName"])
    status, by = request.get("StatusEquals"), request.get("SortBy", "Name")
    with lock(cloud):
        rows = [row for row in summaries(cloud, job) if not status or row["TrainingJobStatus"] == status]
    objective = "FinalHyperParameterTuningJobObjectiveMetric"
    if by == "FinalObjectiveMetricValue":
        rows = [row for row in rows if objective in row]
    keys = {
        "Name": lambda row: row["TrainingJobName"],
        "CreationTime": lambda row: row["CreationTime"],
        "Status": lambda row: row["TrainingJobStatus"],
        "FinalObjectiveMetricValue": lambda row: row[objective]["Value"],
    }
    return listed("TrainingJobSummaries", rows, {"SortOrder": "Ascending", **request}, keys[by])


def stop_tuning_job(cloud: "Cloud", request: Row) -> None:
    """Stop its training jobs; the tuning job passes through Stopping to Stopped."""
    jobs.request_stop(cloud, TUNING, request["HyperParameterTuningJobName"])


def _check(request: Row) -> None:
    for member, refused in _REFUSED.items():
        refuse(CREATE, request.get(member, {}) if member else request, refused)
    config, definition = request["HyperParameterTuningJobConfig"], request.get("TrainingJobDefinition")
    if not definition:
        raise invalid("TrainingJobDefinition is required.")
    missing = [member for member in NEEDED if not config.get(member)]
    if missing:
        raise invalid(f"{missing[0]} is required.")
    if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        refuse(CREATE, {"TrainingJobEarlyStoppingType Auto": True}, ("TrainingJobEarlyStoppingType Auto",))
    refuse(CREATE, config["ResourceLimits"], ("MaxRuntimeInSeconds",))
    refuse(CREATE, config["ParameterRanges"], ("AutoParameters",))
    metric = config["HyperParameterTuningJobObjective"]["MetricName"]
    defined = definition["AlgorithmSpecification"].get("MetricDefinitions", [])
    if metric not in [row["Name"] for row in defined]:
        raise invalid(
            "A metric is required for this hyperparameter tuning job objective. "
            "Provide a metric in the metric definitions."
        )


def _check_training(request: Row) -> None:
    """What would be refused of each training job is refused of the tuning job."""
    sample = {**request, "TrainingJobName": "x"}
    check("CreateTrainingJob", sample)
    training.check(sample)


def _training(config: Row, definition: Row) -> Row:
    """The request of its training jobs, without their names and what is tuned."""
    metric = config["HyperParameterTuningJobObjective"]["MetricName"]
    return {
        **{name: definition[name] for name in SHARED if name in definition},
        "AlgorithmSpecification": definition["AlgorithmSpecification"],
        "HyperParameters": {**definition.get("StaticHyperParameters", {}), "_tuning_objective_metric": metric},
    }


def _row(cloud: "Cloud", request: Row) -> Row:
    moment = now()
    return {
        **{key: value for key, value in request.items() if key != "Tags"},
        "HyperParameterTuningJobArn": arn(cloud, TUNING.resource, request["HyperParameterTuningJobName"]),
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }


OPERATIONS = {
    "CreateHyperParameterTuningJob": create_tuning_job,
    "DescribeHyperParameterTuningJob": describe_tuning_job,
    "ListHyperParameterTuningJobs": list_tuning_jobs,
    "ListTrainingJobsForHyperParameterTuningJob": list_training_jobs,
    "StopHyperParameterTuningJob": stop_tuning_job,
}
