"""Metrics for each user, from where its held-out items are ranked."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from model_archive import Integers
from ranking import Holdout, Protocol, Ranks, Truths

PerUser = dict[str, npt.NDArray[np.float64]]  # metric -> one value for each user
SAMPLED_K = 10  # the literature's protocol


def accuracy(ranks: Ranks, holdout: Holdout, protocol: Protocol) -> PerUser:
    """Hit rate, recall, NDCG and MRR at each cut-off; the sampled ones only to compare with the literature.

    NaN where the model scored what is not a number: no gate may pass that.
    """
    row, users = holdout.taken.row, len(holdout.users)
    found = {**at_cutoffs(ranks.full, row, users, protocol.top_k), **sampled(ranks.sampled, row, users)}
    for values in found.values():
        values[ranks.broken] = np.nan
    return found


def within(ranks: Ranks, holdout: Holdout, protocol: Protocol, chosen: Truths) -> PerUser:
    """The same metrics as if only the chosen of the held-out pairs [p] had been held out, of the users who have any."""
    row = holdout.taken.row[chosen]
    users, place = np.unique(row, return_inverse=True)
    found = at_cutoffs(ranks.full[chosen], place, len(users), protocol.top_k)
    for values in found.values():
        values[ranks.broken[users]] = np.nan
    return found


def at_cutoffs(others: Integers, row: Integers, users: int, top_k: Sequence[int]) -> PerUser:
    """The metrics of users who each have an item at least; others [p]: how many not taken rank before each item.

    NDCG: Jarvelin and Kekalainen 2002, binary gains, the ideal list as long as the cut-off or the items allow.
    """
    order = np.lexsort((others, row))
    counts = np.bincount(row, minlength=users)
    first = np.cumsum(counts) - counts
    rank = others[order] + np.arange(len(row)) - first[row[order]]  # from 0, the user's better items before it
    gain = 1.0 / np.log2(rank + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(max(top_k)) + 2.0))])
    found: PerUser = {}
    for k in top_k:
        hit = rank < k
        hits = np.bincount(row[order], hit, users)
        found[f"hr@{k}"] = (hits > 0).astype(np.float64)
        found[f"recall@{k}"] = hits / counts
        found[f"ndcg@{k}"] = np.bincount(row[order], hit * gain, users) / ideal[np.minimum(k, counts)]
        found[f"mrr@{k}"] = np.where(hit, 1.0 / (rank + 1.0), 0.0)[first]
    return found


def sampled(others: Integers, row: Integers, users: int) -> PerUser:
    """Hit rate and NDCG of each held-out item among the sampled negatives, averaged (He et al. 2017)."""
    counts = np.bincount(row, minlength=users)
    hit = others < SAMPLED_K
    return {
        f"sampled_hr@{SAMPLED_K}": np.bincount(row, hit, users) / counts,
        f"sampled_ndcg@{SAMPLED_K}": np.bincount(row, hit / np.log2(others + 2.0), users) / counts,
    }


def mean(metrics: PerUser) -> dict[str, float]:
    """Each metric's mean over the users."""
    return {name: float(values.mean()) for name, values in metrics.items()}


def difference(ours: PerUser, theirs: PerUser) -> PerUser:
    """Ours minus theirs, user by user: what a paired interval is made of."""
    return {name: ours[name] - theirs[name] for name in ours}


def names(top_k: Sequence[int]) -> list[str]:
    """The metrics there are."""
    full = [f"{name}@{k}" for k in top_k for name in ("hr", "recall", "ndcg", "mrr")]
    return [*full, f"sampled_hr@{SAMPLED_K}", f"sampled_ndcg@{SAMPLED_K}"]
