"""The whole benchmark: load on every model and subject, scoring without HTTP, large catalogues, many models."""

import argparse
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .. import peers, results
from ..catalogues import Size
from ..movielens import VARIABLE
from ..options import at_least_one, parser, selected
from ..trials import Run, say, task
from . import many
from .archives import LIKE_ML1M, built
from .loads import Measured, Plan, Seated, measure
from .subjects import ECHO, OURS, SUBJECTS, Subject
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
NUMBERS = ("rps", "p50_ms", "p99_ms", "p999_ms", "server_cpu_us", "client_cpu_us", "errors")
WEIGHTS = ("start_seconds", "rss_mib", "pss_mib", "anonymous_mib", "processes")
PARTS = ("http", "scoring", "catalogues", "many")


def benchmark(argv: Sequence[str] | None = None) -> None:
    """Run the parts, print the tables and write the JSON."""
    given = arguments(argv)
    before = os.getloadavg()
    chosen, without = able(selected(SUBJECTS, given.subjects), peers.python(peers.SERVING))
    plan = Plan(given.rounds, given.seconds, given.warmup)
    names: dict[str, str] = {}
    measured, scored, tiny = Measured(), {}, []
    if {"http", "scoring"} & set(given.parts):
        for name, settings in trained_models(given.quick).items():
            folder = built(name, "trained_archive", settings)
            names[name] = f"NeuMF of {settings['data']}, one epoch"
            if "http" in given.parts:
                extend(measured, measure(name, folder, chosen, plan))
            if "scoring" in given.parts:
                say(f"{name}: scoring on one thread")
                scored[name] = task("scoring", folder, {"users": given.users})
    if "catalogues" in given.parts:
        for name, size in (QUICK_CATALOGUES if given.quick else CATALOGUES).items():
            names[name] = f"{size.kind}, {size.users:,} synthetic users, {size.items:,} items"
            folder = built(name, "catalogue", asdict(size))
            extend(measured, measure(name, folder, {OURS: (SUBJECTS[OURS], None)}, replace(plan, rounds=1)))
    if "many" in given.parts:
        tiny = [many_models(given, measured)]
    settings = {
        "rounds": plan.rounds, "seconds": plan.seconds, "connections": plan.connections, "models": names,
        "load_average": before, "load_average_after": os.getloadavg(), "subjects": list(chosen),
    }  # fmt: skip
    medians = medians_of(measured.runs)
    found = results.document(
        "serving", settings, measured.runs, starts=measured.processes, medians=medians, ratio=ratios(medians),
        processes=processes_of(measured.processes), scoring=scored, many=tiny, left_out=without, rps=rps_of(medians),
    )  # fmt: skip
    results.finish(found, table(found), given.json)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; --quick is a smoke test on a tiny model."""
    words = parser("The endpoint under load, side by side with peers.", "serving")
    words.add_argument("--subjects", metavar="A,B", help=f"some of: {'; '.join(SUBJECTS)}")
    words.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    words.add_argument("--rounds", type=at_least_one, default=3)
    words.add_argument("--seconds", type=float, default=2.0, help="of each load, after a quarter of it to warm up")
    words.add_argument("--users", type=at_least_one, default=400, help="scored without HTTP")
    words.add_argument("--many", type=at_least_one, default=1000, help="tiny models behind one process")
    given = words.parse_args(argv)
    if given.quick:
        vars(given).update(rounds=1, seconds=min(given.seconds, 0.3), users=30, many=30)
    given.warmup = given.seconds / 4
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


def extend(measured: Measured, more: Measured) -> None:
    """Add what another model gave."""
    measured.runs += more.runs
    measured.processes += more.processes


def many_models(given: argparse.Namespace, measured: Measured) -> Run:
    """The part of many tiny models."""
    folder = built(f"{given.many} tiny models", "many_archives", {"count": given.many})
    found, process = many.measure(folder, given.many, 20 * given.many)
    measured.processes.append(process)
    return found


def medians_of(runs: Sequence[Run]) -> dict[str, Any]:
    """model -> contender -> kind -> connections -> number -> median over rounds; errors are added up."""
    grouped: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run["model"], run["contender"], run["kind"], str(run["connections"])), []).append(run)
    found: dict[str, Any] = {}
    for (model, contender, kind, connections), own in grouped.items():
        place = found.setdefault(model, {}).setdefault(contender, {}).setdefault(kind, {})
        place[connections] = {**middle(own, NUMBERS[:-1]), "errors": sum(sum(run["errors"].values()) for run in own)}
    return found


def middle(runs: Sequence[Run], names: Sequence[str]) -> dict[str, float]:
    """Medians of the numbers that every run has."""
    return {name: statistics.median(run[name] for run in runs) for name in names if all(name in run for run in runs)}


def processes_of(starts: Sequence[Run]) -> dict[str, Any]:
    """model -> contender -> number -> median over starts."""
    grouped: dict[tuple[str, str], list[Run]] = {}
    for start in starts:
        grouped.setdefault((start["model"], start["contender"]), []).append(start)
    found: dict[str, Any] = {}
    for (model, contender), own in grouped.items():
        found.setdefault(model, {})[contender] = middle(own, WEIGHTS)
    return found


def ratios(medians: Mapping[str, Any]) -> dict[str, Any]:
    """model -> peer -> connections -> our requests per second over the peer's, for known users: by table, and live."""
    found: dict[str, Any] = {}
    for model, contenders in medians.items():
        own = contenders.get(OURS)
        for name, kinds in contenders.items():
            if own is None or name in {OURS, ECHO}:
                continue
            found.setdefault(model, {})[name] = {
                connections: {
                    kind: round(own[kind][connections]["rps"] / theirs["rps"], 2)
                    for kind in ("known user", "live-scored")
                    if theirs["rps"]
                }
                for connections, theirs in kinds["known user"].items()
            }
    return found


def rps_of(medians: Mapping[str, Any]) -> dict[str, Any]:
    """model -> contender -> kind -> connections -> requests per second."""
    return {
        model: {
            contender: {kind: {n: own["rps"] for n, own in counts.items()} for kind, counts in kinds.items()}
            for contender, kinds in contenders.items()
        }
        for model, contenders in medians.items()
    }
