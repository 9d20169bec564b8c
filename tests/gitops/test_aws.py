"""What boto3 meets on a bad day, put between a real client and a real localcloud by botocore's `before-send` hook."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from gitops import archive, aws
from gitops.delivery import golden
from gitops.delivery.lease import Lease, Store
from gitops.errors import GitopsError
from pipelines.errors import ExpiredError, ProjectError
from tests.gitops.repository import project
from tests.weather import SHORT_PAUSES, Weather, xml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def access(localcloud, monkeypatch):
    for name, value in localcloud.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    random.seed(SHORT_PAUSES)
    yield localcloud.state.region
    random.seed()


def test_f12_eight_attempts_survive_five_refusals_that_three_do_not(access):
    """Five times 503 SlowDown: three attempts give up, the eight that gitops makes get through."""
    three, eight = aws.client("s3", access, 3), aws.client("s3", access)
    weather = Weather(three, 503, xml("SlowDown"), count=5)
    with pytest.raises(ClientError, match="SlowDown"):
        three.list_buckets()
    assert len(weather.times) == 3
    weather = Weather(eight, 503, xml("SlowDown"), count=5)
    assert "Buckets" in eight.list_buckets()
    assert len(weather.times) == 6


def test_f12_what_never_recovers_ends_after_eight_attempts_in_one_line(access):
    """Pauses differ from each other and from 1, 2, 4, ...: jitter. Then one line, and no ninth attempt."""
    s3 = aws.client("s3", access)
    weather = Weather(s3, 500, xml("InternalError"))
    with pytest.raises(GitopsError, match="AWS refused ListBuckets: InternalError") as error, aws.explained():
        s3.list_buckets()
    assert len(weather.times) == aws.ATTEMPTS == 8
    assert str(error.value).endswith("AWS is in trouble, run it again later")
    assert ("\n" in str(error.value), error.value.exit_code) == (False, 75)
    pauses = [after - before for before, after in zip(weather.times, weather.times[1:], strict=False)]
    assert len({round(pause, 2) for pause in pauses}) > 2
    assert all(pause < 2**number for number, pause in enumerate(pauses))


def test_f12_an_answer_that_does_not_come_in_time_is_asked_for_again(access):
    s3 = aws.client("s3", access)
    weather = Weather(s3, 0, count=2)
    assert "Buckets" in s3.list_buckets()
    assert len(weather.times) == 3


@pytest.mark.parametrize("code", sorted(aws.BUSY))
def test_f12_throttling_is_to_be_run_again_and_a_refusal_is_not(code):
    def refused(code: str, status: int) -> int:
        with pytest.raises(GitopsError) as error, aws.explained():
            raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Any")
        return error.value.exit_code

    assert (refused(code, 400), refused("AnyFault", 500), refused("ValidationException", 400)) == (75, 75, 1)


def test_f12_a_host_that_does_not_answer_is_one_line(access, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(GitopsError, match="AWS cannot be asked") as error, aws.explained():
        aws.client("s3", access, attempts=2).list_buckets()
    assert "\n" not in str(error.value)


def test_f50_a_call_that_is_denied_is_not_tried_again_and_names_action_and_resource(access):
    s3 = aws.client("s3", access)
    words = "User: arn:aws:iam::1:role/x is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::b/k"
    weather = Weather(s3, 403, xml("AccessDenied", words))
    with pytest.raises(GitopsError) as error, aws.explained():
        s3.put_object(Bucket="b", Key="k", Body=b"")
    assert len(weather.times) == 1
    assert str(error.value).startswith(f"AWS refused PutObject: AccessDenied: {words}")


@contextmanager
def expiring(accepted: str) -> Iterator[tuple[str, list[str]]]:
    """An AWS that answers `ExpiredToken` to every access key but the accepted one: (address, keys it saw)."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            key = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            seen.append(key)
            answers = {"GetQueueUrl": {"QueueUrl": f"{address}/queue"}, "ReceiveMessage": {}}
            expired = {"__type": "com.amazonaws#ExpiredTokenException", "message": "The token is expired"}
            self.answer(*((200, answers[operation]) if key == accepted else (400, expired)))

        def answer(self, status: int, document: dict) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield address, seen
        server.shutdown()


