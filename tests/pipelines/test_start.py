"""How a run is started, found again, continued or refused: real S3 and logs, a SageMaker that holds state."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import boto3
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

from pipelines import champion, identity, runs
from pipelines.cloud import Cloud, Images
from pipelines.errors import ProjectError
from pipelines.start import Clients, Started, start
from pipelines.watch import wait
from tests.pipelines.account import FakeSageMaker

BUCKET = "start-tests"


@pytest.fixture(scope="module")
def stores(localcloud: Any) -> tuple[Any, Any]:
    """S3 with one bucket, and CloudWatch Logs."""
    s3 = localcloud.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return s3, localcloud.client("logs")


@pytest.fixture
def clients(stores: tuple[Any, Any]) -> Clients:
    return Clients(s3=stores[0], sagemaker=FakeSageMaker(), logs=stores[1])


@pytest.fixture
def account() -> Cloud:
    return Cloud("111122223333", "eu-west-1", BUCKET, "arn:aws:iam::111122223333:role/x", Images("t", "p", "s"), "f")


@pytest.fixture
def run(home: Path, stores: tuple[Any, Any]) -> runs.Run:
    """A run whose data is in the bucket under a data set's name of its own."""
    dataset = f"toy{uuid4().hex[:8]}"
    lock = home / "params" / "ncf.data.yml"
    lock.write_text(lock.read_text().replace("toy", dataset))
    model = runs.read(home, home / "params" / "ncf.yml")
    for partition in model.lock.partitions:
        stores[0].put_object(Bucket=BUCKET, Key=partition.key, Body=b"x" * partition.bytes)
    definition = identity.canonical({"Version": "2020-12-01", "Steps": [dataset]})
    uploads = {f"code/{dataset}/a.py": b"a", f"code/{dataset}/b.py": b"b"}
    return runs.Run(model, "p-ncf", identity.digest(dataset), definition, {"Commit": "abc"}, uploads)


def only(clients: Clients) -> Any:
    (execution,) = clients.sagemaker.executions.values()
    return execution


def ended(clients: Clients, status: str, *steps: dict[str, Any]) -> None:
    only(clients).status = status
    only(clients).steps = list(steps)


def test_a_new_run_creates_the_pipeline_and_starts_that_version(clients: Clients, account: Cloud, run: runs.Run):
    started = start(clients, account, run)
    assert (started.status, started.how) == ("Executing", "started version 1")
    assert clients.sagemaker.calls == ["create", "start"]
    assert (only(clients).name, only(clients).parameters) == (run.run_id, {"Commit": "abc"})
    assert len(run.run_id) <= 82


def test_f10_what_the_steps_read_is_uploaded_once(clients: Clients, account: Cloud, run: runs.Run):
    start(clients, account, run)
    key = next(iter(run.uploads))
    before = clients.s3.head_object(Bucket=BUCKET, Key=key)["LastModified"]
    start(clients, account, replace(run, uploads={key: b"other content under the same name"}))
    assert clients.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"a"
    assert clients.s3.head_object(Bucket=BUCKET, Key=key)["LastModified"] == before


@pytest.mark.parametrize(
    ("status", "how"),
    [("Executing", "already running"), ("Stopping", "already running"), ("Succeeded", "already succeeded")],
)
def test_f01_the_same_run_again_starts_nothing(clients: Clients, account: Cloud, run: runs.Run, status: str, how: str):
    first = start(clients, account, run)
    ended(clients, status)
    assert start(clients, account, run) == Started(first.arn, status, how)
    assert clients.sagemaker.calls == ["create", "start"]


def test_f01_two_builds_at_once_start_one_execution(clients: Clients, account: Cloud, run: runs.Run):
    start(clients, account, replace(run, run_id="f" * 64))
    clients.sagemaker.looking = Barrier(4)  # all of them look for the execution before one of them starts it
    with ThreadPoolExecutor(4) as pool:
        arns = set(pool.map(lambda _: start(clients, account, run).arn, range(4)))
    assert len(arns) == 1


def test_a_run_is_found_behind_newer_ones(clients: Clients, account: Cloud, run: runs.Run):
    first = start(clients, account, run)
    for number in range(5):
        start(clients, account, replace(run, run_id=f"{number}" * 64))
    clients.sagemaker.tokens.clear()  # SageMaker forgets tokens after a while
    assert start(clients, account, run).arn == first.arn


