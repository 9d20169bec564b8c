"""The one module that talks to the cloud: checks the data, uploads, and starts or finds the one execution of a run."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipelines import crash, expiry
from pipelines.cloud import Cloud
from pipelines.errors import ProjectError
from pipelines.identity import canonical, digest
from pipelines.params import DataLock
from pipelines.runs import Run

FINAL_STEP = "GateFailed"


@dataclass(frozen=True)
class Clients:
    """boto3 clients of one region."""

    s3: Any
    sagemaker: Any
    logs: Any


@dataclass(frozen=True)
class Started:
    """The execution of a run. `status` is SageMaker's; `how` says what this call did about it, in a few words."""

    arn: str
    status: str
    how: str


def connect(cloud: Cloud) -> Clients:
    """Clients that outlast a burst of throttling: three attempts do not survive five answers of 503, eight do."""
    session = boto3.Session(region_name=cloud.region)
    config = Config(retries={"total_max_attempts": 8, "mode": "standard"}, max_pool_connections=8)
    return Clients(*(expiry.watched(session.client(name, config=config)) for name in ("s3", "sagemaker", "logs")))


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """AWS's refusal as one line: what was being done, AWS's code and sentence."""
    try:
        yield
    except ClientError as error:
        code, message = error.response["Error"].get("Code", "?"), error.response["Error"].get("Message", "")
        raise ProjectError(f"{doing}: {error.operation_name} answered {code}: {message}") from error
    except BotoCoreError as error:
        raise ProjectError(f"{doing}: {error}; check credentials, region and network") from error


def start(clients: Clients, cloud: Cloud, run: Run) -> Started:
    """Start the run, or find the execution that already has its identity; a failed one is continued.

    Raises ProjectError before anything is written when data is missing, and with exit code 3 when SageMaker holds
    another definition for the execution than the one compiled here.
    """
    check_data(clients, cloud, run.model.lock)
    check_champion(clients, run)
    crash.point("start:before-upload")
    with explained(f"{run.pipeline}: uploading to {cloud.bucket}"):
        upload(clients, cloud, run)
    crash.point("start:after-upload")
    with explained(f"{run.pipeline}: starting"):
        version = put_pipeline(clients, cloud, run)
        crash.point("start:after-pipeline")
        found = find_execution(clients, run)
        if found is None:
            return start_new(clients, run, version)
        return resume(clients, found)


def check_data(clients: Clients, cloud: Cloud, lock: DataLock) -> None:
    """Every locked partition is in the bucket with its size. Raises ProjectError naming the first that is not."""
    prefix = f"raw/{lock.dataset}/"
    with explained(f"s3://{cloud.bucket}/{prefix}: looking for the data"):
        pages = clients.s3.get_paginator("list_objects_v2").paginate(Bucket=cloud.bucket, Prefix=prefix)
        sizes = {entry["Key"]: int(entry["Size"]) for page in pages for entry in page.get("Contents", [])}
    for partition in lock.partitions:
        address = f"s3://{cloud.bucket}/{partition.key}"
        if partition.key not in sizes:
            raise ProjectError(f"{address}: no such partition; {nearest_key(partition.key, sorted(sizes), prefix)}")
        if sizes[partition.key] != partition.bytes:
            raise ProjectError(
                f"{address}: {sizes[partition.key]} bytes, the data lock says {partition.bytes}; "
                "lock it again with `python -m gitops data`"
            )


def nearest_key(wrong: str, keys: list[str], prefix: str) -> str:
    """What to say about a key that is not there."""
    match = get_close_matches(wrong, keys, n=1, cutoff=0.0)
    return f"the nearest existing is {match[0]}" if match else f"there is nothing below {prefix}, upload it first"


def check_champion(clients: Clients, run: Run) -> None:
    """The archive that production serves can be read. Raises ProjectError when it is gone: no gate without it."""
    champion = run.model.champion
    if champion is None:
        return
    address = f"{champion.folder}model.tar.gz"
    with explained(f"{address}: reading the champion"):
        listed = clients.s3.list_objects_v2(Bucket=champion.bucket, Prefix=champion.key, MaxKeys=1)
    if not listed.get("KeyCount"):
        raise ProjectError(f"{address}: the champion's archive is gone; restore it, or promote a release that is there")


