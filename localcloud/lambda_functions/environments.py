"""Execution environments: processes that stay warm between the invocations of one function, as Lambda's do.

One invocation at a time runs in an environment; calls at the same time get one each. After a time-out or an exit the
environment is gone; changed code or settings begin with new ones, and one that was not asked for five minutes ends.
"""

import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from uuid import uuid4

from .state import Function, state

if TYPE_CHECKING:
    from ..cloud import Cloud

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
_SPARE = 12  # environments that wait for work, of all functions: each may hold 60 MB


class Environment:
    """One process, at one revision of a function."""

    def __init__(self, cloud: "Cloud", function: Function) -> None:
        self._cloud = cloud
        self.revision: str = function.configuration["RevisionId"]
        self.stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid4().hex}"
        self._scratch = cloud.directory / "lambda" / "environments" / uuid4().hex
        self._scratch.mkdir(parents=True, mode=0o700)
        self.process = cloud.processes.start(
            [sys.executable, "-I", "-u", str(_BOOTSTRAP)],
            env={
                **cloud.environment(),
                **variables(function),
                "AWS_LAMBDA_LOG_STREAM_NAME": self.stream,
                "TMPDIR": str(self._scratch),
            },
            cwd=function.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def run(self, folder: Path, seconds: float) -> str:
        """Have it do the invocation in `folder`: done | idle (it was not begun) | late | gone."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._cloud.processes.stop(self.process, grace=0)

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            word = self._ask(folder)
        finally:
            timer.cancel()
        return "late" if late.is_set() else word

    def _ask(self, folder: Path) -> str:
        requests, words = cast("IO[bytes]", self.process.stdin), cast("IO[bytes]", self.process.stdout)
        with suppress(BrokenPipeError):  # it ended of itself, and has said so
            requests.write(os.fsencode(f"{folder}\n"))
            requests.flush()
        return words.readline().decode().strip() or "gone"

    def end(self) -> int:
        """End it and whatever its handler left running; its exit status."""
        self._cloud.processes.stop(self.process, grace=0)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        return self.process.returncode


def variables(function: Function) -> dict[str, str]:
    """What Lambda sets in the environment of a function, and what its owner did."""
    settings = function.configuration
    given = settings.get("Environment", {}).get("Variables", {})
    return {
        **given,
        "TZ": given.get("TZ", ":UTC"),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{settings['Runtime']}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings["MemorySize"]),
        "AWS_LAMBDA_FUNCTION_NAME": settings["FunctionName"],
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": settings["LoggingConfig"]["LogGroup"],
        "LAMBDA_TASK_ROOT": str(function.folder),
        "_HANDLER": settings["Handler"],
    }


def take(cloud: "Cloud", function: Function) -> Environment:
    """A warm environment of the function's present revision, or a new one."""
    known = state(cloud)
    with known.lock:
        revision = function.configuration["RevisionId"]  # no two functions have the same
        for environment in reversed(known.spare):
            if environment.revision == revision:
                known.spare.remove(environment)
                return environment
    return Environment(cloud, function)


def give_back(cloud: "Cloud", function: Function, environment: Environment) -> None:
    """Keep it for the next invocation, unless it is out of date; one that waited longest may have to go for it."""
    known, ended = state(cloud), environment
    with known.lock:
        current = known.functions.get(function.name) is function
        if current and environment.revision == function.configuration["RevisionId"]:
            known.spare.append(environment)
            if len(known.spare) <= _SPARE:
                return
            ended = known.spare.pop(0)
    ended.end()


def drop(cloud: "Cloud", revision: str) -> None:
    """End those of a revision that wait for work: the function has changed or is gone."""
    known = state(cloud)
    with known.lock:
        ended = [each for each in known.spare if each.revision == revision]
        known.spare = [each for each in known.spare if each.revision != revision]
    for environment in ended:
        environment.end()
