"""A command that dies at a named point, and is run again, leaves what an undisturbed one leaves.

Each command runs as a process against a localcloud: `CRASH_AT` kills it without a word (exit code 137), then it runs
again as a retry would, and what is left is compared: objects, events, executions, requests, endpoints and their tags.
"""

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from gitops import deployment
from gitops.delivery.endpoint import ATTEMPT_DIGEST, VERIFIED_CONFIG
from gitops.oncall import status
from pipelines import crash
from tests.gitops.test_delivery import ROLE, ROOT, Delivery

QUICK = {"reconcile:after-note"}
FOLDERS = ("gitops", "pipelines")


class Scene(Delivery):
    """A team's project, and what a command left of it. `tell` says what there is to compare."""

    command: tuple[str, ...] = ()

    def __init__(self, localcloud, folder: Path) -> None:
        super().__init__(localcloud, folder)
        self.queue = self._listen()
        self.prepare()

    def prepare(self) -> None:
        """All that the command finds."""

    def tell(self) -> dict:
        """What is left."""
        return {}

    def _listen(self) -> str:
        """A queue that hears of every change of an endpoint of this project."""
        sqs, events = self.cloud.client("sqs"), self.cloud.client("events")
        url = sqs.create_queue(QueueName=self.name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        kind = {"detail-type": ["SageMaker Endpoint State Change"], "source": ["aws.sagemaker"]}
        pattern = {**kind, "detail": {"EndpointName": [{"prefix": self.name}], "EndpointStatus": ["UPDATING"]}}
        events.put_rule(Name=self.name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=self.name, Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def heard(self, queue: str) -> list[dict]:
        """The details of all events in the queue; there is at least one, which may take a moment."""
        sqs, found, deadline = self.cloud.client("sqs"), [], time.monotonic() + 20
        while True:
            messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            if not messages and (found or time.monotonic() > deadline):
                return found
            time.sleep(0 if messages else 0.1)
            found += [json.loads(message["Body"])["detail"] for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    def begin(self, crash_at: str = "", **more: str) -> subprocess.Popen[str]:
        """Start the command in a checkout of main, with `more` variables."""
        self.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
        variables = self.told() | ({crash.VARIABLE: crash_at} if crash_at else {}) | more
        command = [sys.executable, "-m", *self.command]
        return subprocess.Popen(
            command, cwd=self.clone.root, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, crash_at: str = "", seconds: float | None = None, **more: str) -> int:
        """Run the command; its exit code. `seconds`: killed after as many."""
        process = self.begin(crash_at, **more)
        try:
            self.output = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            self.output = process.communicate()[0]
        return process.returncode

    def told(self) -> dict[str, str]:
        """What the command's process is told."""
        return {
            **self.cloud.environment,
            "PYTHONPATH": str(ROOT),
            "GIT_URL": self.cloud.git_url,
            "GIT_TOKEN": self.cloud.tokens["bot"],
            "SERVING_ROLE_ARN": ROLE,
            "COMMIT": self.clone.git("rev-parse", "HEAD"),
            "PATH": os.environ["PATH"],
            **self.variables(),
        }

    def variables(self) -> dict[str, str]:
        return {}

    def left(self) -> dict:
        """What is left, under names that two scenes share."""
        text = json.dumps(self.tell(), sort_keys=True, default=str)
        for name, shared in ((self.registry.group, "GROUP"), (self.name, "NAME")):
            text = text.replace(name, shared)
        return json.loads(re.sub(r"[0-9a-f]{12,64}", "HEX", text))

    def requests(self) -> list[str]:
        """Requests that count: one that was closed changes nothing."""
        listed = self.reviewer.mergerequests.list(state="all", get_all=True)
        return sorted(f"{one.source_branch} {one.state}" for one in listed if one.state != "closed")

    def push(self, files: dict[str, str]) -> None:
        self.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
        self.clone.commit(files)
        self.clone.git("push", "--quiet", "origin", "main")

    def deploy(self, environment: str, release) -> None:
        path = f"deploy/{environment}/ncf.yml"
        self.push({path: deployment.with_release((self.clone.root / path).read_text(), release, Path(path))})


class Notify(Scene):
    def prepare(self) -> None:
        self.bucket = f"crash-{self.name}"
        s3 = self.registry.s3
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
        sqs, events = self.cloud.client("sqs"), self.cloud.client("events")
        events.create_event_bus(Name=self.name)
        self.bus = sqs.create_queue(QueueName=f"{self.name}-bus")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.bus, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="all", EventBusName=self.name, EventPattern=json.dumps({"source": ["gitops.commit"]}))
        events.put_targets(Rule="all", EventBusName=self.name, Targets=[{"Id": "queue", "Arn": arn}])
        sha = self.clone.git("rev-parse", "HEAD")
        self.command = ("gitops", "notify", "--branch", "main", "--before", "0" * 40, "--sha", sha)

    def variables(self) -> dict[str, str]:
        return {"ARTIFACT_BUCKET": self.bucket, "EVENT_BUS": self.name}

    def tell(self) -> dict:
        s3 = self.registry.s3
        objects = [each["Key"] for each in s3.list_objects_v2(Bucket=self.bucket)["Contents"]]
        head = json.loads(s3.get_object(Bucket=self.bucket, Key="source/head.json")["Body"].read())
        events = {json.dumps(each, sort_keys=True) for each in self.heard(self.bus)}  # at least once, so as a set
        return {"objects": objects, "head": head, "events": sorted(events)}


class Propose(Scene):
    """A second candidate, while the first one waits for production."""

    def prepare(self) -> None:
        for _ in range(2):
            arn, run_id = self.execute()
            self.register(run_id)
            if not self.command:
                self.command = ("gitops", "propose", "--execution", arn)
                assert self.run() == 0
        self.command = ("gitops", "propose", "--execution", arn)

    def execute(self) -> tuple[str, str]:
        self.sagemaker.delete_pipeline(PipelineName=f"{self.name}-ncf") if self.command else None
        return super().execute()

    def tell(self) -> dict:
        self.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
        files = ("deploy/staging/ncf.yml", "deploy/production/ncf.yml")
        texts = {path: (self.clone.root / path).read_text() for path in files}
        records = len(list((self.clone.root / "releases/ncf").iterdir()))
        return {"requests": self.requests(), "texts": texts, "records": records}


class Update(Scene):
    """Production moves from one release to another."""

    environment = "production"
    behaviour = "good"

    def prepare(self) -> None:
        self.command = ("gitops", "reconcile", self.environment, "--lease-seconds", "1")
        self.deploy(self.environment, self.registry.release())
        assert self.run() == 0, self.output
        self.asked = self.registry.release(self.behaviour)
        self.deploy(self.environment, self.asked)

    def tell(self) -> dict:
        name = f"{self.name}-ncf-{self.environment}"
        described = self.sagemaker.describe_endpoint(EndpointName=name)
        tags = {
            tag["Key"]: tag["Value"] for tag in self.sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
        }
        live = status.observe(self.sagemaker, name)
        configs = self.sagemaker.list_endpoint_configs(NameContains=self.name)["EndpointConfigs"]
        models = self.sagemaker.list_models(NameContains=self.name)["Models"]
        package = self.sagemaker.describe_model_package(ModelPackageName=self.asked.package_arn)
        lease = self.registry.s3.get_object(Bucket="images-bucket", Key=f"leases/{name}.json")
        return {
            "state": described["EndpointStatus"],
            "as asked": live.release == self.asked.id,
            "verified": tags[VERIFIED_CONFIG] == described["EndpointConfigName"],
            "attempt": bool(tags[ATTEMPT_DIGEST]),
            "made": (len(configs), len(models)),
            "updates": len(self.heard(self.queue)),
            "approved": package["ModelApprovalStatus"],
            "lease held": json.loads(lease["Body"].read())["held"],
            "requests": self.requests(),
        }


class Reject(Update):
    """Staging rejects a release, and reverts it by itself."""

    environment = "staging"
    behaviour = "sick"

    def prepare(self) -> None:
        self.push({"deploy/staging/_policy.yml": "revert: auto\n"})
        super().prepare()


class Heal(Update):
    """Somebody gave the endpoint of production another instance."""

    def prepare(self) -> None:
        super().prepare()
        assert self.run() == 0, self.output
        name = f"{self.name}-ncf-{self.environment}"
        rows = [{"VariantName": "main", "DesiredInstanceCount": 2}]
        self.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=rows)
        self.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})

    def tell(self) -> dict:
        described = self.sagemaker.describe_endpoint(EndpointName=f"{self.name}-ncf-{self.environment}")
        return {"instances": described["ProductionVariants"][0]["CurrentInstanceCount"], **super().tell()}


