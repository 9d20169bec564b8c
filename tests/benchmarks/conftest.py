"""A data set with a known right answer for the benchmarks."""

import numpy as np
import pytest

from benchmarks.arrays import Arrays, draw_negatives


@pytest.fixture
def board() -> Arrays:
    """Even users like even items, odd users odd ones; each user's own item is held back."""
    size = 40
    order = np.random.default_rng(1).permutation(size)  # in which everyone took them, from another start each
    liked = [
        (user, item) for user in range(size) for item in np.roll(order, user) if item % 2 == user % 2 and item != user
    ]
    user, item = (np.array(column, dtype=np.int32) for column in zip(*liked, strict=True))
    own = np.arange(size, dtype=np.int32)
    time = np.arange(len(user), dtype=np.int64)
    without = Arrays("board", size, size, user, item, time, own, own, np.zeros((0, 0), dtype=np.int32))
    return Arrays("board", size, size, user, item, time, own, own, draw_negatives(without, 15, seed=1))
