"""The published protocol's metrics and the full catalogue's, for each held-out user.

Sampled (He et al. 2017, section 4.1): the held-back item among its 99 given negatives; as in the papers' code a
negative that is the item itself or is there twice counts once. Full: among all items its user had not seen.
Ties count against the held-back item.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from .arrays import Arrays
from .errors import BenchmarkError

Floats = npt.NDArray[np.float32]
Scorer = Callable[[npt.NDArray[np.int64]], Floats]  # users [n] -> scores [n, items]
PerUser = dict[str, npt.NDArray[np.float64]]  # metric -> one value for each user with something held back
K = 10
USERS_AT_ONCE = 256


def measure(score: Scorer, arrays: Arrays) -> PerUser:
    """Sampled and full metrics at 10; each user counts once, however many items it has held back.

    Raises BenchmarkError for a score that is NaN.
    """
    asked = np.unique(arrays.test_user).astype(np.int64)
    parts = [measure_some(score(users), users, arrays) for users in chunks(asked)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def chunks(users: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """The users, some at a time: scores of all of them would not fit."""
    for start in range(0, len(users), USERS_AT_ONCE):
        yield users[start : start + USERS_AT_ONCE]


def measure_some(scores: Floats, users: npt.NDArray[np.int64], arrays: Arrays) -> PerUser:
    """The metrics of these users (ascending) from their scores [n, items]."""
    if np.isnan(scores).any():  # no comparison with NaN is true, so that it would come first everywhere
        raise BenchmarkError("a model scored NaN; its settings must be wrong")
    first, last = np.searchsorted(arrays.test_user, [users[0], users[-1] + 1])
    taken, negatives = arrays.test_item[first:last], arrays.negatives[first:last]
    row = np.searchsorted(users, arrays.test_user[first:last])
    wanted = scores[row, taken]
    sampled = sampled_ranks(wanted, scores[row[:, None], negatives], taken, negatives)
    full = full_ranks(scores, users, row, arrays)
    return {**sampled_metrics(sampled, row), **full_metrics(full, row)}


def sampled_ranks(
    wanted: Floats, others: Floats, taken: npt.NDArray[np.int32], negatives: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """Rank from 0 of wanted [t] among the scores of its negatives, others [t, k]."""
    order = np.argsort(negatives, axis=1, kind="stable")
    items, values = np.take_along_axis(negatives, order, axis=1), np.take_along_axis(others, order, axis=1)
    counted = items != taken[:, None]
    counted[:, 1:] &= items[:, 1:] != items[:, :-1]
    return np.asarray((counted & (values >= wanted[:, None])).sum(axis=1))


def full_ranks(
    scores: Floats, users: npt.NDArray[np.int64], row: npt.NDArray[np.int64], arrays: Arrays
) -> npt.NDArray[np.int64]:
    """Rank from 0 of each held-back item among all items its user had not seen."""
    first, last = np.searchsorted(arrays.test_user, [users[0], users[-1] + 1])
    taken = arrays.test_item[first:last]
    wanted = scores[row, taken]
    others = scores.copy()
    starts, ends = np.searchsorted(arrays.user, users), np.searchsorted(arrays.user, users + 1)
    seen = np.repeat(np.arange(len(users)), ends - starts)
    held = np.concatenate([arrays.item[start:end] for start, end in zip(starts, ends, strict=True)])
    others[seen, held] = np.nan
    others[row, taken] = np.nan
    better = np.array(
        [(others[place] >= value).sum() for place, value in zip(row, wanted, strict=True)], dtype=np.int64
    )
    return better + among_wanted(wanted, row)


def among_wanted(wanted: Floats, row: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rank from 0 of each held-back item among the held-back items of its own user (rows ascending)."""
    order = np.lexsort((-wanted, row))
    rank = np.empty(len(row), dtype=np.int64)
    rank[order] = np.arange(len(row)) - np.searchsorted(row, row[order])
    return rank


def sampled_metrics(rank: npt.NDArray[np.int64], row: npt.NDArray[np.int64]) -> PerUser:
    """Hit rate and NDCG at 10 of each held-back item, averaged within its user."""
    hit, gain = rank < K, (rank < K) / np.log2(rank + 2.0)
    count = np.bincount(row)
    return {
        f"sampled_hr@{K}": np.bincount(row, hit) / count,
        f"sampled_ndcg@{K}": np.bincount(row, gain) / count,
    }


def full_metrics(rank: npt.NDArray[np.int64], row: npt.NDArray[np.int64]) -> PerUser:
    """Whether any held-back item is in the user's first 10, and NDCG at 10 against the best order possible."""
    gain = np.bincount(row, (rank < K) / np.log2(rank + 2.0))
    best = np.cumsum(1.0 / np.log2(np.arange(K) + 2.0))[np.minimum(np.bincount(row), K) - 1]
    return {f"hr@{K}": (np.bincount(row, rank < K) > 0).astype(np.float64), f"ndcg@{K}": gain / best}


def sampled_hit_rate(
    score_pairs: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], Floats], arrays: Arrays
) -> float:
    """HR@10 of the sampled protocol alone, for models that score pairs: users [n], items [n] -> scores [n]."""
    items = np.concatenate([arrays.test_item[:, None], arrays.negatives], axis=1).astype(np.int64)
    users = np.repeat(arrays.test_user.astype(np.int64), items.shape[1])
    scores = score_pairs(users, items.ravel()).reshape(items.shape)
    rank = sampled_ranks(scores[:, 0], scores[:, 1:], arrays.test_item, arrays.negatives)
    row = np.unique(arrays.test_user, return_inverse=True)[1]
    return float(sampled_metrics(rank, row)[f"sampled_hr@{K}"].mean())
