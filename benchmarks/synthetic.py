"""Synthetic interactions of any size, with structure that a model can find: the same for the same count and seed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GROUPS = 20
PER_USER = 40
ITEMS_OF_A_MILLION = 4000
SURPLUS = 1.5
STRAY = 0.1  # share of interactions outside a user's two groups


@dataclass(frozen=True)
class Interactions:
    """Distinct pairs sorted by user, each with the microsecond at which it happened."""

    users: int
    items: int
    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    time: npt.NDArray[np.int64]


def interactions(count: int, seed: int = 1) -> Interactions:
    """`count` interactions (a little fewer where the count is small) of users who like two of twenty groups of items.

    Within a group popularity falls off like 1/rank. Users grow with the count, items with its square root.
    """
    random = np.random.default_rng(seed)
    wanted, count = count, round(count * SURPLUS)  # pairs that are drawn again are dropped
    users = max(50, wanted // PER_USER)
    size = max(10, round(ITEMS_OF_A_MILLION * (wanted / 1e6) ** 0.5) // GROUPS)
    taste = random.integers(GROUPS, size=(users, 2), dtype=np.int32)
    user = random.integers(users, size=count, dtype=np.int32)
    group = np.where(
        random.random(count, dtype=np.float32) < STRAY,
        random.integers(GROUPS, size=count, dtype=np.int32),
        taste[user, random.integers(2, size=count, dtype=np.int8)],
    )
    weight = np.cumsum(1 / np.arange(1, size + 1))
    rank = np.searchsorted(weight, random.random(count) * weight[-1]).astype(np.int32)
    items = size * GROUPS
    pairs = np.unique(user.astype(np.int64) * items + group * size + rank)
    pairs = np.delete(pairs, random.choice(len(pairs), max(0, len(pairs) - wanted), replace=False))
    time = 1_600_000_000_000_000 + random.integers(365 * 86_400_000_000, size=len(pairs))
    user, item = np.divmod(pairs, items)
    return Interactions(users, items, user.astype(np.int32), item.astype(np.int32), time)