def test_another_definition_updates_the_pipeline_and_starts_the_new_version(
    clients: Clients, account: Cloud, run: runs.Run
):
    start(clients, account, run)
    other = replace(run, run_id="e" * 64, definition=identity.canonical({"Steps": ["other"]}))
    assert start(clients, account, other).how == "started version 2"
    spelled_differently = replace(other, run_id="d" * 64, definition=json.dumps({"Steps": ["other"]}, indent=4))
    assert start(clients, account, spelled_differently).how == "started version 2"


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_f10_a_failed_run_is_continued_once(clients: Clients, account: Cloud, run: runs.Run, status: str):
    first = start(clients, account, run)
    ended(clients, status, {"StepName": "Prepare", "StepStatus": "Failed"})
    again = start(clients, account, run)
    assert again == Started(first.arn, "Executing", f"was {status}, continued where it stopped")
    only(clients).status = status  # a second build looks before the state changed: the same token, so no second retry
    start(clients, account, run)
    assert clients.sagemaker.calls == ["create", "start", "retry"]
    ended(clients, status)
    only(clients).modified += timedelta(seconds=1)  # it failed anew
    start(clients, account, run)
    assert clients.sagemaker.calls == ["create", "start", "retry", "retry"]


def test_f30_a_failed_gate_is_final(clients: Clients, account: Cloud, run: runs.Run):
    start(clients, account, run)
    steps = [{"StepName": name, "StepStatus": "Succeeded"} for name in ("Prepare", "Train", "Evaluate", "Gate")]
    ended(clients, "Failed", *steps, {"StepName": "GateFailed", "StepStatus": "Failed", "FailureReason": "worse"})
    started = start(clients, account, run)
    assert (started.status, started.how) == ("Failed", "already refused by its gate")
    assert clients.sagemaker.calls == ["create", "start"]
    with pytest.raises(ProjectError, match="Failed: GateFailed: worse"):
        wait(clients, started, time.monotonic() + 5, lambda line: None)


def test_an_execution_that_holds_another_definition_is_stopped_with_exit_code_3(
    clients: Clients, account: Cloud, run: runs.Run
):
    clients.sagemaker.other_writer = identity.canonical({"Steps": ["someone else's"]})
    with pytest.raises(ProjectError, match="another definition") as caught:
        start(clients, account, run)
    assert caught.value.exit_code == 3
    assert only(clients).status == "Stopped"


def test_f21_a_missing_partition_is_named_with_the_nearest_before_anything_is_written(
    clients: Clients, account: Cloud, run: runs.Run
):
    gone, near = (partition.key for partition in run.model.lock.partitions)
    clients.s3.delete_object(Bucket=BUCKET, Key=gone)
    with pytest.raises(ProjectError) as caught:
        start(clients, account, run)
    assert str(caught.value) == f"s3://{BUCKET}/{gone}: no such partition; the nearest existing is {near}"
    assert clients.sagemaker.calls == []
    assert "Contents" not in clients.s3.list_objects_v2(Bucket=BUCKET, Prefix=next(iter(run.uploads)))


def test_f21_an_empty_bucket_is_said(clients: Clients, account: Cloud, run: runs.Run):
    for partition in run.model.lock.partitions:
        clients.s3.delete_object(Bucket=BUCKET, Key=partition.key)
    with pytest.raises(ProjectError, match="there is nothing below raw/toy"):
        start(clients, account, run)


def test_f13_a_partition_of_another_size_is_refused(clients: Clients, account: Cloud, run: runs.Run):
    clients.s3.put_object(Bucket=BUCKET, Key=run.model.lock.partitions[0].key, Body=b"")
    with pytest.raises(ProjectError, match="0 bytes, the data lock says 10"):
        start(clients, account, run)


def test_f32_a_champion_that_is_gone_is_not_taken_for_none(clients: Clients, account: Cloud, run: runs.Run):
    model = replace(run.model, champion=champion.Champion("ncf-abc", BUCKET, "steps/gone/model.tar.gz"))
    with pytest.raises(ProjectError, match="the champion's archive is gone"):
        start(clients, account, replace(run, model=model))


def test_a_bucket_that_does_not_exist_is_awss_own_sentence(clients: Clients, account: Cloud, run: runs.Run):
    with pytest.raises(ProjectError, match="ListObjectsV2 answered NoSuchBucket: The specified bucket does not exist"):
        start(clients, replace(account, bucket="no-such-bucket-anywhere"), run)


