"""Negatives: items that a user never took, drawn for a whole epoch at once in memory of O(interactions)."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from dataset import Dataset, Integers, TrainingError

Draw = Callable[[Integers, np.random.Generator], Integers]  # positives' items [n] -> an item for each [n]
MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd: Knuth's multiplicative hash
SLOTS = 16  # of the table for each pair: one in sixteen that were not taken needs the exact look-up
PATIENCE = 32  # rounds; whom a category offers nothing new is then given items of any


class Taken:
    """Which users took which items, exactly: a bit table rejects nearly all others, sorted pairs confirm the rest."""

    def __init__(self, data: Dataset) -> None:
        self.items = len(data.items)
        pairs = np.sort(data.user * self.items + data.item)
        self.complete = np.bincount(data.user, minlength=len(data.users)) >= self.items
        self.bits = max(1, (SLOTS * len(pairs) - 1).bit_length())
        self.exact = len(data.users) * self.items <= 2**self.bits  # each pair has a slot of its own
        self.table = np.zeros(len(data.users) * self.items if self.exact else 2**self.bits, dtype=np.bool_)
        self.table[self._slot(pairs)] = True
        self.pairs = pairs[:0] if self.exact else pairs

    def _slot(self, pairs: Integers) -> npt.NDArray[np.integer]:
        if self.exact:
            return pairs
        return (pairs.view(np.uint64) * MIXER) >> np.uint64(64 - self.bits)

    def __call__(self, user: Integers, item: Integers) -> npt.NDArray[np.bool_]:
        """Whether each user took each item [n]."""
        pairs = user * self.items + item
        found: npt.NDArray[np.bool_] = self.table[self._slot(pairs)]
        if not self.exact:
            maybe = np.flatnonzero(found)
            place = np.minimum(np.searchsorted(self.pairs, pairs[maybe]), len(self.pairs) - 1)
            found[maybe] = self.pairs[place] == pairs[maybe]
        return found


def any_item(data: Dataset) -> Draw:
    """Every item is as likely as every other."""
    return lambda positive, generator: generator.integers(len(data.items), size=len(positive))


def same_category(data: Dataset) -> Draw:
    """Every item of the positive's category is as likely as every other."""
    if data.category is None:
        raise TrainingError("--sampling: class needs items with a category; name one in params columns.category")
    _, category, count = np.unique(np.array(data.category, dtype=np.str_), return_inverse=True, return_counts=True)
    members = np.argsort(category, kind="stable")
    start = np.cumsum(count) - count

    def draw(positive: Integers, generator: np.random.Generator) -> Integers:
        own = category[positive]
        return np.asarray(members[start[own] + generator.integers(count[own])])

    return draw


SAMPLERS: Mapping[str, Callable[[Dataset], Draw]] = {"global": any_item, "class": same_category}


class Negatives:
    """Draws items that the users of `data` never took."""

    def __init__(self, data: Dataset, sampling: str = "global") -> None:
        self.taken = Taken(data)
        self.draw, self.draw_any = SAMPLERS[sampling](data), any_item(data)

    def __call__(self, user: Integers, item: Integers, count: int, generator: np.random.Generator) -> Integers:
        """Draw `count` negatives for each positive (user [n], item [n]) [n, count]; only hits are drawn again.

        Users that took everything have no negative: they keep what was drawn last.
        """
        users, positives = np.repeat(user, count), np.repeat(item, count)
        drawn = self.draw(positives, generator)
        wrong = np.flatnonzero(self.taken(users, drawn) & ~self.taken.complete[users])
        rounds = 0
        while wrong.size:
            draw = self.draw if rounds < PATIENCE else self.draw_any
            drawn[wrong] = draw(positives[wrong], generator)
            wrong = wrong[self.taken(users[wrong], drawn[wrong])]
            rounds += 1
        return drawn.reshape(len(user), count)
