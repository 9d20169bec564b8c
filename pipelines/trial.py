"""One trial of a local search: training_code's own program, run on a prepared channel with given values."""

import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from pipelines.space import as_text

LOOK_SECONDS = 0.1
GRACE_SECONDS = 2.0  # between asking a training to end and ending it


@dataclass(frozen=True)
class Outcome:
    """What a trial came to: the objective, or why there is none."""

    score: float | None
    problem: str
    seconds: float


@dataclass(frozen=True)
class Training:
    """What all trials of a search have in common."""

    program: Path
    train_dir: Path
    hyperparameters: Mapping[str, str]
    objective: re.Pattern[str]  # its last match in what training prints is the score
    threads: int

    def run(self, values: Mapping[str, object], stop: Event) -> Outcome:
        """Train with these values in a process that ends with this call, also when `stop` is set meanwhile."""
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="trial-") as scratch:
            log = Path(scratch, "log")
            code = self._train(values, Path(scratch, "model"), log, stop)
            lines = log.read_text(errors="replace").splitlines()
        seconds = time.monotonic() - begun
        found = [score for line in lines for score in self.objective.findall(line)]
        if code or not found:
            said = next((line for line in reversed(lines) if line.strip()), "it printed nothing")
            return Outcome(None, said if code else f"no line matches {self.objective.pattern}", seconds)
        score = float(found[-1])
        return Outcome(score, "", seconds) if math.isfinite(score) else Outcome(None, f"the score is {score}", seconds)

    def _train(self, values: Mapping[str, object], model_dir: Path, log: Path, stop: Event) -> int:
        given = {**self.hyperparameters, **values}
        folders = ["--train-dir", str(self.train_dir), "--model-dir", str(model_dir)]
        words = [part for name, value in sorted(given.items()) for part in (f"--{name}", as_text(value))]
        command = [sys.executable, str(self.program), *folders, *words]
        with log.open("wb") as output, _group(command, self._environment(), output.fileno()) as process:
            while not stop.is_set():
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(LOOK_SECONDS)
        return process.returncode or 1

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("SM_")}
        return {"OMP_NUM_THREADS": str(self.threads), **own}


@contextmanager
def _group(command: list[str], environment: Mapping[str, str], output: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a group of its own, which Ctrl-C in the terminal does not reach: none of it is left afterwards."""
    process = subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
