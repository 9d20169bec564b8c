"""The program as it is called: exit codes, one-line errors, and a push that really becomes an event."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from gitops import settings
from gitops.__main__ import parser
from gitops.commands import COMMANDS
from tests.gitops.repository import PROJECT, project

ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path):
    return project(tmp_path / "clone")


def gitops(cwd: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(cwd)}
    return subprocess.run(
        [sys.executable, "-m", "gitops", *words],
        cwd=cwd,
        env={**base, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_and_is_quick(repository):
    began = time.monotonic()
    done = gitops(repository.root, "--help")
    assert done.returncode == 0
    assert set(COMMANDS) <= set(done.stdout.split())
    assert time.monotonic() - began < 2  # 0.1 s here; boto3 alone would be more


def test_a_command_starts_without_the_cloud_and_git_host_libraries():
    script = "import sys, gitops.__main__; print(sorted({'boto3', 'botocore', 'gitlab', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


TIMES = (
    ("reconcile", "staging", "--lease-seconds"),
    ("reconcile", "staging", "--wait-minutes"),
    ("collect", "--hours"),
    ("drift", "params/ncf.yml", "--hours"),
    ("compare-shadow", "production", "ncf", "--hours"),
)


@pytest.mark.parametrize("words", TIMES, ids=" ".join)
@pytest.mark.parametrize("amount", ["nan", "inf", "-1", "0", "1e300", "soon"])
def test_no_length_of_time_is_nonsense(words, amount, capsys):
    """A collect that looks back over -1 hours would take what a deploy build has just made."""
    with pytest.raises(SystemExit):
        parser().parse_args([*words[:-1], f"{words[-1]}={amount}"])
    assert "write a number above 0" in capsys.readouterr().err


ROLE = {"SERVING_ROLE_ARN": "arn:aws:iam::123456789012:role/serving", "COMMIT": "a" * 40}
WRONG = [
    (["reconcile", "prod"], ROLE, "prod: is no environment of project.yml; it has staging, production"),
    (["reconcile", "staging"], {}, "SERVING_ROLE_ARN: is not set; infra/template.yml sets it"),
    (["reconcile", "staging"], ROLE, "GIT_TOKEN: is not set;"),
    (["data", "params/ncf.yml"], {}, "data: nothing to add; give --add"),
    (["data", "params/nfc.yml", "--add", "raw/a/b.parquet"], {}, "did you mean params/ncf.yml?"),
    (["notify", "--branch", "main", "--before", "0" * 40, "--sha", "HEAD"], {}, "AWS cannot be asked"),
]


@pytest.mark.parametrize(("words", "environment", "sentence"), WRONG)
def test_what_the_user_can_put_right_is_one_line_and_exit_code_1(repository, words, environment, sentence):
    more = {"AWS_EC2_METADATA_DISABLED": "true", **environment}
    done = gitops(repository.root, *words, **more)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_refused_call_names_the_operation(repository, localcloud):
    words = ["notify", "--branch", "main", "--before", "0" * 40, "--sha", "HEAD"]
    done = gitops(repository.root, *words, **localcloud.environment, ARTIFACT_BUCKET="no-such-bucket-here")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "AWS refused PutObject: NoSuchBucket" in done.stderr


def test_f57_settings_never_show_the_token():
    assert "secret" not in repr(settings.read({"GIT_TOKEN": "secret"}))


@pytest.mark.parametrize("bare", [False, True])
def test_a_push_reaches_the_rule_that_asks_for_its_paths(tmp_path, localcloud, bare):
    name = f"push-{uuid.uuid4().hex[:8]}"
    events, sqs, s3 = (localcloud.client(service) for service in ("events", "sqs", "s3"))
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    events.create_event_bus(Name=name)
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {
        "source": ["gitops.commit"],
        "detail": {"branch": ["main"], "changedFiles": [{"wildcard": "params/*"}, "buildspec.yml"]},
    }
    events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "queue", "Arn": arn}])
    repository = project(tmp_path / "clone")
    repository.commit({"project.yml": PROJECT.replace("film-recommender\n", f"{name}\n")})
    if bare:
        repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    cwd = tmp_path / "bare.git" if bare else repository.root
    for files in ({"docs/a.md": "a"}, {"params/ncf.yml": "b"}):
        before, sha = repository.git("rev-parse", "HEAD"), repository.commit(files)
        if bare:
            repository.git("push", "--quiet", str(cwd), "main")
        words = ["notify", "--branch", "main", "--before", before, "--sha", sha]
        done = gitops(cwd, *words, **localcloud.environment, ARTIFACT_BUCKET=name)  # the bus is the project's name
        assert done.returncode == 0, done.stderr
    messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5, MaxNumberOfMessages=10)["Messages"]
    (event,) = [json.loads(message["Body"]) for message in messages]
    assert (event["detail"]["sha"], event["detail"]["changedFiles"]) == (sha, ["params/ncf.yml"])
    assert event["detail"]["sequence"] == 4
