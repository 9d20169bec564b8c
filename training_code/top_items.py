"""The table of ready answers: every user's best items, so that most requests need no score at all."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from dataset import Dataset, Floats, Integers
from model import Model

MOST, LEAST = 100, 10  # items of a row; a table with fewer would seldom be enough
MAX_MIB = 256  # of the table: a million users get 33 items each
SCORES_AT_ONCE = 2**22

Table = tuple[npt.NDArray[np.int32], Floats]


def width(users: int, items: int) -> int:
    """How many items a row has; 0 = no table."""
    found = min(MOST, items, MAX_MIB * 2**20 // (8 * max(1, users)))
    return found if found >= LEAST else 0


def table(model: Model, data: Dataset, at_once: int = SCORES_AT_ONCE) -> Table | None:
    """Items and scores [U, k] by falling score, without what the user has taken; -1 and 0 where there are no more.

    `at_once` bounds how many scores are held at a time.
    """
    count = width(len(data.users), len(data.items))
    if not count:
        return None
    parts = [best(scores, count) for scores in unseen_scores(model, data, at_once)]
    items, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
    return items, scores


def unseen_scores(model: Model, data: Dataset, at_once: int) -> Iterator[Floats]:
    """The scores of some users at a time [n, I], minus infinity for what they have taken."""
    step, offsets = max(1, at_once // len(data.items)), data.offsets()
    for start in range(0, len(data.users), step):
        users: Integers = np.arange(start, min(start + step, len(data.users)))
        scores = model.score(users)
        taken = slice(offsets[users[0]], offsets[users[-1] + 1])
        scores[data.user[taken] - start, data.item[taken]] = -np.inf
        yield scores


def best(scores: Floats, count: int) -> Table:
    """The `count` best of each row; among equals the item that comes first is first."""
    items = np.sort(np.argpartition(-scores, count - 1, axis=1)[:, :count], axis=1)
    values = np.take_along_axis(scores, items, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    items, values = np.take_along_axis(items, order, axis=1), np.take_along_axis(values, order, axis=1)
    there = np.isfinite(values)
    return np.where(there, items, -1).astype(np.int32), np.where(there, values, 0).astype(np.float32)
