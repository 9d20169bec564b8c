"""The dead-letter queue, with real deliveries that failed on a real localcloud."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from gitops.events.replay import Replayer
from tests.gitops.repository import PROJECT, project

ROOT = Path(__file__).parents[3]
ROLE = "arn:aws:iam::123456789012:role/any"
BUILDSPEC = '{version: "0.2", phases: {build: {commands: ["echo $COMMIT$EXECUTION_ARN"]}}}'
TRANSFORMER = {
    "InputPathsMap": {"sha": "$.detail.sha"},
    "InputTemplate": '{"environmentVariablesOverride": [{"name": "COMMIT", "value": "<sha>", "type": "PLAINTEXT"}]}',
}


class Letterbox:
    """A project whose rule names a build that is not there, with a dead-letter queue behind it."""

    def __init__(self, localcloud, folder: Path) -> None:
        self.cloud, self.name = localcloud, f"r{uuid.uuid4().hex[:8]}"
        self.sqs, self.events, self.codebuild = map(localcloud.client, ("sqs", "events", "codebuild"))
        self.url = self.sqs.create_queue(QueueName=f"{self.name}-dead-letters")["QueueUrl"]
        self.repository = project(folder / "clone")
        self.repository.commit({"project.yml": PROJECT.replace("film-recommender", self.name)})
        self.target = {
            "Id": "codebuild",
            "Arn": f"arn:aws:codebuild:eu-west-1:123456789012:project/{self.name}-retrain",
            "RoleArn": ROLE,
            "DeadLetterConfig": {"Arn": f"arn:aws:sqs:eu-west-1:123456789012:{self.name}-dead-letters"},
            "RetryPolicy": {"MaximumRetryAttempts": 2},
            "InputTransformer": TRANSFORMER,
        }
        self.events.create_event_bus(Name=self.name)
        self.events.put_rule(Name="retrain", EventBusName=self.name, EventPattern='{"source": ["gitops.commit"]}')
        self.events.put_targets(Rule="retrain", EventBusName=self.name, Targets=[self.target])

    def put(self, sha: str) -> None:
        entry = {"Source": "gitops.commit", "DetailType": "Commit", "EventBusName": self.name}
        self.events.put_events(Entries=[entry | {"Detail": json.dumps({"version": 1, "sha": sha, "branch": "main"})}])

    def waiting(self) -> int:
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def until(self, true) -> None:
        deadline = time.monotonic() + 10
        while not true():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    def create_build(self) -> None:
        self.codebuild.create_project(
            name=f"{self.name}-retrain",
            source={"type": "NO_SOURCE", "buildspec": BUILDSPEC},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
            serviceRole=ROLE,
        )

    def commits_built(self) -> list[str]:
        ids = self.codebuild.list_builds_for_project(projectName=f"{self.name}-retrain")["ids"]
        found = [
            build["environment"]["environmentVariables"] for build in self.codebuild.batch_get_builds(ids=ids)["builds"]
        ]
        return sorted(variable["value"] for variables in found for variable in variables if variable["value"])

    def gitops(self, *words: str) -> subprocess.CompletedProcess:
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.cloud.environment}
        command = [sys.executable, "-m", "gitops", "replay", *words]
        return subprocess.run(
            command, cwd=self.repository.root, env=variables, capture_output=True, text=True, check=False
        )


@pytest.fixture
def box(localcloud, tmp_path):
    return Letterbox(localcloud, tmp_path)


def test_f06_a_handler_that_keeps_failing_leaves_a_dead_letter_that_a_command_puts_back(box):
    """Bounded retries, then the dead-letter queue; `python -m gitops replay` starts the build that was missed."""
    box.put("a" * 40)
    box.put("b" * 40)
    box.until(lambda: box.waiting() == 2)
    listed = box.gitops()
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "gitops.commit aaaaaaaaaaaa" in listed.stdout
    assert f"rule retrain -> {box.name}-retrain: ResourceNotFoundException" in listed.stdout
    assert box.waiting() == 2  # looking hides nothing from anybody
    box.create_build()
    (first,) = [line.split()[0] for line in listed.stdout.splitlines() if "aaaaaaaaaaaa" in line]
    done = box.gitops(first)
    assert (done.returncode, done.stderr) == (0, "")
    box.until(lambda: box.commits_built() == ["a" * 40])
    assert box.waiting() == 1
    assert box.gitops("--all").returncode == 0
    box.until(lambda: box.commits_built() == ["a" * 40, "b" * 40])
    assert box.gitops("--all").stdout == f"{box.name}-dead-letters: is empty\n"


def test_f06_a_message_stays_where_the_bus_does_not_take_its_event(box):
    box.put("a" * 40)
    box.until(lambda: box.waiting() == 1)
    said: list[str] = []
    deaf = Refusing(box.events)
    replayer = Replayer(box.sqs, deaf, box.codebuild, f"{box.name}-dead-letters", said.append)
    with replayer.letters() as letters:
        (failure,) = replayer.replay(letters)
    assert f"bus {box.name} refused it: ThrottlingException" in failure
    assert box.waiting() == 1


class Refusing:
    """A bus that answers 200 with a failed entry."""

    def __init__(self, events) -> None:
        self.events = events

    def put_events(self, **_):
        return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}]}


def test_what_nobody_but_aws_may_put_starts_the_build_that_missed_it(box):
    box.create_build()
    detail = {"pipelineExecutionArn": "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p/execution/abc"}
    event = {"source": "aws.sagemaker", "detail-type": "x", "detail": detail}
    names = {"RULE_ARN": "arn:aws:events:eu-west-1:123456789012:rule/p-propose", "TARGET_ARN": box.target["Arn"]}
    attributes = {key: {"DataType": "String", "StringValue": value} for key, value in names.items()}
    box.sqs.send_message(QueueUrl=box.url, MessageBody=json.dumps(event), MessageAttributes=attributes)
    done = box.gitops("--all")
    assert (done.returncode, "started build" in done.stdout) == (0, True)
    assert box.commits_built() == [detail["pipelineExecutionArn"]]
    assert box.waiting() == 0


def test_what_is_no_event_of_ours_stays_and_is_named(box):
    for body in ("not json", "[]", '{"source": "elsewhere", "detail": {}}', "{}"):
        box.sqs.send_message(QueueUrl=box.url, MessageBody=body)
    done = box.gitops("--all")
    assert done.returncode == 1
    assert done.stdout.count("holds no event that is replayed here") == 4
    assert box.waiting() == 4


def test_a_message_that_is_not_there_is_an_error(box):
    done = box.gitops("00000000-0000-0000-0000-000000000000")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "python -m gitops replay lists what is" in done.stderr
