"""The whole benchmark: load on every model and subject, scoring without HTTP, large catalogues, many models."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import peers, results
from ..catalogues import Size
from ..movielens import VARIABLE
from ..options import at_least_one, parser, selected
from ..trials import Run, say, task
from . import many, summaries
from .archives import LIKE_ML1M, built
from .loads import Measured, Plan, Seated, measure
from .subjects import OURS, SUBJECTS, Subject
from .tables import table

DEMO = {
    "data": "completejourney",
    "interactions": 0,
    "hyperparameters": {"factor_num": 16, "num_layers": 2, "lr": 0.004},
}
ML1M = {"interactions": 1_000_000, "hyperparameters": {"factor_num": 32, "num_layers": 3, "lr": 0.008}}
QUICK = {"data": "synthetic", "interactions": 4000, "hyperparameters": {"factor_num": 8, "num_layers": 2}}
CATALOGUES: Mapping[str, Size] = {
    "100,000 items": Size(1_000_000, 100_000),
    "1,000,000 items": Size(1_000_000, 1_000_000),
    "1,000,000 items, ALS": Size(1_000_000, 1_000_000, "als"),
}
QUICK_CATALOGUES: Mapping[str, Size] = {"2,000 items": Size(1000, 2000)}


@dataclass
class Bench:
    """What is asked for, and what has been found so far."""

    given: argparse.Namespace
    subjects: Mapping[str, Seated]
    plan: Plan
    measured: Measured = field(default_factory=Measured)
    models: dict[str, str] = field(default_factory=dict)  # of those under load, what they are
    scoring: dict[str, Run] = field(default_factory=dict)
    many: list[Run] = field(default_factory=list)


def load_trained(bench: Bench) -> None:
    """Every subject under load on the trained models."""
    for name, settings in trained_models(bench.given.quick).items():
        bench.models[name] = f"NeuMF of {settings['data']}, one epoch"
        bench.measured += measure(name, built(name, "trained_archive", settings), bench.subjects, bench.plan)


def score_trained(bench: Bench) -> None:
    """The trained models' scores on one thread."""
    for name, settings in trained_models(bench.given.quick).items():
        folder = built(name, "trained_archive", settings)
        say(f"{name}: scoring on one thread")
        bench.scoring[name] = task("scoring", folder, {"users": bench.given.users})


def load_catalogues(bench: Bench) -> None:
    """This project under load on large catalogues, in one round."""
    plan = replace(bench.plan, rounds=1)
    for name, size in (QUICK_CATALOGUES if bench.given.quick else CATALOGUES).items():
        bench.models[name] = f"{size.kind}, {size.users:,} synthetic users, {size.items:,} items; one round"
        folder = built(name, "catalogue", asdict(size))
        bench.measured += measure(name, folder, {OURS: (SUBJECTS[OURS], None)}, plan)


def load_many(bench: Bench) -> None:
    """Many tiny models behind one process."""
    count = bench.given.many
    found, process = many.measure(built(f"{count} tiny models", "many_archives", {"count": count}), count, 20 * count)
    bench.many.append(found)
    bench.measured.processes.append(process)


# a new part is one function and one line here
PARTS: Mapping[str, Callable[[Bench], None]] = {
    "http": load_trained,
    "scoring": score_trained,
    "catalogues": load_catalogues,
    "many": load_many,
}


def benchmark(argv: Sequence[str] | None = None) -> None:
    """Run the parts, print the tables and write the JSON."""
    given = arguments(argv)
    before = os.getloadavg()
    chosen, without = able(selected(SUBJECTS, given.subjects), peers.python(peers.SERVING))
    bench = Bench(given, chosen, Plan(given.rounds, given.seconds, given.seconds / 4))
    for part in given.parts:
        PARTS[part](bench)
    settings = {
        **asdict(bench.plan), "models": bench.models, "subjects": list(chosen), "load_average": before,
        "load_average_after": os.getloadavg(),
    }  # fmt: skip
    found = results.document(
        "serving", settings, bench.measured.runs, starts=bench.measured.processes, scoring=bench.scoring,
        many=bench.many, left_out=without, **summaries.of(bench.measured),
    )  # fmt: skip
    results.finish(found, table(found), given.json)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; --quick is a smoke test on a tiny model."""
    words = parser("The endpoint under load, side by side with peers.", "serving")
    words.add_argument("--subjects", metavar="A,B", help=f"some of: {'; '.join(SUBJECTS)}")
    words.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    words.add_argument("--rounds", type=at_least_one, default=3)
    words.add_argument("--seconds", type=float, default=2.0, help="of each load, after a quarter of it to warm up")
    words.add_argument("--users", type=at_least_one, default=400, help="scored without HTTP")
    words.add_argument("--many", type=at_least_one, default=1000, help="tiny models behind one process")
    given = words.parse_args(argv)
    if given.quick:
        vars(given).update(rounds=1, seconds=min(given.seconds, 0.3), users=30, many=30)
    return given


def trained_models(quick: bool) -> dict[str, dict[str, Any]]:
    """The demo's size and ml-1m's; without a copy of ml-1m, made-up data of that size."""
    if quick:
        return {"tiny": QUICK}
    name = "ml-1m" if os.environ.get(VARIABLE) else LIKE_ML1M
    return {"demo": DEMO, name: {"data": name, **ML1M}}


def able(subjects: Mapping[str, Subject], python: Path | None) -> tuple[dict[str, Seated], dict[str, str]]:
    """Those that can take part, and for each other one why not."""
    without = {name: peers.left_out(peers.SERVING) for name, one in subjects.items() if one.peer and python is None}
    for name, reason in without.items():
        say(f"{name}: {reason}")
    return {name: (one, python) for name, one in subjects.items() if name not in without}, without
