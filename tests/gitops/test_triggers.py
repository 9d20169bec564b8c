"""Events that come twice, late or never, in the flow as CodeBuild has it: source zip, head.json, commands."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from gitops.events import notify, source
from gitops.events.notify import Push, Target
from gitops.oncall import status
from tests.gitops.test_delivery import ROLE, Delivery

ROOT = Path(__file__).parents[2]


class Gone:
    """A bus that cannot be reached: the event is lost."""

    def put_events(self, **_):
        raise EndpointConnectionError(endpoint_url="https://events.example.com")


@pytest.fixture
def delivery(localcloud, tmp_path):
    found = Delivery(localcloud, tmp_path)
    yield found
    name = f"{found.name}-ncf-staging"
    if status.observe(found.sagemaker, name):
        found.sagemaker.delete_endpoint(EndpointName=name)


def from_head(delivery: Delivery, bucket: str, folder: Path) -> subprocess.CompletedProcess:
    """A build that no event started: the source that head.json names, unpacked, and the deploy build's command."""
    s3 = delivery.registry.s3
    head = json.loads(s3.get_object(Bucket=bucket, Key=source.HEAD)["Body"].read())
    archive = s3.get_object(Bucket=bucket, Key=head["key"])["Body"].read()
    zipfile.ZipFile(io.BytesIO(archive)).extractall(folder)
    variables = {
        **delivery.cloud.environment,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "GIT_URL": delivery.cloud.git_url,
        "GIT_TOKEN": delivery.cloud.tokens["bot"],
        "SERVING_ROLE_ARN": ROLE,
        "ARTIFACT_BUCKET": bucket,
        "COMMIT": head["sha"],
    }
    command = [sys.executable, "-m", "gitops", "reconcile", "staging"]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_f04_a_lost_event_is_repaired_by_a_reconcile_that_starts_from_head_json(delivery, tmp_path, monkeypatch):
    """The source and head.json are written before the event, so a build that nobody called finds the newest commit."""
    arn, run_id = delivery.execute()
    release = delivery.register(run_id)
    assert delivery.gitops("propose", "--execution", arn).returncode == 0
    delivery.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
    s3, bucket = delivery.registry.s3, f"{delivery.name}-lost"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    monkeypatch.chdir(delivery.clone.root)
    target = Target(s3, Gone(), bucket, delivery.name, delivery.name)
    with pytest.raises(EndpointConnectionError):
        notify.notify(Push("main", "0" * 40, "HEAD"), target, say=lambda line: None)
    done = from_head(delivery, bucket, tmp_path / "one")
    assert done.returncode == 0, done.stdout + done.stderr
    live = status.observe(delivery.sagemaker, f"{delivery.name}-ncf-staging")
    assert (live.status, live.release) == ("InService", release.id)
    modified = delivery.sagemaker.describe_endpoint(EndpointName=f"{delivery.name}-ncf-staging")["LastModifiedTime"]
    again = from_head(delivery, bucket, tmp_path / "two")  # and once more, as a schedule does
    assert again.returncode == 0, again.stdout + again.stderr
    described = delivery.sagemaker.describe_endpoint(EndpointName=f"{delivery.name}-ncf-staging")
    assert described["LastModifiedTime"] == modified


def test_f01_the_same_execution_proposed_by_two_builds_at_once_is_proposed_once(delivery):
    """Two propose builds at the same moment: one staging release, one promotion request."""
    arn, run_id = delivery.execute()
    release = delivery.register(run_id)
    delivery.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
    environment = {
        **delivery.cloud.environment,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "GIT_URL": delivery.cloud.git_url,
        "GIT_TOKEN": delivery.cloud.tokens["bot"],
    }
    command = [sys.executable, "-m", "gitops", "propose", "--execution", arn]
    how = {"cwd": delivery.clone.root, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    builds = [subprocess.Popen(command, text=True, **how) for _ in range(2)]
    said = [build.communicate(timeout=60)[0] for build in builds]
    requests = []
    for _ in range(2):  # the event's retry, should one of the two have failed; and one that finds all done
        before, again = requests, delivery.gitops("propose", "--execution", arn)
        assert again.returncode == 0, again.stdout + again.stderr + "\n".join(said)
        requests = delivery.reviewer.mergerequests.list(state="all", get_all=True)
    assert [one.iid for one in requests] == [one.iid for one in before]
    assert [one.title.startswith("Promote") for one in requests if one.state == "opened"] == [True], said
    delivery.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
    assert release.id in (delivery.clone.root / "deploy/staging/ncf.yml").read_text()
    released = delivery.clone.git("log", "--first-parent", "--format=%s", "--", "deploy/staging/ncf.yml").splitlines()
    assert len(released) == 2, released  # the file's first commit and one release
