"""One real localcloud for the whole test session: tests share it, so each uses names of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from localcloud import running, state

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime's; tests reach nobody
ROOT = Path(__file__).parent.parent
IMAGES = """\
images:
  - image: "*/serving@sha256:*"
    source: "s3://images-bucket/images/serving/{digest}.tar.gz"
    command: [python, -m, serving_code]
  - {image: "*", source: environment}
"""
# Waits for our end of the pipe to close, which it does however this process ends: pytest-xdist kills its workers.
GUARD = "import subprocess, sys; sys.stdin.read(); subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)"


@dataclass(frozen=True)
class LocalCloud:
    """A running `python -m localcloud up`."""

    directory: Path
    state: state.State

    @property
    def endpoint(self) -> str:
        return self.state.endpoint

    @property
    def git_root(self) -> Path:
        return Path(self.state.git_root)

    @property
    def git_url(self) -> str:
        return f"{self.endpoint}/_gitlab"

    @property
    def tokens(self) -> dict[str, str]:
        return self.state.tokens

    @property
    def environment(self) -> dict[str, str]:
        """For subprocesses: only what a shell after `python -m localcloud env` needs."""
        home = self.directory / "test-home"
        home.mkdir(exist_ok=True)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {"PATH": path, "HOME": str(home), **running.variables(self.state)}

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.state.region,
            aws_access_key_id="localcloud",
            aws_secret_access_key="localcloud",
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="session")
def start_localcloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalCloud]]:
    """Start as many as a test needs, each in a directory of its own; all are stopped at the end, whatever ends us."""
    guards: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> LocalCloud:
        directory = tmp_path_factory.mktemp("localcloud")
        place = ["--directory", str(directory)]
        down = [sys.executable, "-c", GUARD, sys.executable, "-m", "localcloud", "down", *place]
        guards.append(subprocess.Popen(down, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True))
        command = [sys.executable, "-m", "localcloud", "up", "--port", "0", "--detach", *place]
        subprocess.run([*command, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        found = state.read(directory)
        assert found is not None
        return LocalCloud(directory, found)

    yield start
    for guard in guards:
        guard.communicate()


@pytest.fixture(scope="session")
def localcloud(start_localcloud: Callable[..., LocalCloud], tmp_path_factory: pytest.TempPathFactory) -> LocalCloud:
    """The session's localcloud. Images run in this environment, serving ones from s3://images-bucket."""
    images = tmp_path_factory.mktemp("images") / "images.yml"
    images.write_text(IMAGES)
    return start_localcloud("--images", str(images))
