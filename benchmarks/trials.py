"""Contenders, run one after the other in rounds: a machine that drifts then slows all of them alike."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import measuring, peers
from .errors import BenchmarkError

ROOT = Path(__file__).resolve().parent.parent
Run = dict[str, Any]


@dataclass(frozen=True)
class Contender:
    """One row of a table: the task it runs, with what settings, and whether in the peers' Python."""

    task: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    peer: bool = False


def task(name: str, folder: Path, settings: Mapping[str, Any], peer: bool = False) -> Run:
    """Run one task in a process of its own: what it found and what it cost."""
    python, more = (peers.python(), peers.ENVIRONMENT) if peer else (Path(sys.executable), {})
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        output = Path(scratch) / "found.json"
        words = [name, "--folder", str(folder), "--settings", json.dumps(settings), "--output", str(output)]
        cost = command([str(python), "-m", "benchmarks.task", *words], Path(scratch), more)
        return {**json.loads(output.read_text(encoding="utf-8")), **cost}


def command(words: list[str], scratch: Path, more: Mapping[str, str] = MappingProxyType({})) -> Run:
    """Run a command from the project's folder, which is where its modules are: what it cost."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return {name: round(value, 3) for name, value in asdict(measuring.run(words, scratch / "log", environment)).items()}


def able(contenders: Mapping[str, Contender], peers_there: bool) -> tuple[dict[str, Contender], dict[str, str]]:
    """Those that can take part, and for each other one why not. Raises BenchmarkError when nobody can."""
    without = {name: peers.left_out() for name, one in contenders.items() if one.peer and not peers_there}
    for name, reason in without.items():
        say(f"{name}: {reason}")
    if len(without) == len(contenders):
        raise BenchmarkError(f"nothing is left to run; {peers.left_out()}")
    return {name: one for name, one in contenders.items() if name not in without}, without


def rounds(names: list[str], count: int, run: Callable[[str, int], Run]) -> list[Run]:
    """Every contender once in each round; says what it is at and what came of it."""
    runs: list[Run] = []
    for number in range(1, count + 1):
        for name in names:
            say(f"[{len(runs) + 1}/{count * len(names)}] {name}, round {number} of {count}")
            found = {"contender": name, "round": number, **run(name, number)}
            say(
                f"    took {found['wall_seconds']:.1f} s, CPU {found['cpu_seconds']:.1f} s, {found['peak_mib']:.0f} MiB"
            )
            runs.append(found)
    return runs


@contextmanager
def prepared(data: str, interactions: int) -> Iterator[tuple[Path, Run]]:
    """A scratch folder with the prepared arrays of a data set, and how large it is."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        say(f"preparing {data}")
        yield Path(scratch), task("arrays", Path(scratch), {"data": data, "interactions": interactions})


def say(text: str) -> None:
    """Progress, for whoever is waiting."""
    print(text, file=sys.stderr, flush=True)
