"""A running endpoint, as its tests ask it: the real process, over real HTTP."""

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checkerboard import ROOT

JSON = "application/json"


@dataclass(frozen=True)
class Server:
    """A running `python -m serving_code serve`, from a copy of the folder and with nothing else in its environment."""

    port: int
    process: subprocess.Popen[str]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict | None = None
    ) -> tuple[int, Any, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def invoke(self, body: Any, kind: str = JSON) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, answer, _ = self.ask("POST", "/invocations", content, {"Content-Type": kind})
        return status, json.loads(answer)

    def ping(self) -> tuple[int, Any]:
        status, answer, _ = self.ask("GET", "/ping")
        return status, json.loads(answer)

    def wait(self, *, until: int) -> Any:
        """Ask /ping until it answers with this status."""
        for _ in range(300):
            try:
                status, answer = self.ping()
            except OSError:
                status, answer = 0, None
            if status == until:
                return answer
            time.sleep(0.03)
        raise AssertionError(f"/ping never answered {until}: {status} {answer}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def start(folder: Path, **more: str) -> Server:
    """Serve folder/model on a free port; the process sees only the folder, its port, its release and what is given."""
    port = free_port()
    if not (folder / "serving_code").exists():
        shutil.copytree(ROOT / "serving_code", folder / "serving_code")
    environment = {"SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_BIND_TO_PORT": str(port), "MODEL_NAME": "board",
                   "MODEL_VERSION": "3", "RUN_ID": "r1", **more}  # fmt: skip
    command = [sys.executable, "-m", "serving_code", "serve"]
    with (folder / "stdout").open("wb") as log:
        started = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    return Server(port, started)


def stop(server: Server) -> str:
    """End a server; what it wrote to stderr."""
    server.process.send_signal(signal.SIGTERM)
    _, said = server.process.communicate(timeout=30)
    return said


@contextmanager
def serving(archive: Path, folder: Path, **more: str) -> Iterator[Server]:
    """A ready endpoint that in the end exits with 0, is the same process still, and has nothing to complain of."""
    shutil.copytree(archive, folder / "model")
    running = start(folder, **more)
    try:
        running.wait(until=200)
        yield running
        said = stop(running)
        assert (running.process.returncode, said) == (0, "")
    finally:
        running.process.kill()
        running.process.communicate()


class Kept:
    """A caller who keeps one connection, and asks fast."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "Kept":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def invoke(self, body: bytes, kind: str = JSON) -> tuple[int, bytes]:
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        return self.answer()

    def answer(self) -> tuple[int, bytes]:
        """The next answer on the connection."""
        status, length = int(self._file.readline().split()[1]), 0
        while (line := self._file.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return status, self._file.read(length)
