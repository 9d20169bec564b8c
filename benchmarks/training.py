"""Seconds per epoch and quality after one and two epochs: this project, the reference protocol, and peers.

    python -m benchmarks.training --json training.json --reference-steps 1000

Without --reference-steps the reference and RecBole run whole epochs, which takes about a quarter of an hour.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from . import peers, results
from .errors import exit_code
from .options import DATA_HELP, at_least_one, parser, selected
from .trials import Contender, Run, able, prepared, rounds, task

SIZES = {"factors": 32, "layers": 3, "negatives": 4}
PUBLISHED = {**SIZES, "batch": 256, "lr": 0.001}
LARGE = {**SIZES, "batch": 10240, "lr": 0.008}
OWN = {"model": "neumf", "factor_num": 32, "num_layers": 3, "num_ng": 4, "batch_size": 10240, "lr": 0.008}
ALS = {"factors": 128, "regularization": 40.0, "alpha": 3.0, "epochs": 12}
BASELINE = "reference (4 workers)"
# a new contender is one line here
CONTENDERS: Mapping[str, Contender] = {
    BASELINE: Contender("reference", {**PUBLISHED, "workers": 4}),
    "reference (no workers)": Contender("reference", {**PUBLISHED, "workers": 0}),
    "this project": Contender("ours", OWN),
    "RecBole NeuMF (batch 256)": Contender("recbole", PUBLISHED, peer=True),
    "RecBole NeuMF (batch 10240)": Contender("recbole", LARGE, peer=True),
    "implicit ALS": Contender("implicit", ALS, peer=True),
}
NUMBERS = ("seconds_per_epoch", "hr@10 after 1", "hr@10 after 2", "hr@10 at the end", "cpu_seconds", "peak_mib")
QUICK = (BASELINE, "this project", "RecBole NeuMF (batch 10240)", "implicit ALS")


def benchmark(argv: Sequence[str] | None = None) -> None:
    """Run the contenders, print the table and write the JSON."""
    given = arguments(argv)
    chosen, without = able(selected(CONTENDERS, given.contenders), peers.python() is not None)
    with prepared(given.data, given.interactions) as (folder, size):

        def run(name: str, number: int) -> Run:
            one = chosen[name]
            limits = {"epochs": given.epochs, "steps": given.reference_steps, "seed": number}
            return flat(task(one.task, folder, {**limits, **one.settings}, one.peer))

        runs = rounds(list(chosen), given.rounds, run)
    medians = results.medians(runs, NUMBERS)
    ratio = {"baseline": BASELINE, "times_faster": results.ratios(medians, "seconds_per_epoch", BASELINE)}
    settings = {
        "data": {name: size[name] for name in ("name", "users", "items", "interactions")},
        "rounds": given.rounds, "epochs": given.epochs, "reference_steps": given.reference_steps,
        "contenders": {name: dict(one.settings) for name, one in chosen.items()},
    }  # fmt: skip
    found = results.document("training", settings, runs, medians=medians, ratio=ratio, left_out=without)
    results.finish(found, table(found), given.json)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; --quick is a smoke test on synthetic data."""
    words = parser(__doc__, "training")
    standard = "ml-1m" if os.environ.get("ML1M_DIR") else "completejourney"
    words.add_argument("--data", default=standard, metavar="NAME", help=DATA_HELP)
    words.add_argument("--rounds", type=at_least_one, default=1)
    words.add_argument("--epochs", type=at_least_one, default=2)
    words.add_argument("--interactions", type=at_least_one, default=1_000_000, help="of synthetic data")
    words.add_argument("--reference-steps", type=at_least_one, metavar="N",
                       help="time N steps of the reference and of RecBole and extrapolate to an epoch")  # fmt: skip
    words.add_argument("--contenders", metavar="A,B", help=f"some of: {', '.join(CONTENDERS)}")
    given = words.parse_args(argv)
    if given.quick:
        vars(given).update(
            data="synthetic", epochs=1, interactions=4000, rounds=1, contenders=given.contenders or ",".join(QUICK)
        )
    return given


def flat(found: Run) -> Run:
    """A run's epochs as the numbers of the table."""
    hits = found.get("hr@10") or []
    after = {f"hr@10 after {place}": hits[place - 1] for place in (1, 2) if len(hits) >= place}
    end = {"hr@10 at the end": hits[-1]} if len(hits) > 2 else {}
    return {**found, "seconds_per_epoch": statistics.median(found["seconds"]), **after, **end}


def table(found: Mapping[str, Any]) -> str:
    """The Markdown table."""
    faster = found["ratio"]["times_faster"]
    header = ["", "s/epoch", "times faster", "HR@10 after 1", "after 2", "at the end", "CPU s", "peak MiB"]
    forms = (".2f", ".3f", ".3f", ".3f", ".1f", ".0f")
    rows = []
    for name, own in found["medians"].items():
        first, *rest = [results.shown(own.get(number), form) for number, form in zip(NUMBERS, forms, strict=True)]
        rows.append([name, first, results.shown(faster.get(name)), *rest])
    return "\n\n".join([title(found), results.table(header, rows)])


def title(found: Mapping[str, Any]) -> str:
    """What was run on what, and how far the times were taken rather than extrapolated."""
    data, settings = found["settings"]["data"], found["settings"]
    lines = [f"Training on {data['name']} ({data['interactions']:,} positives, 4 negatives each), "
             f"medians of {settings['rounds']} interleaved round(s); {results.caption(found)}."]  # fmt: skip
    if settings["reference_steps"]:
        lines.append(f"The reference's and RecBole's epochs are extrapolated from {settings['reference_steps']} steps.")
    lines += [f"{name}: {reason}." for name, reason in found["left_out"].items()]
    return " ".join(lines)


if __name__ == "__main__":
    sys.exit(exit_code(benchmark))
