"""What the runs come to: medians over rounds, ratios to peers."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ..trials import Run
from .loads import Measured
from .subjects import ECHO, OURS

NUMBERS = ("rps", "p50_ms", "p99_ms", "p999_ms", "server_cpu_us", "client_cpu_us")
WEIGHTS = ("start_seconds", "rss_mib", "pss_mib", "anonymous_mib", "processes")


def of(measured: Measured) -> dict[str, Any]:
    """What the JSON says of them, beside the runs themselves."""
    medians = medians_of(measured.runs)
    weights = processes_of(measured.processes)
    return {"medians": medians, "processes": weights, "ratio": ratios(medians), "rps": rps_of(medians)}


def medians_of(runs: Sequence[Run]) -> dict[str, Any]:
    """model -> contender -> kind -> connections -> number -> median over rounds; errors are added up."""
    grouped: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run["model"], run["contender"], run["kind"], str(run["connections"])), []).append(run)
    found: dict[str, Any] = {}
    for (model, contender, kind, connections), own in grouped.items():
        place = found.setdefault(model, {}).setdefault(contender, {}).setdefault(kind, {})
        place[connections] = {**middle(own, NUMBERS), "errors": sum(sum(run["errors"].values()) for run in own)}
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
    """model -> peer -> connections -> how much more we answer for known users, by table and live."""
    found: dict[str, Any] = {}
    for model, contenders in medians.items():
        own = contenders.get(OURS)
        for name, kinds in contenders.items():
            if own is None or name in {OURS, ECHO}:
                continue
            found.setdefault(model, {})[name] = {
                connections: {kind: times(own[kind][connections], theirs) for kind in ("known user", "live-scored")}
                for connections, theirs in kinds["known user"].items()
            }
    return found


def times(own: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    """Our requests per second over the peer's, and its server's CPU time over ours, which hardly feels neighbours."""
    found = {}
    if theirs["rps"]:
        found["rps"] = round(own["rps"] / theirs["rps"], 2)
    if own.get("server_cpu_us"):
        found["cpu"] = round(theirs["server_cpu_us"] / own["server_cpu_us"], 2)
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
