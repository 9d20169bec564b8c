"""How far the data of this run is from the data that the champion was trained on: pure, numbers in, numbers out.

Population stability index (Siddiqi 2006, "Credit Risk Scorecards"): the sum over bins of (now - before) times
ln(now / before); below 0.1 nothing has changed, above 0.25 much has. Ids are in bins by how frequent they were in the
champion's data, and only those that both have are compared: new and gone ones are counted by themselves.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from channels import Train
from model_archive import ModelArchive, positions

BINS = 10
FLOOR = 1e-4  # a bin that holds nothing would make the index infinite
TOP = 50  # most popular items that are compared
Counts = npt.NDArray[Any]


def drift(train: Train, champion: ModelArchive) -> dict[str, Any]:
    """What changed from the champion's data to this run's: users, items, interactions, and the most popular items."""
    now = np.bincount(train.user, minlength=len(train.users)), np.bincount(train.item, minlength=len(train.items))
    before = np.bincount(champion.seen[0], minlength=len(champion.users)), np.asarray(champion.popularity)
    return {
        "users": compare(champion.users, before[0], train.users, now[0]),
        "items": compare(champion.items, before[1], train.items, now[1]),
        "interactions": {"before": int(before[1].sum()), "now": int(now[1].sum())},
        "top_items": overlap(first(champion.items, before[1]), first(train.items, now[1])),
    }


def compare(old: Sequence[str], before: Counts, new: Sequence[str], now: Counts) -> dict[str, Any]:
    """Ids with their counts, then and now: how many, which share is new or gone, and the stability index."""
    place = positions(new, old)  # of the old ids among the new ones
    kept = place >= 0
    counts = np.zeros(len(old))
    counts[kept] = now[place[kept]]
    return {
        "before": len(old),
        "now": len(new),
        "new": share(len(new) - int(kept.sum()), len(new)),
        "gone": share(int((~kept).sum()), len(old)),
        "psi": psi(before, counts),
    }


def share(part: int, whole: int) -> float | None:
    """The share of a part; None of nothing."""
    return part / whole if whole else None


def psi(before: Counts, now: Counts) -> float | None:
    """The index of two counts of the same ids; None where one of them is empty."""
    if not before.sum() or not now.sum():
        return None
    bins = binned(before)
    old, new = (np.maximum(np.bincount(bins, weights=one, minlength=BINS) / one.sum(), FLOOR) for one in (before, now))
    return float(((new - old) * np.log(new / old)).sum())


def binned(counts: Counts) -> Counts:
    """The bin of each id, from the least to the most frequent, so that all bins hold about as many interactions."""
    order = np.argsort(counts, kind="stable")
    middle = np.cumsum(counts[order]) - counts[order] / 2
    found = np.empty(len(counts), dtype=np.int64)
    found[order] = np.minimum(BINS - 1, (middle / counts.sum() * BINS).astype(np.int64))
    return found


def first(items: Sequence[str], counts: Counts) -> set[str]:
    """The TOP most popular items; among equals the first by name, whatever order a file has them in."""
    order = np.lexsort((np.array(items), -counts))[:TOP]
    return {items[place] for place in order}


def overlap(before: set[str], now: set[str]) -> dict[str, Any]:
    """How many of the most popular items still are."""
    return {"length": len(before), "kept": share(len(before & now), len(before))}
