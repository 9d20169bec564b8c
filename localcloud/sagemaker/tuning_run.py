"""What happens inside a tuning job: training jobs with other values, as many at a time as it may, the best one kept."""

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..service import CloudError
from . import job as jobs
from . import training
from .ending import INTERNAL
from .job import RUNNING, TRAINING, Job
from .samplers import Sampler
from .store import Row, lock, now, table

if TYPE_CHECKING:
    from ..cloud import Cloud

LOOK_SECONDS = 0.05
ATTEMPTS = 5  # so many failures and no success end a tuning job
TOP = 50  # the training jobs that a tuning step lets others refer to
NONE_SUCCEEDED = (
    "No training job succeeded after {} attempts. Please take a look at the training job failures to get more details."
)
NO_OBJECTIVE = (
    "No objective metrics found after running {} training jobs. Please ensure that the custom algorithm is emitting "
    "the objective metric as defined by the regular expression provided."
)
_TRIALS = "tuning_trials"


@dataclass(frozen=True)
class Trial:
    """One training job of a tuning job, and the values that were chosen for it."""

    number: int
    job: Job
    values: dict[str, str]


@dataclass
class Tuning:
    """A tuning job while it runs. `request` is that of its training jobs, without a name and without what is tuned."""

    job: Job
    sampler: Sampler
    request: Row
    going_on: list[Trial] = field(default_factory=list)
    exhausted: bool = False

    @property
    def limits(self) -> Row:
        """How many training jobs, and how many at a time."""
        limits: Row = self.job.row["HyperParameterTuningJobConfig"]["ResourceLimits"]
        return limits


def run(cloud: "Cloud", tuning: Tuning) -> None:
    """Take a tuning job from InProgress to Completed, Failed or Stopped; never leaves it in progress."""
    job = tuning.job
    status, reason = "Failed", INTERNAL
    try:
        while _start_more(cloud, tuning) or tuning.going_on:
            _end_some(cloud, tuning)
        status, reason = _conclusion(cloud, job)
    except CloudError as error:
        reason = jobs.explain(error)
    finally:
        _stop_all(cloud, tuning)
        with lock(cloud):
            final = {**state(cloud, job), "TrainingJobSummaries": _ranked(cloud, job)[:TOP]}
        if reason:
            final["FailureReason"] = reason
        jobs.change(cloud, job, HyperParameterTuningJobStatus=status, HyperParameterTuningEndTime=now(), **final)
        job.finished.set()


def _start_more(cloud: "Cloud", tuning: Tuning) -> bool:
    """Start as many training jobs as there is room for; whether there was any to start."""
    before = len(_trials(cloud, tuning.job))
    while len(tuning.going_on) < tuning.limits["MaxParallelTrainingJobs"] and _may_start(cloud, tuning):
        number = len(_trials(cloud, tuning.job)) + 1
        values = tuning.sampler.ask(number)
        if values is None:
            tuning.exhausted = True
        else:
            _start(cloud, tuning, number, values)
    return len(_trials(cloud, tuning.job)) > before


def _may_start(cloud: "Cloud", tuning: Tuning) -> bool:
    trials, most = _trials(cloud, tuning.job), tuning.limits.get("MaxNumberOfTrainingJobs")
    if tuning.exhausted or tuning.job.stop.is_set() or (most and len(trials) >= most):
        return False
    over = [trial for trial in trials if trial.job.status not in RUNNING]
    return len(over) < ATTEMPTS or any(_objective(tuning.job, trial) is not None for trial in over)


def _start(cloud: "Cloud", tuning: Tuning, number: int, values: dict[str, str]) -> None:
    request = {
        **tuning.request,
        "TrainingJobName": f"{tuning.job.name}-{number:03d}-{secrets.token_hex(4)}",
        "HyperParameters": {**tuning.request["HyperParameters"], **values},
    }
    job = training.start(cloud, request)
    trial = Trial(number, job, values)
    with lock(cloud):
        job.row["TuningJobArn"] = tuning.job.arn
        _trials(cloud, tuning.job).append(trial)
    tuning.going_on.append(trial)


