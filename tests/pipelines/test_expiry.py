"""Credentials that end in the middle of a run."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from pipelines import cloud, expiry, project
from pipelines.__main__ import main
from pipelines.errors import ExpiredError

ENDED = b"<Error><Code>ExpiredToken</Code><Message>The token is expired</Message></Error>"
COUNTER = """
import json, pathlib
file = pathlib.Path(__file__).with_name("count")
number = int(file.read_text()) + 1 if file.exists() else 1
file.write_text(str(number))
print(json.dumps({"Version": 1, "AccessKeyId": f"KEY{number}", "SecretAccessKey": "secret"}))
"""


@contextmanager
def ended() -> Iterator[tuple[str, list[str]]]:
    """An S3 for which every token has ended: (address, keys it saw)."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"].partition("Credential=")[2].partition("/")[0])
            self.send_response(400)
            self.send_header("Content-Length", str(len(ENDED)))
            self.end_headers()
            self.wfile.write(ENDED)

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()


def test_f51_a_run_whose_tokens_have_ended_twice_says_so_and_exits_with_run_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The exit code is 75, and nothing was begun that another run would not find."""
    (tmp_path / "count.py").write_text(COUNTER)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {tmp_path}/count.py\n")
    account = cloud.placeholder(project.load(home))
    given = [account.account, account.bucket, account.role_arn, *vars(account.images).values()]
    variables = dict(zip(cloud.VARIABLES, [*given, account.register_function_arn], strict=True))
    with ended() as (address, seen):
        variables |= {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL": address}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # put back afterwards: it would keep these credentials
        assert main(["run", str(home / "params" / "ncf.yml")]) == 75
    assert seen == ["KEY1", "KEY2"]
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: AWS refused ListObjectsV2: ExpiredToken: The token is expired")
    assert lines[-2].endswith("beginning again, once")


def test_f51_a_command_is_begun_again_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    answers = [ExpiredError("ended"), "done"]
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    def command() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert expiry.twice(command) == "done"
    assert capsys.readouterr().err == "ended; beginning again, once\n"
    answers = [ExpiredError("ended"), ExpiredError("again"), "never asked"]
    with pytest.raises(ExpiredError, match="again"):
        expiry.twice(command)
    assert answers == ["never asked"]
