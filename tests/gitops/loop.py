"""The whole loop on a localcloud of its own, from a push to an endpoint; and what has been predicted of it so far."""

import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.config import Config

from demo import stages
from demo.data import curious, synthetic
from demo.story import Story
from demo.team import environment, found, run, snapshot
from demo.world import MODEL, PARAMS, World, lower_cloud, raise_cloud

ROOT = Path(__file__).resolve().parents[2]
STAGING, PRODUCTION = (f"deploy/{name}/{MODEL}.yml" for name in ("staging", "production"))
SMALL = {
    "prepare": {"engine": "duckdb", "min_user_interactions": 5, "min_item_users": 5, "split": "temporal"},
    "train": {"models": ["ease"], "seed": 1},
    "hyperparameters": {"ease_reg": 300.0},
    "gate": {
        "absolute": {"ndcg@10": {"min": 0.001}},
        "relative": {"metric": "ndcg@10", "interval": 0.95, "max_drop": 0.9},
        "sanity": {"beat_popularity": True, "min_users": 20},
    },
}


@dataclass
class Client:
    """Asks an endpoint without a pause and without retries, until it is stopped."""

    runtime: object
    endpoint: str
    body: str
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()

    def ask(self) -> None:
        while not self.stopping.is_set():
            try:
                answer = self.runtime.invoke_endpoint(
                    EndpointName=self.endpoint, ContentType="application/json", Body=self.body
                )
                assert json.loads(answer["Body"].read())["itemList"]
                self.answers += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed request
                self.failures.append(f"{time.monotonic():.2f} {error}")
            time.sleep(0.01)

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join(timeout=30)


@dataclass
class Script:
    """The world, and what has been predicted of it so far."""

    world: World
    queue: str
    builds: dict[str, int] = field(default_factory=dict)
    trainings: int = 0
    deployments: dict[str, int] = field(default_factory=lambda: {"staging": 0, "production": 0})
    seen: dict[str, int] = field(default_factory=lambda: {"staging": 0, "production": 0})

    @property
    def clone(self) -> Path:
        return self.world.team.clone

    def edit(self, path: str, change: Callable[[str], str]) -> str:
        """Commit and push a changed file; the commit."""
        self.world.team.pull()
        file = self.clone / path
        text = file.read_text() if file.exists() else ""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(change(text))
        assert file.read_text() != text
        return self.world.team.push(f"Change {path}", path)

    def hyperparameter(self, value: float) -> str:
        return self.edit(PARAMS, lambda text: re.sub(r"ease_reg: [0-9.]+", f"ease_reg: {value}", text))

    def revert(self, sha: str, *more: str) -> str:
        self.world.team.pull()
        self.world.team.git("revert", "--no-edit", *more, sha)
        return self.world.team.publish()

    def promote(self) -> str:
        """The reviewer merges the one open promotion; the merge."""
        requests = self.world.cloud.reviewer().mergerequests
        (request,) = [one for one in requests.list(state="opened", get_all=True) if one.title.startswith("Promote")]
        request.approve()
        request.merge()
        return requests.get(request.iid).merge_commit_sha

    def expect(self, what: str, trainings: int = 0, staging: int = 0, production: int = 0, **builds: str) -> None:
        """Wait for exactly these further builds and their outcomes, then check every count."""
        for name, outcomes in builds.items():
            project = name.replace("_", "-")
            for outcome in outcomes.split():
                self.builds[project] = self.builds.get(project, 0) + 1
                self.finished(what, project, self.builds[project], outcome)
        self.trainings += trainings
        self.deployments["staging"] += staging
        self.deployments["production"] += production
        assert self.world.cloud.training_jobs() == self.trainings, what
        ran = {name: len(self.world.cloud.builds(name)) for name in self.builds}
        assert ran == self.builds, what
        self.count_deployments()
        assert self.seen == self.deployments, what
        print(f"{time.strftime('%T')} {what}: builds {ran}, trainings {self.trainings}, deployments {self.seen}")

    def finished(self, what: str, name: str, number: int, outcome: str) -> None:
        cloud, deadline = self.world.cloud, time.monotonic() + 240
        while time.monotonic() < deadline:
            ids = cloud.builds(name)
            if len(ids) >= number:
                build = cloud.codebuild.batch_get_builds(ids=[ids[-number]])["builds"][0]
                if build["buildComplete"]:
                    assert build["buildStatus"] == outcome, f"{what}: {name}: {cloud.log_of(build)}"
                    return
            time.sleep(0.1)
        pytest.fail(f"{what}: build {number} of {name} did not end")

    def count_deployments(self) -> None:
        """Each time an endpoint came into service, as SageMaker's own events tell it."""
        sqs = self.world.cloud.client("sqs")
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                name = json.loads(message["Body"])["detail"]["EndpointName"]
                self.seen[name.rpartition("-")[2]] += 1
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def asked_for(self, environment_: str) -> str:
        """The release id in the branch's deploy file."""
        self.world.team.pull()
        return yaml.safe_load((self.clone / f"deploy/{environment_}/{MODEL}.yml").read_text())["release"]["id"]

    def served(self, environment_: str) -> str:
        household, _ = curious(self.world.data, 11)
        answer = self.world.cloud.ask(environment_, MODEL, {"operation": "getRecommendations", "userId": household})
        return f"{MODEL}-{answer['model']['runId'][:12]}"


