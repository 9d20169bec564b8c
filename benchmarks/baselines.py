"""What every model has to beat: popularity, and cosine neighbours between items."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .arrays import Arrays
from .protocol import Floats, Scorer

USERS_AT_ONCE = 1024


def popularity(arrays: Arrays, _settings: Mapping[str, Any]) -> Scorer:
    """Each item's number of interactions, whoever asks."""
    counts = np.bincount(arrays.item, minlength=arrays.items).astype(np.float32)
    return lambda users: np.tile(counts, (len(users), 1))


def item_knn(arrays: Arrays, settings: Mapping[str, Any]) -> Scorer:
    """Items whose users are alike: cosine with shrinkage, each item's `neighbours` nearest (Sarwar et al. 2001)."""
    together = np.zeros((arrays.items, arrays.items), dtype=np.float32)
    for start in range(0, arrays.users, USERS_AT_ONCE):
        rows = histories(arrays, np.arange(start, min(start + USERS_AT_ONCE, arrays.users)))
        together += rows.T @ rows
    length = np.sqrt(np.maximum(together.diagonal(), 1))  # an item that nobody took is like none
    alike = together / (length[:, None] * length[None, :] + settings["shrink"])
    np.fill_diagonal(alike, 0.0)
    if settings["neighbours"] < arrays.items:
        least = np.partition(alike, -settings["neighbours"], axis=0)[-settings["neighbours"]]
        alike[alike < least] = 0.0
    return lambda users: histories(arrays, users) @ alike


def histories(arrays: Arrays, users: Any) -> Floats:
    """Which items these users took, as ones [n, items]."""
    starts, ends = np.searchsorted(arrays.user, users), np.searchsorted(arrays.user, users + 1)
    rows = np.zeros((len(users), arrays.items), dtype=np.float32)
    rows[np.repeat(np.arange(len(users)), ends - starts), arrays.item[spans(starts, ends)]] = 1.0
    return rows


def spans(starts: Any, ends: Any) -> Any:
    """All positions of several ranges, one range after the other."""
    lengths = ends - starts
    shift = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return shift + np.arange(lengths.sum())
