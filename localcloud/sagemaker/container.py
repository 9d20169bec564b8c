"""Runs one container's process: its output goes to CloudWatch Logs while it runs, its end is never missed."""

import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from ..cloud import Cloud

FLUSH_SECONDS = 0.25
# SageMaker gives a container 120 s between SIGTERM and SIGKILL; localcloud's time runs ten times as fast
STOP_SECONDS = 12.0
TAIL_LINES = 20
_OPT_ML = re.compile(r"(?<![\w./-])/opt/ml(?![\w.-])")


def inside(text: str, base: Path) -> str:
    """The text with every /opt/ml that starts a path moved to the container's private folder."""
    return _OPT_ML.sub(str(base).replace("\\", r"\\"), text)


@dataclass(frozen=True)
class Launch:
    """What to run, where, and where its lines go."""

    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    output: Path
    group: str
    stream: str
    seconds: float
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Outcome:
    """How a container ended. `tail` holds its last lines."""

    code: int
    tail: list[str]
    timed_out: bool


class Lines:
    """The complete lines a growing file has gained since the last look."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rest = b""

    def new(self, *, last: bool = False) -> list[str]:
        """New lines; with `last`, also one that no newline has ended."""
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        if last and self._rest:
            whole.append(self._rest)
        return [line.decode(errors="replace").rstrip("\r") for line in whole]


def run(cloud: "Cloud", launch: Launch, observe: Callable[[list[str]], None]) -> Outcome:
    """Run to the end, to `launch.stop` or to the time limit; `observe` sees every line once."""
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def publish(lines: list[str]) -> None:
        if lines:
            tail.extend(line for line in lines if line.strip())
            cloud.log(launch.group, launch.stream, lines)
            observe(lines)

    with launch.output.open("wb") as sink, launch.output.open("rb") as source:
        process = cloud.processes.start(launch.command, env=launch.env, cwd=launch.cwd, stdout=sink)
        ended = threading.Event()
        threading.Thread(target=_wait, args=(process, ended), daemon=True).start()
        lines, deadline = Lines(source), time.monotonic() + launch.seconds
        try:
            while not ended.wait(FLUSH_SECONDS):
                publish(lines.new())
                if launch.stop.is_set() or time.monotonic() > deadline:
                    break
            timed_out = not ended.is_set() and not launch.stop.is_set()
        finally:
            # also when the process has ended by itself: a container takes its background processes with it
            cloud.processes.stop(process, STOP_SECONDS if not ended.is_set() else 0)
        publish(lines.new(last=True))
    return Outcome(process.returncode, list(tail), timed_out)


def _wait(process: "subprocess.Popen[bytes]", ended: threading.Event) -> None:
    process.wait()
    ended.set()