def _end_some(cloud: "Cloud", tuning: Tuning) -> None:
    """Wait until a training job has ended, and tell the sampler; a stop of the tuning job stops them all."""
    while not any(trial.job.finished.is_set() for trial in tuning.going_on):
        if tuning.job.stop.wait(LOOK_SECONDS):
            _stop_all(cloud, tuning)
    larger = _objective_of(tuning.job)["Type"] == "Maximize"
    for trial in [trial for trial in tuning.going_on if trial.job.finished.is_set()]:
        tuning.going_on.remove(trial)
        value = _objective(tuning.job, trial)
        tuning.sampler.tell(trial.number, value if value is None or larger else -value)


def _stop_all(cloud: "Cloud", tuning: Tuning) -> None:
    for trial in tuning.going_on:
        with suppress(CloudError):  # it has just ended by itself
            jobs.request_stop(cloud, TRAINING, trial.job.name)
    for trial in tuning.going_on:
        trial.job.finished.wait()


def _conclusion(cloud: "Cloud", job: Job) -> tuple[str, str]:
    """The status a tuning job ends with, and why if it failed."""
    if job.stop.is_set():
        return "Stopped", ""
    trials = _trials(cloud, job)
    if any(_objective(job, trial) is not None for trial in trials):
        return "Completed", ""
    succeeded = [trial for trial in trials if trial.job.status == "Completed"]
    return "Failed", (NO_OBJECTIVE if succeeded else NONE_SUCCEEDED).format(len(trials))


def state(cloud: "Cloud", job: Job) -> Row:
    """What a tuning job has come to so far: how its training jobs stand, and the best of them."""
    trials = _trials(cloud, job)
    statuses = [trial.job.status for trial in trials]
    objectives = [_objective_status(job, trial) for trial in trials]
    best = _ranked(cloud, job)[:1]
    return {
        "TrainingJobStatusCounters": {
            "Completed": statuses.count("Completed"),
            "InProgress": sum(status in RUNNING for status in statuses),
            "RetryableError": 0,
            "NonRetryableError": statuses.count("Failed"),
            "Stopped": statuses.count("Stopped"),
        },
        "ObjectiveStatusCounters": {status: objectives.count(status) for status in ("Succeeded", "Pending", "Failed")},
        **({"BestTrainingJob": best[0]} if best else {}),
    }


def summaries(cloud: "Cloud", job: Job) -> list[Row]:
    """Its training jobs, in the order in which they were started."""
    return [_summary(job, trial) for trial in _trials(cloud, job)]


def _ranked(cloud: "Cloud", job: Job) -> list[Row]:
    """The training jobs that have an objective, the best first."""
    member = "FinalHyperParameterTuningJobObjectiveMetric"
    rows = [row for row in summaries(cloud, job) if member in row]
    return sorted(rows, key=lambda row: row[member]["Value"], reverse=_objective_of(job)["Type"] == "Maximize")


def _summary(job: Job, trial: Trial) -> Row:
    row, value = trial.job.row, _objective(job, trial)
    found: dict[str, Any] = {
        "TrainingJobName": trial.job.name,
        "TrainingJobArn": trial.job.arn,
        "CreationTime": row["CreationTime"],
        "TrainingStartTime": row.get("TrainingStartTime"),
        "TrainingEndTime": row.get("TrainingEndTime"),
        "TrainingJobStatus": trial.job.status,
        "TunedHyperParameters": trial.values,
        "FailureReason": row.get("FailureReason"),
        "ObjectiveStatus": _objective_status(job, trial),
    }
    if value is not None:
        found["FinalHyperParameterTuningJobObjectiveMetric"] = {**_objective_of(job), "Value": value}
    return {name: member for name, member in found.items() if member is not None}


def _objective_of(job: Job) -> Row:
    objective: Row = job.row["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    return objective


def _objective(job: Job, trial: Trial) -> float | None:
    """The last value of the objective in a completed training job's log."""
    if trial.job.status != "Completed":
        return None
    name = _objective_of(job)["MetricName"]
    rows = trial.job.row.get("FinalMetricDataList", [])
    return next((float(row["Value"]) for row in rows if row["MetricName"] == name), None)


def _objective_status(job: Job, trial: Trial) -> str:
    if trial.job.status in RUNNING:
        return "Pending"
    return "Failed" if _objective(job, trial) is None else "Succeeded"


def _trials(cloud: "Cloud", job: Job) -> list[Trial]:
    trials: list[Trial] = table(cloud, _TRIALS).setdefault(job.name, [])
    return trials
