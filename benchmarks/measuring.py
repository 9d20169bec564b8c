"""Run one thing as a process of its own and say what it cost: wall and CPU seconds, and peak memory.

CPU seconds are the whole process tree's, from wait4; on Linux also those of a child that outlives its parent, as
Spark's Java does. Peak memory is the larger of the largest process's peak (wait4) and, on Linux while there are several
processes, of the sum of their proportional shares, looked at twice a second: pages that workers share count once.
The measuring process itself must stay small: what a child is forked from counts in the child's wait4 peak.
"""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import BenchmarkError

LOOK_SECONDS = 0.05
SHARES_SECONDS = 0.5
BEAT_SECONDS = 15.0
ORPHANS_SECONDS = 60.0
GRACE_SECONDS = 2.0
ERROR = "error: "  # how a program of this project begins the one line that says what is wrong
# ru_maxrss counts bytes on macOS and KiB on Linux
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Cost:
    """What a process and its children used."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


def run(command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> Cost:
    """Run a command to its end, its output into `log`; whatever happens, none of its processes is left.

    Raises BenchmarkError when it fails, with its own error line or else with the end of its log.
    """
    with adopting_orphans(), log.open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, env=environment,
        )  # fmt: skip
        used = Used()
        try:
            status = follow(process.pid, log, used)
            wall = time.monotonic() - began
            reap(process.pid, ORPHANS_SECONDS, used)
        finally:
            stop(process.pid, used)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = tail(log, 1)
        known = last.startswith(ERROR)
        words = " ".join(command[1:4])
        raise BenchmarkError(
            last.removeprefix(ERROR) if known else f"{words}: ended with {process.returncode}: {tail(log, 6)}"
        )
    return Cost(wall, used.cpu_seconds, used.peak_mib)


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """On Linux, a descendant that loses its parent becomes this process's child, so that it can be waited for."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        if prctl:
            prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@dataclass
class Used:
    """What the processes that have ended used."""

    cpu_seconds: float = 0.0
    peak_mib: float = 0.0

    def add(self, usage: resource.struct_rusage) -> None:
        self.cpu_seconds += usage.ru_utime + usage.ru_stime
        self.peak_mib = max(self.peak_mib, usage.ru_maxrss * MAXRSS_BYTES / 2**20)


def follow(pid: int, log: Path, used: Used) -> int:
    """Wait for a process and note what it used; its wait status. Shows now and then how far it is."""
    began = time.monotonic()
    look, beat = began + SHARES_SECONDS, began + BEAT_SECONDS
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            used.add(usage)
            return status
        now = time.monotonic()
        if now >= look:
            used.peak_mib, look = max(used.peak_mib, shared_bytes(pid) / 2**20), now + SHARES_SECONDS
        if now >= beat:
            print(f"    {now - began:4.0f} s: {tail(log, 1)}", file=sys.stderr, flush=True)
            beat = now + BEAT_SECONDS
        time.sleep(LOOK_SECONDS)


def reap(session: int, patience: float, used: Used) -> None:
    """Wait at most so many seconds for a session's processes to end by themselves, and note what they used."""
    deadline = time.monotonic() + patience
    with contextlib.suppress(ChildProcessError):  # there is none, or none any more
        while time.monotonic() < deadline:
            ended, _, usage = os.wait4(-session, os.WNOHANG)
            if ended:
                used.add(usage)
            else:
                time.sleep(LOOK_SECONDS)


def stop(session: int, used: Used) -> None:
    """End what is left of a session; first politely, since a loader's workers want to be waited for."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(session, number)
        except ProcessLookupError:
            return
        reap(session, GRACE_SECONDS, used)


def shared_bytes(session: int) -> float:
    """The proportional memory of a session's processes together; 0 where there is one, or where Linux is not."""
    members = [path for path in Path("/proc").glob("[0-9]*") if session_of(path) == session]
    return sum(map(proportional, members)) if len(members) > 1 else 0.0


def session_of(process: Path) -> int | None:
    """A process's session; None when it has just ended."""
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[3])
    except (OSError, ValueError, IndexError):
        return None


def proportional(process: Path) -> float:
    """A process's proportional set size in bytes: what it shares with n processes counts as an n-th."""
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(1024.0 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def tail(log: Path, lines: int) -> str:
    """The last lines of a log as one."""
    found = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    return " | ".join(line.strip() for line in found[-lines:] if line.strip())[-600:] or "(no output yet)"
