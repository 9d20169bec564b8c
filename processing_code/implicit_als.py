"""Implicit ALS: Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from interactions import Interactions
from model_archive import Floats, Scorer

FIRST, NEXT = 6, 2  # iterations: from random factors, and from those of the setting before
FEWEST, ITEMS_A_FACTOR = 8, 16  # a small catalogue gains nothing by more factors than this
SEED = 1


def als(train: Interactions, grid: Sequence[Mapping[str, float]]) -> Iterator[Scorer]:
    """Factors for each setting (factors at most, alpha, reg); each starts from what the one before has found.

    A user's item has confidence 1 + alpha, any other 1, and the preferences are 1 and 0.
    """
    item = np.empty((0, 0), dtype=np.float32)
    for settings in grid:
        size = min(int(settings["factors"]), max(FEWEST, train.items // ITEMS_A_FACTOR))
        known = item.shape[1] == size
        if not known:
            random = np.random.default_rng(SEED)
            item = random.normal(0, size**-0.5, (train.items, size)).astype(np.float32)
        for _ in range(NEXT if known else FIRST):
            user = solve(train, item, settings)
            item = solve(train.transposed, user, settings)
        yield products(user, item)


def products(user: Floats, item: Floats) -> Scorer:
    """Scores of these factors."""
    return lambda users: user[users] @ item.T


def solve(train: Interactions, fixed: Floats, settings: Mapping[str, float]) -> Floats:
    """The rows' factors [rows, d] that fit best while the columns' are fixed (the paper's equation 4)."""
    alpha, size = np.float32(settings["alpha"]), fixed.shape[1]
    every = fixed.T @ fixed + np.float32(settings["reg"]) * np.eye(size, dtype=np.float32)
    padded = np.concatenate([fixed, np.zeros((1, size), dtype=np.float32)])
    found = np.zeros((train.users, size), dtype=np.float32)  # what a row without any item comes to
    for rows, items in train.batches:
        own = padded[items]  # [n, longest, d], zero where a row has fewer
        left = np.matmul(own.transpose(0, 2, 1), own) * alpha + every
        right = own.sum(axis=1) * (1 + alpha)
        found[rows] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
    return found
