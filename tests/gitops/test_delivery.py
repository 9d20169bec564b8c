"""From a finished pipeline execution to production, by the commands as CodeBuild calls them."""

import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import gitlab as python_gitlab
import pytest

from gitops.oncall import status
from tests.gitops.candidates import decision
from tests.gitops.repository import PARAMS, PROJECT, project
from tests.gitops.serving import SERVER, Registry

ROOT = Path(__file__).parents[2]
ROLE = "arn:aws:iam::123456789012:role/serving"
CONDITION = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
DEFINITION = {
    "Version": "2020-12-01",
    "Parameters": [],
    "Steps": [
        {
            "Name": "Gate",
            "Type": "Condition",
            "Arguments": {"Conditions": [CONDITION], "IfSteps": [], "ElseSteps": []},
        }
    ],
}

FAILING = {**DEFINITION, "Steps": [{"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "it diverged"}}]}


class Delivery:
    """A team's project on the git host, its pipeline, and the environment its builds get."""

    def __init__(self, localcloud, folder: Path) -> None:
        self.name = f"d{uuid.uuid4().hex[:8]}"
        self.cloud = localcloud
        self.sagemaker = localcloud.client("sagemaker")
        self.registry = Registry(localcloud.client("s3"), self.sagemaker)
        self.clone = project(folder / "clone")
        params = PARAMS.replace("film-recommender-ncf", self.registry.group)
        self.clone.commit({"project.yml": PROJECT.replace("film-recommender", self.name), "params/ncf.yml": params})
        bare = localcloud.git_root / f"recsys/{self.name}.git"
        self.clone.git("clone", "--quiet", "--bare", ".", str(bare))
        self.clone.git("remote", "add", "origin", str(bare))
        reviewer = python_gitlab.Gitlab(localcloud.git_url, private_token=localcloud.tokens["reviewer"])
        self.reviewer = reviewer.projects.get(f"recsys/{self.name}")

    def execute(self, definition: dict = DEFINITION) -> tuple[str, str]:
        """Run the pipeline: (execution ARN, run_id)."""
        name, run_id = f"{self.name}-ncf", uuid.uuid4().hex * 2
        self.sagemaker.create_pipeline(
            PipelineName=name, PipelineDefinition=json.dumps(definition), RoleArn=ROLE, ClientRequestToken=run_id
        )
        arn = self.sagemaker.start_pipeline_execution(PipelineName=name, PipelineExecutionDisplayName=run_id)
        arn = arn["PipelineExecutionArn"]
        deadline = time.monotonic() + 20
        while self.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)[
            "PipelineExecutionStatus"
        ] == "Executing" and (time.monotonic() < deadline):
            time.sleep(0.05)
        return arn, run_id

    def register(self, run_id: str):
        release = self.registry.release(run_id=run_id, evaluation_uri=f"s3://images-bucket/evaluations/{run_id}")
        body = json.dumps(decision(archive_sha256=release.archive_sha256)).encode()
        self.registry.s3.put_object(Bucket="images-bucket", Key=f"evaluations/{run_id}/decision.json", Body=body)
        return release

    def gitops(self, *words: str, **more: str) -> subprocess.CompletedProcess:
        """`python -m gitops ...` in a checkout of main's head."""
        self.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
        variables = {
            **self.cloud.environment,
            "PYTHONPATH": str(ROOT),
            "GIT_URL": self.cloud.git_url,
            "GIT_TOKEN": self.cloud.tokens["bot"],
            "SERVING_ROLE_ARN": ROLE,
            "COMMIT": self.clone.git("rev-parse", "HEAD"),
            **more,
        }
        return subprocess.run(
            [sys.executable, "-m", "gitops", *words],
            cwd=self.clone.root,
            env={"PATH": os.environ["PATH"], **variables},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def delivery(localcloud, tmp_path):
    found = Delivery(localcloud, tmp_path)
    yield found
    for environment in ("staging", "production"):
        name = f"{found.name}-ncf-{environment}"
        if status.observe(found.sagemaker, name):
            found.sagemaker.delete_endpoint(EndpointName=name)


def linked(delivery: Delivery, text: str) -> str:
    """The report that a request's text names."""
    bucket, _, key = re.search(r"Report: `s3://([^`]+)`", text)[1].partition("/")
    return delivery.registry.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def test_an_execution_is_proposed_reconciled_and_promoted(delivery):
    arn, run_id = delivery.execute()
    release = delivery.register(run_id)
    page = b"<html><body><p>evaluated</p><!--run-->later<!--/run--></body></html>"
    delivery.registry.s3.put_object(Bucket="images-bucket", Key=f"evaluations/{run_id}/report.html", Body=page)
    proposed = delivery.gitops("propose", "--execution", arn)
    assert proposed.returncode == 0, proposed.stderr
    assert delivery.gitops("reconcile", "staging").returncode == 0
    (request,) = delivery.reviewer.mergerequests.list(state="opened", get_all=True)
    assert "later" not in linked(delivery, request.description)
    assert arn in linked(delivery, request.description)
    request.approve()
    request.merge()
    deployed = delivery.gitops("reconcile", "production")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    package = delivery.sagemaker.describe_model_package(ModelPackageName=release.package_arn)
    merge = delivery.reviewer.mergerequests.get(request.iid).merge_commit_sha
    assert (package["ModelApprovalStatus"], merge in package["ApprovalDescription"]) == ("Approved", True)
    shown = json.loads(delivery.gitops("status", "--json").stdout)
    assert [(row["environment"], row["live"], row["sync"], row["health"]) for row in shown] == [
        ("staging", release.id, "Synced", "Healthy"),
        ("production", release.id, "Synced", "Healthy"),
    ]
    record = json.loads((delivery.clone.root / f"releases/ncf/{release.id}.json").read_text())
    assert (record["run_id"], record["execution_arn"]) == (run_id, arn)
    assert record["report"] == f"s3://images-bucket/reports/{release.id}.html"


def test_an_execution_that_registered_nothing_new_proposes_nothing(delivery):
    arn, run_id = delivery.execute()
    done = delivery.gitops("propose", "--execution", arn)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{run_id[:12]}: registered no new version" in done.stdout
    assert delivery.reviewer.mergerequests.list(get_all=True) == []


def test_f27_of_an_execution_that_failed_nothing_is_proposed_and_the_champion_stays(delivery):
    """What it had registered before it failed is there, and is not proposed."""
    before = (delivery.clone.root / "deploy/staging/ncf.yml").read_text()
    arn, run_id = delivery.execute(FAILING)
    delivery.register(run_id)
    done = delivery.gitops("propose", "--execution", arn)
    assert (done.returncode, done.stdout) == (0, f"{arn}: is Failed; only what succeeded is proposed\n")
    assert delivery.reviewer.mergerequests.list(state="all", get_all=True) == []
    delivery.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
    assert (delivery.clone.root / "deploy/staging/ncf.yml").read_text() == before


def test_an_execution_that_does_not_exist_is_an_error(delivery):
    arn, _ = delivery.execute()
    done = delivery.gitops("propose", "--execution", arn[:-4] + "zzzz")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "there is no such pipeline execution" in done.stderr


def test_another_projects_execution_is_refused(delivery):
    arn, _ = delivery.execute()
    text = (delivery.clone.root / "params/ncf.yml").read_text()
    delivery.clone.commit({"params/ncf.yml": None, "params/other.yml": text})
    delivery.clone.git("push", "--quiet", "origin", "main")
    done = delivery.gitops("propose", "--execution", arn)
    assert done.returncode == 1
    assert "no params/<model>.yml here makes this pipeline" in done.stderr


def test_a_failed_reconcile_says_which_file_failed_and_exits_1(delivery):
    arn, run_id = delivery.execute()
    release = delivery.register(run_id)
    proposed = delivery.gitops("propose", "--execution", arn)
    assert proposed.returncode == 0
    said = "report.html: cannot be read (AWS refused GetObject: NoSuchKey"
    assert said in proposed.stdout  # and no reason not to propose
    key = release.archive_uri.removeprefix("s3://images-bucket/")
    delivery.registry.s3.put_object(Bucket="images-bucket", Key=key, Body=b"other")
    done = delivery.gitops("reconcile", "staging")
    assert done.returncode == 1
    assert "failed: deploy/staging/ncf.yml: " in done.stdout
    assert done.stderr == "error: 1 of staging's deploy files failed; each is explained above\n"


def test_a_commit_to_the_serving_code_reaches_staging_without_training(delivery):
    arn, run_id = delivery.execute()
    delivery.register(run_id)
    assert delivery.gitops("propose", "--execution", arn).returncode == 0
    jobs = len(delivery.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"])
    delivery.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
    delivery.clone.commit({"serving_code/__main__.py": f"{SERVER}# {delivery.name}\n"})
    delivery.clone.git("push", "--quiet", "origin", "main")
    variables = {"SERVING_IMAGE": delivery.registry.image, "ARTIFACT_BUCKET": "images-bucket"}
    built = delivery.gitops("image", "--store", "archive", **variables)
    assert built.returncode == 0, built.stderr
    image = built.stdout.splitlines()[0].removeprefix("image: ")
    requests = delivery.reviewer.mergerequests.list(state="opened", get_all=True)
    (request,) = [each for each in requests if each.source_branch.startswith("image/staging-")]
    assert [each["new_path"] for each in request.changes()["changes"]] == ["deploy/staging/ncf.yml"]
    request.merge()
    reconciled = delivery.gitops("reconcile", "staging")
    assert reconciled.returncode == 0, reconciled.stderr
    endpoint = delivery.sagemaker.describe_endpoint(EndpointName=f"{delivery.name}-ncf-staging")
    assert [each["ResolvedImage"] for each in endpoint["ProductionVariants"][0]["DeployedImages"]] == [image]
    assert len(delivery.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]) == jobs
