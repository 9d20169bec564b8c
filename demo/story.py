"""How the demo speaks: stages with seconds, claims that are checked, one table at the end."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from demo.errors import DemoError


@dataclass
class Stage:
    """One row of the table at the end."""

    name: str
    seconds: float
    status: str


@dataclass
class Story:
    """Collects stages and facts; prints as it goes."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    stages: list[Stage] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """A line of the current stage."""
        print(f"    {line}", file=self.out, flush=True)

    def claim(self, holds: bool, text: str) -> None:
        """Print a checked claim; raises DemoError if it does not hold."""
        if not holds:
            raise DemoError(f"not true: {text}")
        print(f"    \N{CHECK MARK} {text}", file=self.out, flush=True)

    @contextmanager
    def stage(self, name: str, look: str) -> Iterator[None]:
        """Time a stage; say where to look afterwards."""
        print(f"\n[{len(self.stages) + 1}] {name}", file=self.out, flush=True)
        began = time.monotonic()
        status = "failed"
        try:
            yield
            status = "ok"
        finally:
            self.stages.append(Stage(name, round(time.monotonic() - began, 2), status))
            print(f"    {status} after {self.stages[-1].seconds:.1f} s; look at: {look}", file=self.out, flush=True)

    def table(self) -> str:
        """Stages and seconds."""
        width = max(len(stage.name) for stage in self.stages)
        rows = [f"{stage.name:<{width}}  {stage.seconds:7.1f} s  {stage.status}" for stage in self.stages]
        return "\n".join(rows)

    def write(self, path: Path, step_seconds: float) -> tuple[float, float]:
        """Write the summary whole or not at all; returns wall and overhead (wall minus step) seconds."""
        wall = time.monotonic() - self.began
        overhead = wall - step_seconds
        summary = {
            "stages": [asdict(stage) for stage in self.stages],
            "wall_seconds": round(wall, 2),
            "overhead_seconds": round(overhead, 2),
            **self.facts,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(summary, indent=2) + "\n")
        partial.replace(path)
        return wall, overhead
