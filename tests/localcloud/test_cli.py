"""`python -m localcloud` as a person uses it, in processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import state

ROOT = Path(__file__).parent.parent.parent
SLEEPS = '{version: "0.2", phases: {build: {commands: ["sleep 300 & echo $! > %s; wait"]}}}'


def localcloud_command(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localcloud", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "cloud"
    localcloud_command("down", "--directory", str(tmp_path / "cloud"))


def wait_for(found: Any, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


@contextmanager
def foreground(directory: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "localcloud", "up", "--port", "0", "--directory", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: state.read(directory))
            yield process
        finally:
            process.kill()


def start_sleeping_build(directory: Path, tmp_path: Path) -> int:
    """A build whose grandchild sleeps for minutes; the grandchild's process id."""
    running = state.read(directory)
    assert running is not None
    codebuild = boto3.client(
        "codebuild",
        endpoint_url=running.endpoint,
        region_name=running.region,
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    codebuild.create_project(
        name="sleeper",
        source={"type": "NO_SOURCE", "buildspec": SLEEPS % (tmp_path / "pid")},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole="arn:aws:iam::123456789012:role/any",
    )
    codebuild.start_build(projectName="sleeper")
    return int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip()))


def test_up_returns_when_ready_and_down_leaves_nothing(directory: Path) -> None:
    started = time.monotonic()
    up = localcloud_command("up", "--detach", "--port", "0", "--directory", str(directory))
    seconds = time.monotonic() - started
    running = state.read(directory)
    assert running is not None
    assert up.stdout == f"localcloud ready at {running.endpoint} (pid {running.pid})\n"
    assert seconds < 10  # about one on an idle machine
    assert running.endpoint in localcloud_command("status", "--directory", str(directory)).stdout
    assert localcloud_command("down", "--directory", str(directory)).stdout == "localcloud stopped\n"
    assert not running.alive
    assert not (directory / state.FILE).exists()
    again = localcloud_command("status", "--directory", str(directory))
    assert again.returncode == 1
    assert again.stderr.startswith("error: no localcloud runs in")


def test_env_prints_what_a_shell_can_evaluate(directory: Path) -> None:
    localcloud_command("up", "--detach", "--port", "0", "--region", "eu-north-1", "--directory", str(directory))
    exports = localcloud_command("env", "--directory", str(directory)).stdout
    script = (
        f'{exports}\n{sys.executable} -c \'import boto3; print(boto3.client("sts").get_caller_identity()["Account"])\''
    )
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "123456789012\n"
    assert "export AWS_REGION=eu-north-1" in exports
    assert {"GIT_URL", "GIT_TOKEN", "GIT_REVIEWER_TOKEN"} <= {line[7:].split("=")[0] for line in exports.splitlines()}


def test_a_second_one_in_the_same_directory_says_where_the_first_runs(directory: Path) -> None:
    localcloud_command("up", "--detach", "--port", "0", "--directory", str(directory))
    running = state.read(directory)
    assert running is not None
    for words in (["--detach"], []):
        second = localcloud_command("up", "--port", "0", "--directory", str(directory), *words)
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert f"a localcloud runs here at {running.endpoint}" in second.stderr
    assert running.alive


def test_a_taken_port_is_one_line(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        for words in (["--detach"], []):
            up = localcloud_command("up", "--port", port, "--directory", str(directory), *words)
            assert up.returncode == 1
            assert up.stderr.count("\n") == 1
            assert f"127.0.0.1:{port} cannot be used (Address already in use)" in up.stderr
            assert "--port 0" in up.stderr


def test_a_wrong_images_file_is_one_line(directory: Path, tmp_path: Path) -> None:
    images = tmp_path / "images.yml"
    images.write_text("images: [{image: '*', source: here}]")
    up = localcloud_command("up", "--port", "0", "--directory", str(directory), "--images", str(images))
    assert up.returncode == 1
    assert up.stderr.startswith(f"error: {images}: source 'here'")
    assert up.stderr.count("\n") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_every_grandchild(directory: Path, tmp_path: Path, number: int, code: int) -> None:
    with foreground(directory) as process:
        sleeper = start_sleeping_build(directory, tmp_path)
        process.send_signal(number)
        assert process.wait(20) == code
    assert not state.start_time(sleeper)
    assert not (directory / state.FILE).exists()


def test_kill_9_ends_every_grandchild_and_the_next_one_starts(directory: Path, tmp_path: Path) -> None:
    with foreground(directory) as process:
        sleeper = start_sleeping_build(directory, tmp_path)
        process.kill()
        process.wait(20)
    wait_for(lambda: not state.start_time(sleeper))
    assert (directory / state.FILE).exists()  # it had no time to remove it
    up = localcloud_command("up", "--detach", "--port", "0", "--directory", str(directory))
    assert up.returncode == 0
    running = state.read(directory)
    assert running is not None
    assert running.alive
    assert running.pid != process.pid


def test_down_never_touches_a_process_that_got_the_same_id(directory: Path) -> None:
    directory.mkdir()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        state.write(directory, state.State(bystander.pid, "another time", "http://127.0.0.1:1", "eu-west-1", "."))
        assert "no localcloud runs" in localcloud_command("down", "--directory", str(directory)).stdout
        assert bystander.poll() is None
        bystander.kill()


def test_ctrl_c_while_it_starts_in_the_background_leaves_none(directory: Path):
    command = [sys.executable, "-m", "localcloud", "up", "--detach", "--port", "0", "--directory", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for((directory / "localcloud.log").exists)
        time.sleep(0.1)  # it has started the other process, which is not ready yet
        process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    time.sleep(2)  # long enough for one that was left to be ready
    assert state.read(directory) is None


def test_down_stops_one_whose_starter_was_killed_before_it_was_ready(directory: Path) -> None:
    command = [sys.executable, "-m", "localcloud", "up", "--detach", "--port", "0", "--directory", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as starter:
        wait_for(lambda: directory.exists() and state.locked(directory))
        starter.kill()
    assert "stopped" in localcloud_command("down", "--directory", str(directory)).stdout
    assert not state.locked(directory)
    assert state.read(directory) is None
