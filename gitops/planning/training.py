"""What a change makes of one model's training: values, steps, data, estimates. Compiled by this program's own code."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gitops import deployment
from gitops.planning import estimates, evidence, quarantine, steps
from gitops.planning.differences import flatten, with_defaults
from gitops.planning.estimates import Estimate, History
from gitops.planning.prices import Prices
from gitops.planning.quarantine import Memory
from pipelines import cloud as clouds
from pipelines import documents, project, runs
from pipelines.errors import ProjectError
from pipelines.params import DataLock

COMPILED = ("params/", "processing_code/", "training_code/", "pipelines/", "buildspec.yml", project.FILE)


@dataclass(frozen=True)
class Side:
    """A model at one commit."""

    model: runs.Model
    definition: Mapping[str, Any]
    run_id: str

    @property
    def values(self) -> dict[str, str]:
        """What an execution of it would be told that steps depend on."""
        return {"Champion": self.model.champion.name if self.model.champion else "none"}

    @property
    def resolved(self) -> dict[str, Any]:
        """Every value of the params, defaults included."""
        return self.model.params.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True)
class Training:
    """The plan of one model."""

    name: str
    path: str
    differences: list[str]
    steps: list[steps.Step]
    always: list[str]  # steps that are carried out in any case
    estimates: list[Estimate]
    history: History
    lock: list[str]
    champion: str
    starts: bool  # whether the run has another identity than the base's
    resolved: str
    definition_diff: list[str]

    @property
    def running(self) -> int:
        """How many steps will run."""
        return sum(step.runs for step in self.steps)


def concerned(paths: list[str]) -> bool:
    """Whether a change can make any model train."""
    return any(path.startswith(COMPILED) for path in paths)


def read(root: Path, path: str) -> Side:
    """The model that params file describes in a tree. Raises ProjectError for what is wrong in it.

    The account is a made-up one: nothing of a real one is needed to compare two definitions.
    """
    model = runs.read(root, root / path)
    run = runs.plan(root, model, clouds.placeholder(project.load(root)), "unknown")
    return Side(model, json.loads(run.definition), run.run_id)


@dataclass(frozen=True)
class Known:
    """What estimates are made from."""

    history: History
    prices: Prices
    now: datetime
    memory: Memory


def plan(roots: tuple[Path, Path], path: str, known: Known) -> Training | None:
    """The plan of one params file; None where nothing of the model changes. Raises ProjectError of the head's side."""
    head = read(roots[1], path)
    try:
        base = read(roots[0], path)
    except ProjectError:  # new, or wrong until now: then all of it is new
        base = None
    if base and (base.run_id, base.definition, base.resolved) == (head.run_id, head.definition, head.resolved):
        return None
    values = (base.values if base else {}, head.values)
    found = steps.compare(base.definition if base else None, head.definition, values)
    return Training(
        name=head.model.name,
        path=path,
        differences=_differences(roots, path, base, head),
        steps=found,
        always=steps.others(head.definition),
        estimates=[estimates.estimate(step, known.history, known.prices) for step in found],
        history=known.history,
        lock=lock_lines(base.model.lock if base else None, head.model, known.memory),
        champion=champion_line(roots[1], head.model.name, known.now),
        starts=base is None or base.run_id != head.run_id,
        resolved=json.dumps(head.resolved, indent=2),
        definition_diff=_definition_diff(base, head),
    )


def _differences(roots: tuple[Path, Path], path: str, base: Side | None, head: Side) -> list[str]:
    written = [flatten(documents.load(root / path)) if (root / path).is_file() else {} for root in roots]
    full = [flatten(side.resolved) if side else {} for side in (base, head)]
    return with_defaults((full[0], written[0]), (full[1], written[1])) if base else ["the model is new"]


def _definition_diff(base: Side | None, head: Side) -> list[str]:
    before, after = (json.dumps(side.definition, indent=1).splitlines() if side else [] for side in (base, head))
    return list(difflib.unified_diff(before, after, "main", "head", n=1, lineterm="")) if base else []


def lock_lines(before: DataLock | None, model: runs.Model, memory: Memory) -> list[str]:
    """What the data is, how much of it was quarantined, and what of it changed."""
    after = model.lock
    lines = [f"{model.params.data}: {_lock_line(after)}; {quarantine.line(after.sha256, memory)}"]
    if before is None or before.sha256 == after.sha256:
        return lines
    old, new = ({one.key: one for one in side.partitions} for side in (before, after))
    groups = {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "replaced": sorted(key for key in old.keys() & new.keys() if old[key] != new[key]),
    }
    lines.append(f"was {_lock_line(before)}")
    for what, keys in groups.items():
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            lines.append(f"{len(keys)} {what}: {', '.join(keys[:3])}{more}")
    return lines


def _lock_line(lock: DataLock) -> str:
    rows, size = (sum(getattr(one, name) for one in lock.partitions) for name in ("rows", "bytes"))
    count = len(lock.partitions)
    return (
        f"{lock.dataset}: {count} partition{'s' * (count != 1)}, {rows:,} rows, {size:,} bytes, "
        f"sha256 {lock.sha256[:12]} ({lock.reason})"
    )


def champion_line(root: Path, model: str, now: datetime) -> str:
    """What production serves in a tree, by its deploy file and its record."""
    environment = project.load(root).environments[-1]
    file = root / "deploy" / environment / f"{model}.yml"
    release = deployment.load(file).release if file.is_file() else None
    return evidence.release_line(root, model, release, now) if release else f"none in {environment} yet"


def params_files(root: Path) -> list[str]:
    """`params/<model>.yml` of a tree."""
    return [f"params/{file.name}" for file in sorted((root / "params").glob("*.yml")) if not _is_lock(file)]


def _is_lock(file: Path) -> bool:
    return file.name.endswith(".data.yml")
