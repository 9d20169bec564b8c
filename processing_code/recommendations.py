"""What the lists of recommendations are like, whether or not they were right.

novelty@k           mean -log2 of the share of users who took the item, in bits (Vargas and Castells 2011)
popularity_lift@k   by how much a list's items are more popular than those its user took in training, as a part of
                    these (Abdollahpouri et al. 2020); above 0 the model drives its users to what is popular
diversity@k         1 - mean cosine similarity of two items of a list, by who took them (Ziegler et al. 2005)
categories@k        different categories, as a part of the list; only where the items have one
coverage@k          the part of the catalogue that is in anybody's list
gini@k              how unequally items are recommended: 0 all alike, near 1 a few to everybody
"""

import numpy as np
import numpy.typing as npt
from channels import Data
from interactions import Interactions
from metrics import PerUser
from model_archive import Integers
from ranking import Holdout, Ranks

LONGEST = 100  # nobody looks at a longer list, and its diversity would cost its square
CELLS_AT_ONCE = 2**20
Reals = npt.NDArray[np.float64]


def by_user(ranks: Ranks, data: Data, top_k: tuple[int, ...]) -> PerUser:
    """The metrics of each user's list, NaN where the model scored what is not a number."""
    train = data.train.matrix
    bits = -np.log2(np.maximum(train.popularity, 1) / train.users)
    profile = taken_popularity(train, data.holdout)
    category = None if data.train.category is None else np.unique(data.train.category, return_inverse=True)[1]
    found: PerUser = {}
    for k in described(top_k):
        top = ranks.top[:, :k]
        found[f"novelty@{k}"] = average(bits, top)
        found[f"popularity_lift@{k}"] = average(train.popularity, top) / profile - 1
        if train.square and k > 1:
            found[f"diversity@{k}"] = diversity(train, top)
        if category is not None:
            found[f"categories@{k}"] = different(category, top)
    for values in found.values():
        values[ranks.broken] = np.nan
    return found


def taken_popularity(train: Interactions, holdout: Holdout) -> Reals:
    """The mean popularity of what each user took in training [u]; 1 for who took nothing."""
    row, item = holdout.seen.row, holdout.seen.item
    counts = np.maximum(np.bincount(row, minlength=len(holdout.users)), 1)
    found = np.bincount(row, train.popularity[item], len(holdout.users)) / counts
    return np.asarray(np.maximum(found, 1.0))


def of_all(ranks: Ranks, items: int, top_k: tuple[int, ...]) -> dict[str, float]:
    """The metrics of all lists together."""
    found = {}
    for k in described(top_k):
        top = ranks.top[:, :k]
        counts = np.sort(np.bincount(top[top >= 0], minlength=items))
        found[f"coverage@{k}"] = float((counts > 0).mean())
        weight = 2 * np.arange(1, items + 1) - items - 1
        found[f"gini@{k}"] = float((weight * counts).sum() / (items * max(counts.sum(), 1)))
    return found


def described(top_k: tuple[int, ...]) -> tuple[int, ...]:
    """The cut-offs at which lists are described."""
    return tuple(k for k in top_k if k <= LONGEST)


def average(values: npt.NDArray[np.generic], top: Integers) -> Reals:
    """The mean of the items' values over each list; 0 for an empty one."""
    there = top >= 0
    return np.asarray((values[top] * there).sum(axis=1) / np.maximum(there.sum(axis=1), 1), dtype=np.float64)


def diversity(train: Interactions, top: Integers) -> Reals:
    """1 - mean similarity over the pairs of each list; 0 for a list of fewer than two."""
    found = np.empty(len(top))
    step = max(1, CELLS_AT_ONCE // top.shape[1] ** 2)
    for start in range(0, len(top), step):
        part = top[start : start + step]
        there = part >= 0
        pairs = there[:, :, None] & there[:, None, :]
        alike = (train.cosine[part[:, :, None], part[:, None, :]] * pairs).sum(axis=(1, 2), dtype=np.float64)
        count = there.sum(axis=1)
        own = (train.cosine.diagonal()[part] * there).sum(axis=1, dtype=np.float64)
        found[start : start + step] = np.where(count > 1, 1 - (alike - own) / np.maximum(count * (count - 1), 1), 0.0)
    return found


def different(category: Integers, top: Integers) -> Reals:
    """Distinct categories of each list by its length; 0 for an empty one."""
    there = top >= 0
    sorted_ = np.sort(np.where(there, category[top], -1), axis=1)
    first = np.concatenate([sorted_[:, :1] >= 0, (np.diff(sorted_, axis=1) > 0) & (sorted_[:, 1:] >= 0)], axis=1)
    return np.asarray(first.sum(axis=1) / np.maximum(there.sum(axis=1), 1), dtype=np.float64)