def upload(clients: Clients, cloud: Cloud, run: Run) -> None:
    """Put what the steps read under its content's name; what is already there is left alone."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda item: put_once(clients, cloud.bucket, *item), run.uploads.items()))


def put_once(clients: Clients, bucket: str, key: str, content: bytes) -> None:
    """Write an object unless its key exists (409: another writer is at it, with the same content)."""
    try:
        clients.s3.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in {409, 412}:
            raise


def put_pipeline(clients: Clients, cloud: Cloud, run: Run) -> int:
    """The version of the pipeline that holds exactly this definition; created or updated when the latest does not."""
    sagemaker = clients.sagemaker
    wanted = {"PipelineName": run.pipeline, "PipelineDefinition": run.definition, "RoleArn": cloud.role_arn}
    try:
        latest = sagemaker.describe_pipeline(PipelineName=run.pipeline)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"ResourceNotFound", "ResourceNotFoundException"}:
            raise
        sagemaker.create_pipeline(**wanted, ClientRequestToken=run.run_id)
        return latest_version(clients, run.pipeline)
    if same(latest["PipelineDefinition"], run.definition) and latest["RoleArn"] == cloud.role_arn:
        return latest_version(clients, run.pipeline)
    return int(sagemaker.update_pipeline(**wanted)["PipelineVersionId"])


def latest_version(clients: Clients, pipeline: str) -> int:
    """The number of the pipeline's newest version."""
    listed = clients.sagemaker.list_pipeline_versions(PipelineName=pipeline, SortOrder="Descending", MaxResults=1)
    return int(listed["PipelineVersionSummaries"][0]["PipelineVersionId"])


def same(one: str, other: str) -> bool:
    """Whether two definitions say the same, however they are spelled."""
    import json

    return digest(json.loads(one)) == digest(json.loads(other))


def find_execution(clients: Clients, run: Run) -> dict[str, Any] | None:
    """The newest execution whose display name is the run's identity."""
    pages = clients.sagemaker.get_paginator("list_pipeline_executions").paginate(
        PipelineName=run.pipeline, SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        for summary in page["PipelineExecutionSummaries"]:
            if summary.get("PipelineExecutionDisplayName") == run.run_id:
                return dict(summary)
    return None


def start_new(clients: Clients, run: Run, version: int) -> Started:
    """Start that version under the run's identity, twice at once being once, and check what SageMaker took."""
    arn = clients.sagemaker.start_pipeline_execution(
        PipelineName=run.pipeline,
        PipelineExecutionDisplayName=run.run_id,
        ClientRequestToken=run.run_id,
        PipelineVersionId=version,
        PipelineParameters=[{"Name": name, "Value": value} for name, value in run.values.items()],
    )["PipelineExecutionArn"]
    crash.point("start:after-start")
    held = clients.sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    if not same(held["PipelineDefinition"], run.definition):
        clients.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=digest([arn, "stop"]))
        raise ProjectError(
            f"{arn}: SageMaker holds another definition than the one compiled here, so it was stopped; "
            "another writer updates this pipeline, run it again when it is done",
            exit_code=3,
        )
    return Started(arn, "Executing", f"started version {version}")


def resume(clients: Clients, found: dict[str, Any]) -> Started:
    """Report a run that is going on or has succeeded; continue a failed one, unless its gate decided."""
    arn, status = found["PipelineExecutionArn"], found["PipelineExecutionStatus"]
    if status not in {"Failed", "Stopped"}:
        return Started(arn, status, "already succeeded" if status == "Succeeded" else "already running")
    if gate_failed(clients, arn):
        return Started(arn, status, "already refused by its gate")
    modified = clients.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["LastModifiedTime"]
    token = hashlib.sha256(canonical([arn, modified.isoformat()]).encode()).hexdigest()
    clients.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token)
    crash.point("start:after-retry")
    return Started(arn, "Executing", f"was {status}, continued where it stopped")


def gate_failed(clients: Clients, arn: str) -> bool:
    """Whether an execution ended in the gate's fail step: final until its inputs or the nonce change."""
    return any(step["StepName"] == FINAL_STEP for step in list_steps(clients, arn))


def list_steps(clients: Clients, arn: str) -> list[dict[str, Any]]:
    """The execution's steps, oldest first."""
    pages = clients.sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, SortOrder="Ascending"
    )
    return [step for page in pages for step in page["PipelineExecutionSteps"]]