COUNTER = """
import json, pathlib
file = pathlib.Path(__file__).with_name("count")
number = int(file.read_text()) + 1 if file.exists() else 1
file.write_text(str(number))
print(json.dumps({"Version": 1, "AccessKeyId": f"KEY{number}", "SecretAccessKey": "secret"}))
"""


@pytest.mark.parametrize(("accepted", "status"), [("KEY2", 0), ("KEY9", 75)])
def test_f51_a_token_that_ends_is_renewed_once_and_then_the_exit_code_says_run_again(tmp_path, accepted, status):
    """The command begins again once with new credentials; if those have ended too, it exits with 75 (try again)."""
    project(tmp_path / "clone")
    (tmp_path / "count.py").write_text(COUNTER)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {tmp_path}/count.py\n")
    with expiring(accepted) as (address, seen):
        done = subprocess.run(
            [sys.executable, "-m", "gitops", "replay"],
            cwd=tmp_path / "clone",
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "AWS_CONFIG_FILE": str(tmp_path / "config"),
                "AWS_ENDPOINT_URL": address,
                "HOME": str(tmp_path),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == status, done.stderr
    assert list(dict.fromkeys(seen)) == ["KEY1", "KEY2"]
    assert "the credentials ended" in done.stderr
    assert "Traceback" not in done.stderr


def ask_the_model(region: str) -> None:
    runtime = aws.client("sagemaker-runtime", region)
    Weather(runtime, 403, '{"__type": "ExpiredTokenException", "message": "ended"}')
    golden.replay(runtime, "endpoint", [golden.Golden({"userId": "u"}, ("a",), (1.0,))])


def take_the_lease(region: str) -> None:
    s3 = aws.client("s3", region)
    Weather(s3, 400, xml("ExpiredToken"))
    Lease(Store(s3, "bucket", "endpoint"), "a test").acquire(0, 0)


def read_the_archive(region: str) -> None:
    s3 = aws.client("s3", region)
    Weather(s3, 400, "")  # the answer to HEAD has no body
    archive.members(s3, "s3://bucket/model.tar.gz", "0" * 64, {"golden.jsonl"})


@pytest.mark.parametrize("doing", [ask_the_model, take_the_lease, read_the_archive])
def test_f51_an_ended_token_is_no_finding_about_what_was_asked(access, doing):
    """No wrong answer, which would ask for a revert; no lease of another; no archive that is gone."""
    with pytest.raises(ExpiredError, match="the credentials ended"):
        doing(access)


@pytest.mark.parametrize("variants", [None, "main"])
def test_f50_a_model_that_may_not_be_asked_is_not_taken_for_a_wrong_one(access, variants):
    runtime, words = aws.client("sagemaker-runtime", access), "x is not authorized to perform: sagemaker:InvokeEndpoint"
    Weather(runtime, 403, json.dumps({"__type": "AccessDeniedException", "message": words}))
    asked = [golden.Golden({"userId": "u"}, ("a",), (1.0,))]
    with pytest.raises(GitopsError, match=words), aws.explained():
        golden.replay(runtime, "endpoint", asked, variants)
    with pytest.raises(GitopsError, match=words), aws.explained():
        golden.load(runtime, "endpoint", asked, [variants], time.monotonic)


def test_f50_an_archive_that_may_not_be_read_is_said_with_the_action(access):
    s3 = aws.client("s3", access)
    Weather(s3, 403, "")
    with pytest.raises(GitopsError, match=r"^s3://bucket/model\.tar\.gz: cannot be read \(AWS refused HeadObject: 403"):
        archive.members(s3, "s3://bucket/model.tar.gz", "0" * 64, {"golden.jsonl"})


def test_an_ended_token_is_no_finding_that_something_on_the_way_could_swallow():
    assert not issubclass(ExpiredError, ProjectError)
