"""What happens inside a training job, from the download of its channels to the upload of its model."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import archives, instances, toolkit, transfers
from . import job as jobs
from .container import Launch, Outcome, inside
from .ending import ended
from .instances import Instance
from .job import Job, JobError
from .metrics import Metrics
from .store import Row, folder, lock, now
from .toolkit import Layout

if TYPE_CHECKING:
    from ..cloud import Cloud

MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job stopped as it exceeded the maximum runtime",
}


def run(cloud: "Cloud", job: Job, patterns: dict[str, re.Pattern[str]]) -> None:
    """Take a job from Starting to Completed, Failed or Stopped; never leaves it in progress."""
    base = folder(cloud, "training", job.name)
    places = instances.instances(base, job.row["ResourceConfig"].get("InstanceCount", 1))
    with ended(job, base, lambda reason: _end(cloud, job, "Failed", FailureReason=reason)):
        enter(cloud, job, "Starting")
        enter(cloud, job, "Downloading", TrainingStartTime=now())
        for place in places:
            _prepare(cloud, job, place)
        _train(cloud, job, places, patterns)


def enter(cloud: "Cloud", job: Job, secondary: str, **members: Any) -> None:
    """Pass to the next secondary status and record the transition."""
    with lock(cloud):
        moment, transitions = now(), job.row["SecondaryStatusTransitions"]
        if transitions:
            transitions[-1] = {**transitions[-1], "EndTime": moment}
        transition = {"Status": secondary, "StartTime": moment, "StatusMessage": MESSAGES[secondary]}
        members["SecondaryStatusTransitions"] = [*transitions, transition]
    jobs.change(cloud, job, SecondaryStatus=secondary, **members)


def _prepare(cloud: "Cloud", job: Job, place: Instance) -> None:
    layout = place.layout
    layout.create()
    for channel in job.row.get("InputDataConfig", []):
        source = channel["DataSource"]["S3DataSource"]
        transfers.download(cloud, source["S3Uri"], source["S3DataType"], layout.channel(channel["ChannelName"]))
    submitted = _hyperparameters(job).get("sagemaker_submit_directory")
    if submitted:
        _unpack_code(cloud, str(submitted), layout)
    checkpoints = job.row.get("CheckpointConfig")
    if checkpoints and transfers.exists(cloud, checkpoints["S3Uri"]):
        transfers.download(cloud, checkpoints["S3Uri"], "S3Prefix", _checkpoints(checkpoints, layout))
    _write_config(job, place)


def _train(cloud: "Cloud", job: Job, places: list[Instance], patterns: dict[str, re.Pattern[str]]) -> None:
    launches = [_launch(cloud, job, place) for place in places]
    enter(cloud, job, "Training")
    metrics = Metrics(cloud, job.name, patterns)
    outcome = instances.run(cloud, launches, metrics.observe)
    with lock(cloud):
        job.row["FinalMetricDataList"] = list(metrics.final.values())
    _upload(cloud, job, places, succeeded=not outcome.code or outcome.timed_out or job.stop.is_set())
    _conclude(cloud, job, places, outcome)


def _launch(cloud: "Cloud", job: Job, place: Instance) -> Launch:
    command, cwd = _command(cloud, job, place.layout)
    return Launch(
        command=command,
        env=_environment(cloud, job, place),
        cwd=cwd,
        output=place.layout.base / "container.log",
        group="/aws/sagemaker/TrainingJobs",
        stream=f"{job.name}/algo-{place.number}-{int(now().timestamp())}",
        seconds=job.row["StoppingCondition"]["MaxRuntimeInSeconds"],
        stop=job.stop,
    )


def _conclude(cloud: "Cloud", job: Job, places: list[Instance], outcome: Outcome) -> None:
    if outcome.timed_out:
        _end(cloud, job, "Stopped", "MaxRuntimeExceeded")
    elif job.stop.is_set():
        _end(cloud, job, "Stopped")
    elif outcome.code:
        raise JobError(jobs.failure_reason(_reason(places, outcome), outcome.code))
    else:
        _end(cloud, job, "Completed")


def _end(cloud: "Cloud", job: Job, status: str, secondary: str = "", **members: Any) -> None:
    moment = now()
    started = job.row.get("TrainingStartTime", moment)
    seconds = round((moment - started).total_seconds())
    spent = {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds, "TrainingEndTime": moment}
    enter(cloud, job, secondary or status, TrainingJobStatus=status, **spent, **members)


def _upload(cloud: "Cloud", job: Job, places: list[Instance], *, succeeded: bool) -> None:
    layout = places[0].layout
    config = job.row["OutputDataConfig"]
    target = f"{config['S3OutputPath'].rstrip('/')}/{job.name}/output"
    checkpoints = job.row.get("CheckpointConfig")
    if checkpoints:
        for place in reversed(places):  # where two have the same file the first one's stays
            transfers.upload_folder(cloud, _checkpoints(checkpoints, place.layout), checkpoints["S3Uri"])
    if succeeded:
        instances.gather(places)
        enter(cloud, job, "Uploading")
        model = _send(cloud, layout.model, f"{target}/model", config)
        with lock(cloud):
            job.row["ModelArtifacts"] = {"S3ModelArtifacts": model}
    if any((layout.output / "data").rglob("*")):  # also when the script has removed the folder
        _send(cloud, layout.output / "data", f"{target}/output", config)


def _send(cloud: "Cloud", source: Path, target: str, config: Row) -> str:
    """Upload a folder as one archive, or file by file where the job asks for CompressionType NONE."""
    if config.get("CompressionType") == "NONE":
        transfers.upload_folder(cloud, source, target)
        return f"{target}/"
    packed = source.with_name(f"{source.name}.tar.gz")
    archives.pack(source, packed)
    transfers.upload(cloud, packed, f"{target}.tar.gz")
    return f"{target}.tar.gz"


def _hyperparameters(job: Job) -> dict[str, Any]:
    return toolkit.decode(job.row.get("HyperParameters", {}))


def _checkpoints(config: Row, layout: Layout) -> Path:
    return Path(inside(config.get("LocalPath", "/opt/ml/checkpoints"), layout.base))


def _unpack_code(cloud: "Cloud", uri: str, layout: Layout) -> None:
    packed = layout.base / "sourcedir.tar.gz"
    transfers.download_file(cloud, uri, packed)
    try:
        archives.unpack(packed, layout.code)
    except archives.ArchiveError as error:
        raise JobError(f"AlgorithmError: {uri}: {error}, exit code: 1") from error


def _write_config(job: Job, place: Instance) -> None:
    documents = {
        "hyperparameters": job.row.get("HyperParameters", {}),
        "inputdataconfig": _channels(job),
        "resourceconfig": _resources(job, place),
    }
    for name, document in documents.items():
        (place.layout.config / f"{name}.json").write_text(json.dumps(document))


def _channels(job: Job) -> dict[str, Row]:
    return {
        channel["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",  # what sharding comes to on one instance; of more it is refused
            "RecordWrapperType": "None",
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
        }
        for channel in job.row.get("InputDataConfig", [])
    }


def _resources(job: Job, place: Instance) -> Row:
    return place.resources(job.row["ResourceConfig"]["InstanceType"])


def _command(cloud: "Cloud", job: Job, layout: Layout) -> tuple[list[str], Path]:
    """What the container runs and where: its entry point, its image's own `train`, or a script."""
    algorithm = job.row["AlgorithmSpecification"]
    image = cloud.images.find(algorithm["TrainingImage"])
    files = image.folder(cloud)
    entry = algorithm.get("ContainerEntrypoint")
    if entry:
        words = [*entry, *algorithm.get("ContainerArguments", [])]
        return [inside(word, layout.base) for word in words], files or layout.code
    if files:
        return [*image.command, "train"], files
    return _script(_hyperparameters(job), layout), layout.code


