"""What the command line does, one function per command. Anything wrong raises ProjectError."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import cloud as clouds
from pipelines import project as projects
from pipelines import runs, schema
from pipelines.errors import ProjectError

if TYPE_CHECKING:  # boto3 takes a while to import, and --help, --dry-run and a wrong file do not need it
    from pipelines.start import Clients, Started


def dry_run(root: Path, paths: Sequence[Path], environment: Mapping[str, str]) -> None:
    """Print the definition: of one model as it is, of several as {model: definition}. No credentials, no cloud."""
    models = [runs.read(root, path) for path in paths]
    cloud = clouds.for_dry_run(environment, projects.load(root))
    definitions = {model.name: runs.compiled(root, model, cloud) for model in models}
    shown = definitions if len(definitions) > 1 else next(iter(definitions.values()))
    print(json.dumps(shown, indent=2))


def validate(root: Path, paths: Sequence[Path], environment: Mapping[str, str]) -> None:
    """Check params, data lock, code folders and the compiled definition; print one line per model."""
    models = [runs.read(root, path) for path in paths]
    cloud = clouds.for_dry_run(environment, projects.load(root))
    for model in models:
        steps = len(runs.compiled(root, model, cloud)["Steps"])
        print(f"{model.path}: valid; {len(model.lock.partitions)} partitions, {steps} steps")


def run(root: Path, paths: Sequence[Path], environment: Mapping[str, str], *, wait: bool) -> None:
    """Start each model's run, or say that it was; with `wait`, follow them to the end.

    Every file is read and every definition compiled before anything is started. One model's failure does not stop
    the others: it is printed, and the last one raised at the end.
    """
    models = [runs.read(root, path) for path in paths]
    cloud = clouds.from_environment(environment, projects.load(root))
    planned = [runs.plan(root, model, cloud, environment.get("COMMIT") or "unknown") for model in models]

    from pipelines.start import connect

    follower = Follower(connect(cloud), cloud, time.monotonic())
    try:
        for one in planned:
            follower.begin(one)
        if wait:
            follower.finish()
    except KeyboardInterrupt:
        follower.leave()
        raise
    if follower.errors:
        *others, last = follower.errors
        for error in others:
            print(f"error: {error}", file=sys.stderr)
        raise last


class Follower:
    """The runs of one command: those that are going on, and what went wrong with the others."""

    def __init__(self, clients: "Clients", cloud: clouds.Cloud, begun: float) -> None:
        self.clients, self.cloud, self.begun = clients, cloud, begun
        self.going_on: list[tuple[runs.Run, Started]] = []
        self.errors: list[ProjectError] = []

    def begin(self, one: runs.Run) -> None:
        """Start one run and say what came of it."""
        from pipelines.start import start
        from pipelines.watch import GOING_ON

        with self.collected():
            started = start(self.clients, self.cloud, one)
            if started.status in GOING_ON:
                self.going_on.append((one, started))
            say(f"{one.model.name}: run {one.run_id[:12]} {started.how}: {started.arn}")
            if started.status not in GOING_ON | {"Succeeded"}:
                self.follow(one, started)

    def finish(self) -> None:
        """Wait for the runs that are going on."""
        while self.going_on:
            with self.collected():
                self.follow(*self.going_on[0])
            self.going_on.pop(0)

    def leave(self) -> None:
        """Say which runs go on without this program."""
        for one, started in self.going_on:
            print(f"{one.model.name}: left running: {started.arn}", file=sys.stderr)

    def follow(self, one: runs.Run, started: "Started") -> None:
        """Wait for one run up to its deadline. Raises ProjectError when it failed."""
        from pipelines.watch import wait

        minutes = one.model.params.build.wait_minutes
        status = wait(self.clients, started, self.begun + 60 * minutes, say)
        took = time.monotonic() - self.begun
        ending = f"succeeded in {took:.0f} s" if status == "Succeeded" else f"still running after {minutes} minutes"
        say(f"{one.model.name}: {ending}: {started.arn}")

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep a run's error for the end."""
        try:
            yield
        except ProjectError as error:
            self.errors.append(error)


def say(line: str) -> None:
    """Print at once: a build's log is read while it grows."""
    print(line, flush=True)


def write_schemas(root: Path) -> None:
    """Write the editors' schemas, one line each."""
    for path in schema.write(root):
        print(path)
