"""The build projects of the template, started on localcloud as their rules start them."""

import io
import json
import time
import zipfile
from typing import Any

import pytest

from .conftest import ROOT, command, words

SPY = "import os, sys\nprint('called', sys.argv[1:], os.environ.get('COMMIT'), os.environ.get('GIT_TOKEN'))\n"


@pytest.fixture(scope="module")
def project(localcloud) -> str:
    """A stack of its own, with a real secret; its commits hold a `gitops` that only says how it was called."""
    name = "infra-builds"
    secret = localcloud.client("secretsmanager").create_secret(Name=f"{name}-token", SecretString="t0ken-0f-the-bot")
    arn = secret["ARN"]
    made = command(
        localcloud, "deploy", *words(name, GitTokenSecretArn=arn, GitReadTokenSecretArn="", CreateOidcProvider="false")
    )
    assert made.returncode == 0, made.stderr
    return name


def push(localcloud: Any, project: str, sha: str) -> None:
    """What `notify` leaves in the bucket: the commit's archive, and head.json naming it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("gitops/__init__.py", "")
        archive.writestr("gitops/__main__.py", SPY)
        archive.write(ROOT / "requirements.lock", "requirements.lock")
        for name in ("deploy.yml", "image.yml"):
            archive.write(ROOT / "infra" / "buildspecs" / name, f"infra/buildspecs/{name}")
    s3, bucket = localcloud.client("s3"), f"{project}-123456789012-eu-west-1"
    s3.put_object(Bucket=bucket, Key=f"source/{sha}.zip", Body=data.getvalue())
    head = {"sha": sha, "sequence": 1, "key": f"source/{sha}.zip"}
    s3.put_object(Bucket=bucket, Key="source/head.json", Body=json.dumps(head).encode())


def announce(localcloud: Any, project: str, sha: str, file: str) -> None:
    """What `notify` tells the bus about a commit."""
    detail = {
        "version": 1, "project": "p", "branch": "main", "sha": sha, "before": "b" * 40, "sequence": 7,
        "changedFiles": [file], "truncated": False,
    }  # fmt: skip
    entry = {"EventBusName": project, "Source": "gitops.commit", "DetailType": "Commit", "Detail": json.dumps(detail)}
    assert localcloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def finished(localcloud: Any, project: str, count: int = 1) -> tuple[str, str]:
    """Status and log of the project's newest build, once there are `count` and that one is over."""
    codebuild, deadline = localcloud.client("codebuild"), time.monotonic() + 60
    while time.monotonic() < deadline:
        ids = codebuild.list_builds_for_project(projectName=project)["ids"]
        builds = codebuild.batch_get_builds(ids=ids[:1])["builds"] if len(ids) == count else []
        if builds and builds[0]["buildComplete"]:
            where = builds[0]["logs"]
            found = localcloud.client("logs").get_log_events(
                logGroupName=where["groupName"], logStreamName=where["streamName"], startFromHead=True
            )
            return builds[0]["buildStatus"], "".join(event["message"] for event in found["events"])
        time.sleep(0.1)
    raise AssertionError(f"{project} has no finished build")


def test_a_commit_to_a_deploy_folder_reconciles_that_environment_with_that_commit(localcloud, project):
    push(localcloud, project, "a" * 40)
    announce(localcloud, project, "a" * 40, "deploy/staging/ncf.yml")
    status, log = finished(localcloud, f"{project}-deploy-staging")
    assert status == "SUCCEEDED", log
    assert f"called ['reconcile', 'staging'] {'a' * 40} ***" in log  # the token arrived, and the log hides it
    assert "t0ken" not in log
    assert (
        localcloud.client("codebuild").list_builds_for_project(projectName=f"{project}-deploy-production")["ids"] == []
    )


def test_f03_a_commit_that_comes_during_a_deployment_is_deployed_after_it(localcloud, project):
    for sha in ("d" * 40, "e" * 40):
        push(localcloud, project, sha)
        announce(localcloud, project, sha, "deploy/production/ncf.yml")
    status, _ = finished(localcloud, f"{project}-deploy-production", count=2)
    assert status == "SUCCEEDED"
    queue = localcloud.client("sqs").get_queue_url(QueueName=f"{project}-dead-letters")["QueueUrl"]
    assert "Messages" not in localcloud.client("sqs").receive_message(QueueUrl=queue)


def test_a_succeeded_pipeline_is_proposed_from_the_newest_commit(localcloud, project):
    push(localcloud, project, "c" * 40)
    arn = f"arn:aws:sagemaker:eu-west-1:123456789012:pipeline/{project}-ncf/execution/xyz"
    variable = {"name": "EXECUTION_ARN", "value": arn, "type": "PLAINTEXT"}
    localcloud.client("codebuild").start_build(
        projectName=f"{project}-propose", environmentVariablesOverride=[variable]
    )
    status, log = finished(localcloud, f"{project}-propose")
    assert status == "SUCCEEDED", log
    assert f"source is source/{'c' * 40}.zip" in log
    assert f"called ['propose', '--execution', '{arn}']" in log


def test_a_commit_to_the_serving_code_builds_its_image_and_nothing_else(localcloud, project):
    push(localcloud, project, "f" * 40)
    announce(localcloud, project, "f" * 40, "serving_code/recommender.py")
    status, log = finished(localcloud, f"{project}-image")
    assert status == "SUCCEEDED", log
    assert f"called ['image', '--store', 'registry'] {'f' * 40} ***" in log
    assert localcloud.client("codebuild").list_builds_for_project(projectName=f"{project}-retrain")["ids"] == []
