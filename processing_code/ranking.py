"""Ranking metrics per user: hit rate, recall and NDCG over the full catalogue and among sampled negatives.

A user's seen items are out of the competition. Ties count against the held-out item, so a model that gives every
item one score earns nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from model_archive import Floats, Integers, Scorer

PerUser = dict[str, npt.NDArray[np.float64]]  # metric -> one value for each holdout user
SAMPLED_K = 10  # the literature's protocol
USERS_AT_ONCE = 256


@dataclass(frozen=True)
class Holdout:
    """Who is asked: users [u] in ascending order, and for each the items it took (held out) and had seen before."""

    users: Integers
    taken: list[Integers]
    seen: list[Integers]
    items: int


@dataclass(frozen=True)
class Protocol:
    """How it is measured: cut-offs, sampled negatives for each user, and the seed they are drawn with."""

    top_k: tuple[int, ...]
    test_num_ng: int
    seed: int


def group(user: Integers, item: Integers, asked: Integers) -> list[Integers]:
    """The items of each asked user."""
    order = np.lexsort((item, user))
    user, item = user[order], item[order]
    starts, ends = np.searchsorted(user, asked, "left"), np.searchsorted(user, asked, "right")
    return [item[start:end] for start, end in zip(starts, ends, strict=True)]


def measure(score: Scorer, holdout: Holdout, protocol: Protocol) -> PerUser:
    """Every metric for every holdout user; NaN where the model scored NaN, which no gate may pass."""
    rows: list[dict[str, float]] = []
    for start in range(0, len(holdout.users), USERS_AT_ONCE):
        scores = score(holdout.users[start : start + USERS_AT_ONCE])
        rows += [measure_user(row, holdout, start + offset, protocol) for offset, row in enumerate(scores)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def measure_user(row: Floats, holdout: Holdout, place: int, protocol: Protocol) -> dict[str, float]:
    """One user's metrics from its scores [items]."""
    taken = holdout.taken[place]
    others = np.ones(holdout.items, dtype=np.bool_)
    others[holdout.seen[place]] = False
    others[taken] = False
    wanted = np.sort(row[taken])[::-1]
    among_wanted = np.arange(len(taken))
    full = among_wanted + at_least(row[others], wanted)
    generator = np.random.default_rng([protocol.seed, int(holdout.users[place])])
    candidates = np.flatnonzero(others)
    drawn = generator.choice(candidates, min(protocol.test_num_ng, len(candidates)), replace=False)
    found = {f"{name}@{k}": value for k in protocol.top_k for name, value in at_cutoff(full, k).items()}
    rank = at_least(row[drawn], wanted)
    hit = rank < SAMPLED_K
    found[f"sampled_hr@{SAMPLED_K}"] = float(hit.mean())
    found[f"sampled_ndcg@{SAMPLED_K}"] = float((hit / np.log2(rank + 2.0)).mean())
    return dict.fromkeys(found, np.nan) if np.isnan(row).any() else found


def at_least(others: Floats, wanted: Floats) -> Integers:
    """For each wanted score, how many others are at least as high: its rank from 0, ties against it."""
    ordered = np.sort(others)
    return np.asarray(len(ordered) - np.searchsorted(ordered, wanted, "left"), dtype=np.int64)


def at_cutoff(rank: Integers, k: int) -> dict[str, float]:
    """Hit rate, recall and NDCG at k of a user whose held-out items are at these ranks (from 0)."""
    hit = rank < k
    ideal = (1.0 / np.log2(np.arange(min(k, len(rank))) + 2.0)).sum()
    return {
        "hr": float(hit.any()),
        "recall": float(hit.mean()),
        "ndcg": float((hit / np.log2(rank + 2.0)).sum() / ideal),
    }


def popularity_scorer(item: Integers, items: int) -> Scorer:
    """The baseline everyone gets for free: each item's number of training interactions, whoever asks."""
    counts = np.bincount(item, minlength=items).astype(np.float32)
    return lambda users: np.tile(counts, (len(users), 1))


def mean(metrics: PerUser) -> dict[str, float]:
    """Each metric's mean over the users."""
    return {name: float(values.mean()) for name, values in metrics.items()}


def difference(ours: PerUser, theirs: PerUser) -> PerUser:
    """Ours minus theirs, user by user: what a paired interval is made of."""
    return {name: ours[name] - theirs[name] for name in ours}


def names(top_k: Sequence[int]) -> list[str]:
    """The metrics there are."""
    full = [f"{name}@{k}" for k in top_k for name in ("hr", "recall", "ndcg")]
    return [*full, f"sampled_hr@{SAMPLED_K}", f"sampled_ndcg@{SAMPLED_K}"]
