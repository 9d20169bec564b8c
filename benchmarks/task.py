"""One measured thing, as a process of its own.

python -m benchmarks.task reference --folder ARRAYS --settings '{"epochs": 2}' --output result.json
"""

import argparse
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import exit_code

# name -> module and function; each takes the folder of prepared arrays and its settings and gives what goes into JSON.
# Imported only when run: a task's Python has what that task needs, and not more.
TASKS: Mapping[str, tuple[str, str]] = {
    "arrays": ("datasets", "build"),
    "catalogue": ("serving.archives", "catalogue"),
    "channel": ("channels", "channel"),
    "compare": ("judging", "compare"),
    "implicit": ("implicit_als", "train"),
    "http_load": ("serving.client", "load"),
    "judge": ("judging", "judge"),
    "many_archives": ("serving.archives", "many"),
    "many_load": ("serving.many", "load"),
    "ours": ("ours", "train"),
    "pandas": ("pandas_preparation", "prepare"),
    "raw": ("channels", "raw"),
    "recbole": ("recbole_neumf", "train"),
    "reference": ("reference", "train"),
    "scale": ("ours", "scale"),
    "scoring": ("serving.scoring", "compare"),
    "trained_archive": ("serving.archives", "trained"),
    "tune": ("judging", "tune"),
}


def run(argv: Sequence[str] | None = None) -> None:
    """Run the named task and write what it found."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("name", choices=sorted(TASKS))
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--settings", type=json.loads, default={})
    arguments.add_argument("--output", type=Path, required=True)
    given = arguments.parse_args(argv)
    module, function = TASKS[given.name]
    found = getattr(importlib.import_module(f"benchmarks.{module}"), function)(given.folder, given.settings)
    given.output.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(exit_code(run))
