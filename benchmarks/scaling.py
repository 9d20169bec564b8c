"""How training grows with the data: memory with interactions and parameters, never with users times items.

python -m benchmarks.scaling --json scaling.json --millions 1 10 50
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import results
from .errors import exit_code
from .options import at_least_one, parser
from .trials import Run, rounds, say, task

MODEL = {"model": "neumf", "factor_num": 32, "num_layers": 3, "num_ng": 4, "batch_size": 10240}
MILLION = 1_000_000
NUMBERS = (
    "interactions",
    "users",
    "items",
    "parameters",
    "load_seconds",
    "draw_seconds",
    "samples_per_second",
    "peak_mib",
)


def benchmark(argv: Sequence[str] | None = None) -> None:
    """Train a few hundred steps on each size, print the table and write the JSON."""
    given = arguments(argv)
    sizes = {f"{millions:g} million": round(millions * MILLION) for millions in given.millions}

    def run(name: str, _number: int) -> Run:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
            say(f"    making {sizes[name]:,} interactions")
            task("channel", Path(scratch), {"interactions": sizes[name]})
            return task("scale", Path(scratch), {**MODEL, "steps": given.steps})

    runs = rounds(list(sizes), given.rounds, run)
    medians = results.medians(runs, NUMBERS)
    settings = {"sizes": sizes, "steps": given.steps, "rounds": given.rounds, "model": MODEL}
    found = results.document("scaling", settings, runs, medians=medians, ratio=growth(medians))
    results.finish(found, table(found), given.json)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; --quick is a smoke test."""
    words = parser(__doc__, "scaling")
    words.add_argument("--millions", type=float, nargs="+", default=[1, 10, 50], help="interactions")
    words.add_argument("--steps", type=at_least_one, default=200, help="optimiser steps that are timed")
    words.add_argument("--rounds", type=at_least_one, default=1)
    given = words.parse_args(argv)
    if given.quick:
        vars(given).update(millions=[0.02, 0.1], steps=3, rounds=1)
    return given


def growth(medians: results.Medians) -> dict[str, dict[str, float]]:
    """How many times larger each size is than the smallest, and what became how many times larger with it."""
    first = next(iter(medians.values()))
    return {
        name: {
            **{number: round(own[number] / first[number], 2) for number in ("interactions", "parameters", "peak_mib")},
            "users_times_items": round(own["users"] * own["items"] / (first["users"] * first["items"]), 2),
        }
        for name, own in medians.items()
    }


def table(found: Mapping[str, Any]) -> str:
    """The Markdown table."""
    header = [
        "",
        "users",
        "items",
        "parameters",
        "samples/s",
        "peak MiB",
        "bytes/interaction",
        "one byte for each user and item, MiB",
    ]
    rows = []
    for name, own in found["medians"].items():
        whole = [f"{own[number]:,.0f}" for number in ("users", "items", "parameters", "samples_per_second", "peak_mib")]
        each = own["peak_mib"] * 2**20 / own["interactions"]
        rows.append([name, *whole, f"{each:,.0f}", f"{own['users'] * own['items'] / 2**20:,.0f}"])
    steps = found["settings"]["steps"]
    title = f"NeuMF on synthetic interactions, {steps} steps of 10,240 samples; {results.caption(found)}."
    return "\n\n".join([title, results.table(header, rows)])


if __name__ == "__main__":
    sys.exit(exit_code(benchmark))