class Start(Scene):
    """The real pipeline, whose data cannot be read: the execution fails, and is continued by a run after that."""

    def prepare(self) -> None:
        s3 = self.registry.s3
        self.bucket = f"crash-{self.name}"
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
        self.key = f"raw/{self.name}/part-0.parquet"
        s3.put_object(Bucket=self.bucket, Key=self.key, Body=b"not Parquet")
        partition = f'{{key: "{self.key}", sha256: "{"a" * 64}", bytes: 11, rows: 1}}'
        lock = f"dataset: {self.name}\nreason: manual\npartitions:\n  - {partition}\n"
        params = (ROOT / "params/ncf.yml").read_text()
        shipped = [path for folder in ("processing_code", "training_code") for path in (ROOT / folder).rglob("*")]
        code = {
            path.relative_to(ROOT).as_posix(): path.read_text()
            for path in [*shipped, ROOT / "buildspec.yml"]
            if path.is_file() and "__pycache__" not in path.parts
        }
        self.push({**code, "params/ncf.yml": params, "params/ncf.data.yml": lock})
        self.command = ("pipelines", "run", "params/ncf.yml")

    def variables(self) -> dict[str, str]:
        image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/p/training:latest"
        return {
            "ACCOUNT_ID": "123456789012",
            "ARTIFACT_BUCKET": self.bucket,
            "PIPELINE_ROLE_ARN": ROLE,
            "TRAINING_IMAGE": image,
            "PROCESSING_IMAGE": image.replace("training", "processing"),
            "SERVING_IMAGE": self.registry.image,
            "REGISTER_FUNCTION_ARN": "arn:aws:lambda:eu-west-1:123456789012:function:register",
        }

    def rest(self) -> list[str]:
        """The states of all executions, when none of them moves any more."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                listed = self.sagemaker.list_pipeline_executions(PipelineName=f"{self.name}-ncf")
            except self.sagemaker.exceptions.ResourceNotFound:
                return []
            states = [each["PipelineExecutionStatus"] for each in listed["PipelineExecutionSummaries"]]
            if "Executing" not in states:
                return states
            time.sleep(0.2)
        raise AssertionError("the execution does not end")

    def tell(self) -> dict:
        states = self.rest()
        versions = self.sagemaker.list_pipeline_versions(PipelineName=f"{self.name}-ncf")["PipelineVersionSummaries"]
        pages = self.registry.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="code/")
        objects = sorted(each["Key"] for page in pages for each in page.get("Contents", []))
        return {"states": states, "versions": len(versions), "objects": len(objects)}


class Retry(Start):
    """As Start, after a first run that failed."""

    def prepare(self) -> None:
        super().prepare()
        assert self.run() == 0, self.output
        self.rest()


SCENES: dict[str, Callable[..., Scene]] = {
    "notify": Notify,
    "start": Start,
    "propose": Propose,
    "host": Propose,
    "reconcile": Update,
    "revert": Reject,
    "heal": Heal,
    "start:after-retry": Retry,
}
undisturbed: dict[object, tuple[int, dict]] = {}


def scene(point: str) -> Callable[..., Scene]:
    return SCENES.get(point) or SCENES[point.partition(":")[0]]


@pytest.fixture
def make(localcloud, tmp_path):
    made: list[Scene] = []

    def begin(kind: Callable[..., Scene]) -> Scene:
        made.append(kind(localcloud, tmp_path / uuid.uuid4().hex[:6]))
        return made[-1]

    yield begin
    for found in made:
        for environment in ("staging", "production"):
            name = f"{found.name}-ncf-{environment}"
            if status.observe(found.sagemaker, name):
                found.sagemaker.delete_endpoint(EndpointName=name)


def expected(make, kind: Callable[..., Scene]) -> tuple[int, dict]:
    """The exit code and the end state of a scene in which nothing crashes; made once for each kind."""
    if kind not in undisturbed:
        calm = make(kind)
        undisturbed[kind] = (calm.run(), calm.left())
    return undisturbed[kind]


def cases() -> list:
    return [pytest.param(point, marks=() if point in QUICK else pytest.mark.heavy) for point in crash.POINTS]


@pytest.mark.parametrize("point", cases())
def test_f11_a_command_that_crashes_at_this_point_and_runs_again_leaves_no_trace_of_it(make, point):
    wanted = expected(make, scene(point))
    found = make(scene(point))
    assert found.run(crash_at=point) == crash.STATUS, found.output
    assert (found.run(), found.left()) == wanted, found.output


def test_every_point_stands_in_the_code_and_every_one_there_has_a_name():
    texts = [path.read_text() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    standing = {name for text in texts for name in re.findall(r'crash\.point\("([^"]+)"\)', text)}
    assert standing == set(crash.POINTS)


def test_a_point_without_a_name_is_a_mistake():
    with pytest.raises(KeyError):
        crash.point("nowhere")
