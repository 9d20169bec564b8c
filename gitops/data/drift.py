"""Whether live requests still look like the data that the model was trained on: pure, numbers in, numbers out.

Population stability index (Siddiqi 2006, "Credit Risk Scorecards"): the sum over bins of (live - trained) times
ln(live / trained); below 0.1 nothing has changed, above 0.25 much has.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 10
FLOOR = 1e-4  # a bin that holds nothing would make the index infinite
Integers = npt.NDArray[Any]


@dataclass(frozen=True)
class Limits:
    """When a model counts as drifted, and how many requests are needed to tell."""

    max_psi: float
    max_unknown_users: float
    min_requests: int


@dataclass(frozen=True)
class Field:
    """A field of the requests in bins: every known id's bin, and the share of training's interactions in each."""

    bins: Mapping[str, int]
    trained: tuple[float, ...]


@dataclass(frozen=True)
class Reference:
    """What a model was trained on, as drift sees it."""

    users: Field
    items: Field


@dataclass
class Live:
    """What was counted in live traffic."""

    requests: int = 0
    users: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Report:
    """How far live traffic is from training. An index is None where nothing was there to measure."""

    requests: int
    psi: Mapping[str, float | None]  # by field
    unknown: Mapping[str, float | None]  # share of ids that training did not have, by field
    verdict: str  # stable | drifted | inconclusive
    reasons: tuple[str, ...]


def reference(users: Sequence[str], items: Sequence[str], offsets: Integers, popularity: Integers) -> Reference:
    """From an archive's ids [U] and [I], seen_offsets [U + 1] and popularity [I]."""
    return Reference(binned(users, np.diff(offsets)), binned(items, popularity))


def binned(ids: Sequence[str], counts: Integers) -> Field:
    """Ids from the least to the most frequent, in bins that hold about equal shares of all interactions."""
    order = np.argsort(counts, kind="stable")
    total = max(1, int(counts.sum()))
    middle = np.cumsum(counts[order]) - counts[order] / 2
    bins = np.minimum(BINS - 1, (middle / total * BINS).astype(int))
    shares = np.bincount(bins, weights=counts[order], minlength=BINS) / total
    return Field({ids[place]: int(found) for place, found in zip(order, bins, strict=True)}, tuple(shares.tolist()))


def count(requests: Iterable[Any]) -> Live:
    """Users and items that requests to the endpoint name; feedback events {userId, itemId} are counted likewise."""
    live = Live()
    for request in requests:
        if not isinstance(request, dict):
            continue
        live.requests += 1
        for one in _parts(request):
            live.users.update(_ids(one.get("userId")))
            live.items.update([*_ids(one.get("itemId")), *_ids(one.get("inputList"))])
    return live


def _parts(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    instances = request.get("instances")
    yield request
    yield from (each for each in (instances if isinstance(instances, list) else ()) if isinstance(each, dict))


def _ids(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(each) for each in values if isinstance(each, str | int) and not isinstance(each, bool)]


def report(trained: Reference, live: Live, limits: Limits) -> Report:
    """Compare; too few requests are inconclusive, whatever they look like."""
    fields = {"users by activity": (trained.users, live.users), "items by popularity": (trained.items, live.items)}
    psi = {name: index(bins.trained, shares(bins, seen)) for name, (bins, seen) in fields.items()}
    unknown = {name: strangers(bins, seen) for name, (bins, seen) in fields.items()}
    if live.requests < limits.min_requests:
        few = f"{live.requests} requests were captured; {limits.min_requests} are needed to tell"
        return Report(live.requests, psi, unknown, "inconclusive", (few,))
    reasons = [
        f"{name}: the stability index is {found:.2f}, above {limits.max_psi:g}"
        for name, found in psi.items()
        if found is not None and found > limits.max_psi
    ]
    share = unknown["users by activity"]
    if share is not None and share > limits.max_unknown_users:
        reasons.append(f"{share:.0%} of the requests are for users that training did not have")
    return Report(live.requests, psi, unknown, "drifted" if reasons else "stable", tuple(reasons))


def shares(bins: Field, seen: Mapping[str, int]) -> tuple[float, ...] | None:
    """The share of what was seen of known ids in each bin; None if nothing was."""
    found = [0.0] * BINS
    for name, times in seen.items():
        if name in bins.bins:
            found[bins.bins[name]] += times
    total = sum(found)
    return tuple(each / total for each in found) if total else None


def index(trained: Sequence[float], live: Sequence[float] | None) -> float | None:
    """The population stability index of two distributions over the same bins; None without a second one."""
    if live is None:
        return None
    pairs = [(max(a, FLOOR), max(b, FLOOR)) for a, b in zip(trained, live, strict=True)]
    return sum((b - a) * math.log(b / a) for a, b in pairs)


def strangers(bins: Field, seen: Mapping[str, int]) -> float | None:
    """The share of what was seen that training did not have; None if nothing was seen."""
    total = sum(seen.values())
    return sum(times for name, times in seen.items() if name not in bins.bins) / total if total else None


def markdown(found: Report) -> str:
    """The report for a merge request or a terminal."""
    rows = [
        f"| {name} | {_number(found.psi[name])} | {_share(found.unknown[name])} |" for name in found.psi
    ]  # fmt: skip
    lines = [f"Drift: **{found.verdict}**, over {found.requests} requests.", *(f"- {why}" for why in found.reasons)]
    return "\n".join([*lines, "", "| field | stability index | unknown |", "|---|---|---|", *rows]) + "\n"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1%}"
