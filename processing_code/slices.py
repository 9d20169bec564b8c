"""Parts of the holdout that a mean over everybody hides, each as a choice among the held-out pairs."""

from collections.abc import Iterator

import numpy as np
from channels import Data
from model_archive import Integers
from ranking import Truths

NEW_USER = 5  # training interactions at most
HEAD = 0.2  # the most popular part of the items; the rest is the tail
MOST_SEGMENTS = 20


def slices(data: Data) -> dict[str, Truths]:
    """Each slice's name and the held-out pairs [p] in it; an empty slice is there too, as a rule may ask for it."""
    taken = data.holdout.taken
    found = {}
    for name, users in (*by_activity(data), *by_segment(data)):
        found[name] = users[taken.row]
    popularity = np.bincount(data.train.item, minlength=data.holdout.items)
    head = np.zeros(data.holdout.items, dtype=np.bool_)
    head[np.argsort(-popularity, kind="stable")[: int(np.ceil(HEAD * len(head)))]] = True
    return found | {"items=head": head[taken.item], "items=tail": ~head[taken.item]}


def by_activity(data: Data) -> Iterator[tuple[str, Truths]]:
    """The holdout's users in three parts by how much they took in training, and those who are new."""
    counts = activity(data)
    low, high = np.quantile(counts, [1 / 3, 2 / 3])
    yield "activity=low", counts <= low
    yield "activity=middle", (counts > low) & (counts <= high)
    yield "activity=high", counts > high
    yield "users=new", counts <= NEW_USER


def activity(data: Data) -> Integers:
    """The number of training interactions of each of the holdout's users."""
    return np.bincount(data.holdout.seen.row, minlength=len(data.holdout.users))


def by_segment(data: Data) -> Iterator[tuple[str, Truths]]:
    """The holdout's users by segment, the largest ones."""
    if data.train.segment is None:
        return
    names, place, counts = np.unique(
        np.array(data.train.segment)[data.holdout.users], return_inverse=True, return_counts=True
    )
    for one in np.argsort(-counts, kind="stable")[:MOST_SEGMENTS]:
        yield f"segment={names[one]}", place == one