def _script(hyperparameters: dict[str, Any], layout: Layout) -> list[str]:
    program = str(hyperparameters.get("sagemaker_program", ""))
    path = (layout.code / program).resolve()
    if not program or not path.is_file() or not path.is_relative_to(layout.code):
        given = "a hyperparameter sagemaker_program" if not program else f"{program} in sagemaker_submit_directory"
        raise JobError(f"AlgorithmError: the training image runs a script, and there is no {given}, exit code: 1")
    arguments = toolkit.arguments(toolkit.script_parameters(hyperparameters))
    return [*_interpreter(program, path, layout), *arguments]


def _interpreter(program: str, path: Path, layout: Layout) -> Sequence[str]:
    if (layout.code / "setup.py").exists():
        return [sys.executable, "-m", program.removesuffix(".py")]
    if program.endswith(".py"):
        return [sys.executable, program]
    path.chmod(0o755)
    return [str(path)]


def _environment(cloud: "Cloud", job: Job, place: Instance) -> dict[str, str]:
    layout = place.layout
    own = {name: inside(value, layout.base) for name, value in job.row.get("Environment", {}).items()}
    return {
        **cloud.environment(),
        **toolkit.environment(layout, _hyperparameters(job), _channels(job), _resources(job, place)),
        **place.environment,
        **own,
        "SAGEMAKER_BASE_DIR": str(layout.base),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        "CURRENT_HOST": place.host,
        "PYTHONPATH": str(layout.code),
        "PYTHONUNBUFFERED": "1",
    }


def _reason(places: list[Instance], outcome: Outcome) -> str:
    for place in places:
        failure = place.layout.output / "failure"
        if failure.is_file():
            return failure.read_text(errors="replace")
    return jobs.last_lines(outcome.tail)
