"""Child processes that never outlive localcloud, however it ends.

Each child leads its own process group. A keeper, one small process of its own, holds the other end of a pipe and the
list of groups: when localcloud goes, even by SIGKILL, the pipe closes and the keeper kills every group on the list.
(Linux's PR_SET_PDEATHSIG reaches neither grandchildren nor children started by a thread that has ended.)
A child runs nothing before the keeper knows it: it waits at a gate, and if localcloud goes first the gate never opens.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

Output = int | IO[bytes] | IO[str] | None
_GATE = 'read -r _ < "/dev/fd/$0" && exec "$@"'


class Processes:
    """Starts children, remembers their process groups, ends them all."""

    def __init__(self) -> None:
        self._groups: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(  # noqa: PLR0913 the streams of a process
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | str,
        stdout: Output = None,
        stderr: Output = None,
        stdin: Output = subprocess.DEVNULL,
    ) -> "subprocess.Popen[bytes]":
        """Start `command` in a process group of its own; stderr goes where stdout goes unless it is given."""
        with self._lock:
            if self._stopping:
                raise RuntimeError("localcloud is stopping")
            with _gate() as (gate, opener):
                process = subprocess.Popen(
                    ["/bin/sh", "-c", _GATE, str(gate), *command],
                    env=dict(env),
                    cwd=cwd,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=subprocess.STDOUT if stderr is None and stdout is not None else stderr,
                    start_new_session=True,
                    pass_fds=[gate],
                )
                self._groups[process.pid] = process
                self._tell_keeper(f"+{process.pid}")
                os.write(opener, b"\n")
        threading.Thread(target=self._forget_at_end, args=(process,), name=f"wait-{process.pid}", daemon=True).start()
        return process

    def stop(self, process: "subprocess.Popen[bytes]", grace: float = 2.0) -> None:
        """End the process and its whole group: SIGTERM, then SIGKILL after `grace` seconds."""
        self._end([process], grace)

    def stop_all(self, grace: float = 2.0) -> None:
        """End every group, then the keeper; nothing can be started afterwards."""
        with self._lock:
            self._stopping = True
            processes = list(self._groups.values())
        self._end(processes, grace)
        if self._keeper.stdin:
            with suppress(OSError):
                self._keeper.stdin.close()
        self._keeper.wait()

    def _end(self, processes: Sequence["subprocess.Popen[bytes]"], grace: float) -> None:
        for process in processes:
            _signal(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while any(_alive(process) for process in processes) and time.monotonic() < deadline:
            time.sleep(0.01)
        for process in processes:
            _signal(process.pid, signal.SIGKILL)
            process.wait()
            self._forget(process.pid)

    def _forget_at_end(self, process: "subprocess.Popen[bytes]") -> None:
        process.wait()
        if not _signal(process.pid, 0):  # a group that still has members stays on the list
            self._forget(process.pid)

    def _forget(self, group: int) -> None:
        with self._lock:
            if self._groups.pop(group, None):
                self._tell_keeper(f"-{group}")

    def _tell_keeper(self, line: str) -> None:
        if self._keeper.stdin:
            with suppress(BrokenPipeError):
                self._keeper.stdin.write(line.encode() + b"\n")
                self._keeper.stdin.flush()


@contextmanager
def _gate() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def _alive(process: "subprocess.Popen[bytes]") -> bool:
    return process.poll() is None or _signal(process.pid, 0)


def _signal(group: int, number: int) -> bool:
    """Signal a group; True if it still has a member. PermissionError is macOS's word for a group of zombies."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