def test_f50_what_aws_denies_is_one_line_that_names_action_and_resource(account: Cloud, run: runs.Run):
    words = "User: arn:aws:iam::1:role/x is not authorized to perform: s3:ListBucket on resource: arn:aws:s3:::b"

    class Denying:
        asked = 0

        def get_paginator(self, _: str) -> "Denying":
            return self

        def paginate(self, **_: Any) -> Any:
            self.asked += 1
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": words}}, "ListObjectsV2")

    denying = Denying()
    with pytest.raises(ProjectError, match="looking for the data: ListObjectsV2 answered AccessDenied") as error:
        start(Clients(denying, None, None), account, run)
    assert (denying.asked, words in str(error.value)) == (1, True)


def test_an_endpoint_that_is_down_is_one_line(account: Cloud, run: runs.Run, localcloud: Any):
    nowhere = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:1",
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ProjectError, match="Could not connect to the endpoint URL"):
        start(Clients(nowhere, None, None), account, run)


def test_waiting_says_each_step_and_its_package(clients: Clients, account: Cloud, run: runs.Run):
    started = start(clients, account, run)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    times = {"StartTime": begun, "EndTime": begun + timedelta(seconds=1.5)}
    package = {"Lambda": {"OutputParameters": [{"Name": "package_arn", "Value": "arn:package/3"}]}}
    ended(
        clients,
        "Succeeded",
        {"StepName": "Prepare", "StepStatus": "Succeeded", "CacheHitResult": {"SourcePipelineExecutionArn": "x"}},
        {"StepName": "Train", "StepStatus": "Succeeded", **times},
        {"StepName": "Register", "StepStatus": "Succeeded", "Metadata": package},
    )
    said: list[str] = []
    assert wait(clients, started, time.monotonic() + 5, said.append) == "Succeeded"
    assert said == [
        "  Prepare: Succeeded (cached)",
        "  Train: Succeeded after 1.5 s",
        "  Register: Succeeded: arn:package/3",
    ]


def test_waiting_ends_at_the_deadline_without_saying_succeeded(clients: Clients, account: Cloud, run: runs.Run):
    started = start(clients, account, run)
    begun = time.monotonic()
    assert wait(clients, started, begun + 0.5, lambda line: None) == "Executing"
    assert 0.4 < time.monotonic() - begun < 3


def test_a_failed_jobs_last_lines_are_shown(clients: Clients, account: Cloud, run: runs.Run):
    job = f"pipelines-{uuid4().hex[:8]}-Train"
    stream = {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamName": f"{job}/algo-1"}
    if not clients.logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/TrainingJobs")["logGroups"]:
        clients.logs.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    clients.logs.create_log_stream(**stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now + number, "message": f"line {number}"} for number in range(50)]
    clients.logs.put_log_events(**stream, logEvents=events)
    started = start(clients, account, run)
    metadata = {"TrainingJob": {"Arn": f"arn:aws:sagemaker:eu-west-1:111122223333:training-job/{job}"}}
    step = {"StepName": "Train", "StepStatus": "Failed", "FailureReason": "AlgorithmError: boom", "Metadata": metadata}
    ended(clients, "Failed", step)
    said: list[str] = []
    with pytest.raises(ProjectError, match="Failed: Train: AlgorithmError: boom"):
        wait(clients, started, time.monotonic() + 5, said.append)
    assert said[0] == "  Train: Failed: AlgorithmError: boom"
    assert said[-1] == "  | line 49"
    assert len(said) == 21


def test_a_run_is_planned_from_files_alone(home: Path, account: Cloud):
    (home / "deploy" / "production").mkdir(parents=True)
    release = {"id": "ncf-9c41d2e7a0b1", "archive_uri": "s3://bkt/steps/Train/x/output/model.tar.gz"}
    (home / "deploy" / "production" / "ncf.yml").write_text(yaml.safe_dump({"release": release}))
    model = runs.read(home, home / "params" / "ncf.yml")
    planned = runs.plan(home, model, account, "abc123")
    assert planned.pipeline == "film-recommender-ncf"
    assert planned.values == {
        "Commit": "abc123",
        "Champion": "ncf-9c41d2e7a0b1",
        "ChampionUri": "s3://bkt/steps/Train/x/output/",
    }
    manifest = json.loads(planned.uploads[f"locks/{model.lock.sha256}/partitions.manifest"])
    assert manifest == [{"prefix": f"s3://{BUCKET}/"}, *[partition.key for partition in model.lock.partitions]]
    assert all(key in planned.definition for key in planned.uploads if key.endswith((".json", ".gz", ".manifest")))


def test_a_run_without_its_buildspec_is_refused(home: Path, account: Cloud):
    (home / "buildspec.yml").unlink()
    with pytest.raises(ProjectError, match=r"buildspec\.yml: no such file"):
        runs.plan(home, runs.read(home, home / "params" / "ncf.yml"), account, "x")
