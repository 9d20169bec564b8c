"""Who took what in training, as the baselines and the list metrics read it: a sparse matrix of ones."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from model_archive import Floats, Integers

MAX_ITEMS = 10_000  # of items x items numbers: 0.8 GB each in double precision, and a minute to invert
ROWS_AT_ONCE = 1024
CELLS_AT_ONCE = 8192  # padded items of a batch: little padding, and what is gathered for them stays in cache


@dataclass(frozen=True)
class Interactions:
    """Distinct pairs (user, item) in ascending order of user."""

    user: Integers
    item: Integers
    users: int
    items: int

    @classmethod
    def of(cls, user: Integers, item: Integers, users: int, items: int) -> "Interactions":
        """The pairs in any order."""
        order = np.lexsort((item, user))
        return cls(user[order], item[order], users, items)

    @property
    def square(self) -> bool:
        """Whether items x items numbers are affordable."""
        return self.items <= MAX_ITEMS

    @cached_property
    def offsets(self) -> Integers:
        """User u's items are at [offsets[u], offsets[u + 1])."""
        return np.searchsorted(self.user, np.arange(self.users + 1))

    @cached_property
    def popularity(self) -> Integers:
        """How many users took each item."""
        return np.bincount(self.item, minlength=self.items)

    @cached_property
    def transposed(self) -> "Interactions":
        """Items as users, users as items."""
        return Interactions.of(self.item, self.user, self.items, self.users)

    def dense(self, asked: Integers) -> Floats:
        """The rows of some users [n, items], one where the user took the item."""
        counts = self.offsets[asked + 1] - self.offsets[asked]
        row = np.repeat(np.arange(len(asked)), counts)
        start = np.cumsum(counts) - counts
        place = np.arange(counts.sum()) + np.repeat(self.offsets[asked] - start, counts)
        found = np.zeros((len(asked), self.items), dtype=np.float32)
        found[row, self.item[place]] = 1.0
        return found

    @cached_property
    def batches(self) -> list[tuple[Integers, Integers]]:
        """Users of about as many items [n] with their items [n, longest], padded with the number of items.

        Who took nothing is in none of them.
        """
        counts = np.diff(self.offsets)
        found, order = [], np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        while len(order):
            longest = int(counts[order[0]])
            rows, order = np.split(order, [max(1, CELLS_AT_ONCE // longest)])
            place = np.arange(longest)
            inside = place < counts[rows][:, None]
            at = np.where(inside, self.offsets[rows][:, None] + place, 0)
            found.append((rows, np.where(inside, self.item[at], self.items)))
        return found

    @cached_property
    def together(self) -> Floats:
        """How many users took both items [items, items]; exact, as these are whole numbers below 2^24."""
        found = np.zeros((self.items, self.items), dtype=np.float32)
        for start in range(0, self.users, ROWS_AT_ONCE):
            rows = self.dense(np.arange(start, min(start + ROWS_AT_ONCE, self.users)))
            found += rows.T @ rows
        return found

    @cached_property
    def cosine(self) -> Floats:
        """Cosine similarity of items by their users [items, items]; zero for an item nobody took."""
        length = np.sqrt(np.maximum(self.popularity, 1)).astype(np.float32)
        return np.asarray(self.together / length / length[:, None], dtype=np.float32)