@contextmanager
def raised(folder: Path) -> Iterator[Script]:
    """A small project with its cloud, its stacks and its first commit."""
    root, home = folder / "project", folder / "project" / ".demo"
    snapshot(ROOT, root)
    params = yaml.safe_load((root / PARAMS).read_text())
    (root / PARAMS).write_text(yaml.safe_dump({**params, **SMALL}, sort_keys=False))
    for path in (STAGING, PRODUCTION):  # a busy machine is no latency regression
        file = root / path
        file.write_text(file.read_text().replace("max_p99_ms: 500", "max_p99_ms: 60000"))
    run(["git", "init", "--quiet"], root)  # a snapshot is what git lists
    home.mkdir()
    story = Story(out=io.StringIO())
    cloud = raise_cloud(root, home, story)
    try:
        origin = home / "git" / f"{cloud.git_project}.git"
        address = f"{cloud.exports['GIT_URL']}/{cloud.git_project}.git"
        address = address.replace("://", f"://demo:{cloud.exports['GIT_REVIEWER_TOKEN']}@")
        team = found(root, origin, address, home / "clone", environment(cloud.exports))
        world = World(root, home, synthetic(400, 200), story, cloud, team)
        stages.deploy_infrastructure(world)
        stages.found_team(world)
        yield Script(world, in_service_events(cloud))
    finally:
        lower_cloud(root, home)


def in_service_events(cloud) -> str:
    """A queue that gets an event each time an endpoint comes into service."""
    url = cloud.client("sqs").create_queue(QueueName="in-service")["QueueUrl"]
    pattern = {"source": ["aws.sagemaker"], "detail": {"EndpointStatus": ["IN_SERVICE"]}}
    events = cloud.client("events")
    events.put_rule(Name="in-service", EventPattern=json.dumps(pattern))
    arn = f"arn:aws:sqs:{cloud.exports['AWS_DEFAULT_REGION']}:123456789012:in-service"
    events.put_targets(Rule="in-service", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def hammer(script: Script, environment_: str) -> Client:
    exports = script.world.cloud.exports
    runtime = boto3.client(
        "sagemaker-runtime",
        endpoint_url=exports["AWS_ENDPOINT_URL"],
        region_name=exports["AWS_DEFAULT_REGION"],
        aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    household, _ = curious(script.world.data, 11)
    body = json.dumps({"operation": "getRecommendations", "userId": household, "numResults": 10})
    return Client(runtime, f"{script.world.cloud.project}-{MODEL}-{environment_}", body)
