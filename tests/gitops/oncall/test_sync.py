"""`python -m gitops sync`: the deploy build, started by hand from the newest source."""

import io
import json
import os
import subprocess
import sys
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gitops.repository import PROJECT, project

ROOT = Path(__file__).parents[3]
SHA = "a" * 40


class Environment:
    """A project with a bucket and a deploy build for staging that says how it was called."""

    def __init__(self, localcloud, folder: Path) -> None:
        self.cloud, self.name = localcloud, f"s{uuid.uuid4().hex[:8]}"
        self.bucket = f"{self.name}-123456789012-eu-west-1"
        self.root = project(folder / "clone").root
        (self.root / "project.yml").write_text(PROJECT.replace("film-recommender", self.name))
        place = {"Bucket": self.bucket, "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
        localcloud.client("s3").create_bucket(**place)

    def push(self, command: str) -> None:
        data, s3 = io.BytesIO(), self.cloud.client("s3")
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("run.yml", json.dumps({"version": 0.2, "phases": {"build": {"commands": [command]}}}))
        s3.put_object(Bucket=self.bucket, Key=f"source/{SHA}.zip", Body=data.getvalue())
        head = {"sha": SHA, "sequence": 7, "key": f"source/{SHA}.zip"}
        s3.put_object(Bucket=self.bucket, Key="source/head.json", Body=json.dumps(head).encode())

    def create_build(self) -> None:
        self.cloud.client("codebuild").create_project(
            name=f"{self.name}-deploy-staging",
            source={"type": "S3", "location": f"{self.bucket}/source/none.zip", "buildspec": "run.yml"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
            serviceRole="arn:aws:iam::123456789012:role/any",
            concurrentBuildLimit=1,
        )

    def sync(self, environment: str = "staging") -> subprocess.CompletedProcess:
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.cloud.environment}
        command = [sys.executable, "-m", "gitops", "sync", environment]
        return subprocess.run(command, cwd=self.root, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def staging(localcloud, tmp_path):
    return Environment(localcloud, tmp_path)


def test_the_deploy_build_runs_with_the_newest_commit_and_its_log_is_shown(staging):
    staging.push("echo commit $COMMIT sequence $SEQUENCE")
    staging.create_build()
    done = staging.sync()
    assert done.returncode == 0, done.stderr
    assert f"commit {SHA} sequence 7" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("SUCCEEDED")


def test_a_build_that_fails_is_a_failure_and_its_last_words_are_shown(staging):
    staging.push("echo no good; exit 3")
    staging.create_build()
    done = staging.sync()
    assert done.returncode == 1
    assert "  no good" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1].endswith("FAILED")


def test_a_build_that_is_at_work_is_followed(staging):
    staging.push("sleep 3; echo the only one")
    staging.create_build()
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: staging.sync(), range(2)))
    assert all("  the only one" in done.stdout.splitlines() for done in both)
    assert sum("is at work already" in done.stdout for done in both) == 1
    assert (
        len(
            staging.cloud.client("codebuild").list_builds_for_project(projectName=f"{staging.name}-deploy-staging")[
                "ids"
            ]
        )
        == 1
    )


def test_what_is_missing_is_named(staging):
    done = staging.sync()
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [f"error: s3://{staging.bucket}/source/head.json: is not there, so nothing was ever pushed; push a commit"],
    )
    staging.push("echo")
    assert f"{staging.name}-deploy-staging: there is no such build project" in staging.sync().stderr
    assert "prod: is no environment of project.yml" in staging.sync("prod").stderr
