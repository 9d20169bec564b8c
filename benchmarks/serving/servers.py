"""A server as a process of its own: started, waited for, weighed, and stopped with all that it started."""

import contextlib
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import BenchmarkError
from ..measuring import Used, adopting_orphans, proportional, session_of, stop, tail
from ..trials import ROOT
from .client import HOST

START_SECONDS = 120.0
LOOK_SECONDS = 0.002
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server. Memory and CPU time are those of all its processes."""

    port: int
    session: int
    start_seconds: float

    def weigh(self) -> dict[str, float]:
        """Resident MiB: as `ps` adds it up, with what processes share counted once, and what is no file's page."""
        members = [path for path in Path("/proc").glob("[0-9]*") if session_of(path) == self.session]
        return {
            "rss_mib": round(sum(status(path, "VmRSS") for path in members) / 2**10, 1),
            "pss_mib": round(sum(map(proportional, members)) / 2**20, 1),
            "anonymous_mib": round(sum(status(path, "RssAnon") for path in members) / 2**10, 1),
            "processes": len(members),
        }

    def cpu_seconds(self) -> float:
        """What its living processes have used so far."""
        members = [path for path in Path("/proc").glob("[0-9]*") if session_of(path) == self.session]
        return sum(map(ticks, members)) / TICK


def status(process: Path, name: str) -> float:
    """A number of /proc/<pid>/status in KiB; 0 for a process that has just ended."""
    with contextlib.suppress(OSError):
        for line in (process / "status").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                return float(line.split()[1])
    return 0.0


def ticks(process: Path) -> int:
    """User and system time of a process in clock ticks."""
    with contextlib.suppress(OSError):
        fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0


@contextlib.contextmanager
def running(words: Sequence[str], environment: Mapping[str, str], ready: str, log: Path) -> Iterator[Server]:
    """Start a server, {port} in its words and environment filled in; it is ready once GET `ready` gives 200.

    Raises BenchmarkError with the end of its log if it ends or is not ready in time.
    """
    port = free_port()
    words = [one.replace("{port}", str(port)) for one in words]
    more = {name: value.replace("{port}", str(port)) for name, value in environment.items()}
    whole = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    with adopting_orphans(), log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=ROOT, env=whole, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            wait(process, port, ready, log)
            yield Server(port, process.pid, time.perf_counter() - began)
        finally:
            stop(process.pid, Used())
            process.returncode = 0  # it has been waited for


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait(process: subprocess.Popen[bytes], port: int, ready: str, log: Path) -> None:
    """Ask until it says 200."""
    deadline = time.monotonic() + START_SECONDS
    said: int | str = "no connection"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchmarkError(f"the server ended with {process.returncode}: {tail(log, 6)}")
        try:
            said = get(port, ready)
        except (OSError, http.client.HTTPException):
            said = "no connection"
        if said == 200:
            return
        time.sleep(LOOK_SECONDS)
    raise BenchmarkError(f"the server is not ready after {START_SECONDS:.0f} s (GET {ready}: {said}): {tail(log, 6)}")


def get(port: int, path: str) -> int:
    """The status of a GET."""
    with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=5)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status
