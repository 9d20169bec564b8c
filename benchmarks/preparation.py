"""Preparing raw interactions: prepare.py with each engine it has here, and pandas.

python -m benchmarks.preparation --json preparation.json --millions 10
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import results
from .errors import BenchmarkError, exit_code
from .options import at_least_one, parser
from .trials import ROOT, Run, command, rounds, say, task

COLUMNS = {"user": "household_id", "item": "product_id", "time": "transaction_timestamp"}
SETTINGS = {"min_user_interactions": 20, "min_item_users": 50, "holdout_days": 28}
AS_OF = "2030-01-01T00:00:00"
BASELINE = "DuckDB"
COUNTS = ("users", "items", "train", "holdout")
NUMBERS = ("wall_seconds", "cpu_seconds", "peak_mib", *COUNTS)
SPARK = ROOT / ".venv-spark" / "bin" / "python"


def with_engine(engine: str, python: Path) -> Callable[[Path, Path], Run]:
    """prepare.py with one of its engines."""

    def run(folder: Path, output: Path) -> Run:
        given = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
        folders = [f"--{name}-dir={folder / name}" for name in ("lock", "data")]
        folders += [f"--{name}-dir={output / name}" for name in ("train", "holdout", "report")]
        program = [str(python), str(ROOT / "processing_code" / "prepare.py"), f"--engine={engine}", f"--as-of={AS_OF}Z"]
        cost = command([*program, *folders, *given, f"--columns={json.dumps(COLUMNS)}"], output)
        counts = json.loads((output / "report" / "manifest.json").read_text(encoding="utf-8"))["counts"]
        return {**{name: counts[name] for name in COUNTS}, **cost}

    return run


def with_pandas(folder: Path, output: Path) -> Run:
    """The same in pandas."""
    return task("pandas", folder, {**SETTINGS, "columns": COLUMNS, "as_of": AS_OF, "output": str(output)})


# a new contender is one line here
CONTENDERS: Mapping[str, Callable[[Path, Path], Run]] = {
    BASELINE: with_engine("duckdb", Path(sys.executable)),
    "pandas": with_pandas,
    "Spark (one machine)": with_engine("spark", SPARK),
}


def benchmark(argv: Sequence[str] | None = None) -> None:
    """Prepare the same rows with each, print the table and write the JSON."""
    given = arguments(argv)
    chosen = dict(CONTENDERS)
    without = {}
    if given.quick or not SPARK.parents[1].joinpath("ready").exists():
        name = list(chosen)[-1]
        without[name] = "left out: " + (
            "too slow for --quick" if given.quick else f"{SPARK.parts[-3]} is not set up; `make test-heavy` does it"
        )
        say(f"{name}: {without[name]}")
        del chosen[name]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        say("making the raw rows")
        rows = task("raw", Path(scratch), {"interactions": round(given.millions * 1e6)})["rows"]

        def run(name: str, _number: int) -> Run:
            with tempfile.TemporaryDirectory(prefix="benchmark-") as output:
                return chosen[name](Path(scratch), Path(output))

        runs = rounds(list(chosen), given.rounds, run)
    check(runs)
    medians = results.medians(runs, NUMBERS)
    ratio = {"baseline": BASELINE, "times_faster": results.ratios(medians, "wall_seconds", BASELINE)}
    data = "synthetic" if given.millions else "completejourney"
    settings = {"data": data, "rows": rows, "rounds": given.rounds, "prepare": SETTINGS}
    found = results.document("preparation", settings, runs, medians=medians, ratio=ratio, left_out=without)
    results.finish(found, table(found), given.json)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; --quick is a smoke test on synthetic data."""
    words = parser(__doc__, "preparation")
    words.add_argument("--millions", type=float, default=0, help="synthetic rows; 0: completejourney's 1.5 million")
    words.add_argument("--rounds", type=at_least_one, default=3)
    given = words.parse_args(argv)
    if given.quick:
        vars(given).update(millions=0.3, rounds=1)
    return given


def check(runs: Sequence[Run]) -> None:
    """Times of different work are not comparable: raise BenchmarkError unless all counted the same."""
    counts = {run["contender"]: tuple(run[name] for name in COUNTS) for run in runs}
    if len(set(counts.values())) > 1:
        raise BenchmarkError(f"preparation: the contenders differ in {', '.join(COUNTS)}: {counts}; they must agree")


def table(found: Mapping[str, Any]) -> str:
    """The Markdown table."""
    faster = found["ratio"]["times_faster"]
    header = ["", "wall s", "CPU s", "peak MiB", f"times faster than {BASELINE}"]
    rows = [
        [
            name,
            f"{own['wall_seconds']:.2f}",
            f"{own['cpu_seconds']:.2f}",
            f"{own['peak_mib']:.0f}",
            f"{faster[name]:.2f}",
        ]
        for name, own in found["medians"].items()
    ]
    settings = found["settings"]
    title = (f"Preparing {settings['rows']:,} raw rows of {settings['data']}, process start included, medians of "
             f"{settings['rounds']} interleaved round(s); {results.caption(found)}.")  # fmt: skip
    missing = [f"{name}: {reason}." for name, reason in found["left_out"].items()]
    return "\n\n".join([" ".join([title, *missing]), results.table(header, rows)])


if __name__ == "__main__":
    sys.exit(exit_code(benchmark))
