"""k folds of the training pairs, the same whatever prepared them."""

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from problems import ProcessingError

Hashes = npt.NDArray[np.uint64]


def deal(tables: Mapping[str, pa.Table], folds: int) -> pa.Array:
    """The fold of each training pair, int8 in [0, folds): by a hash of its ids, so new data moves no pair.

    Raises ProcessingError when a fold stays empty.
    """
    users, items = (hashes(tables[name]["id"].to_pylist()) for name in ("users", "items"))
    train = tables["train"]
    mixed = mix(users[train["user"].to_numpy()] ^ mix(items[train["item"].to_numpy()]))
    dealt = (mixed % np.uint64(folds)).astype(np.int8)
    if not np.bincount(dealt, minlength=folds).all():
        raise ProcessingError(f"--folds: {folds} folds of {train.num_rows} pairs leave one empty; ask for fewer")
    return pa.array(dealt)


def hashes(ids: list[str]) -> Hashes:
    """64 bits of sha256 of each id."""
    found = b"".join(hashlib.sha256(one.encode()).digest()[:8] for one in ids)
    return np.frombuffer(found, dtype="<u8").astype(np.uint64)


def mix(number: Hashes) -> Hashes:
    """splitmix64's finalizer (Steele, Lea, Flood 2014): every input bit changes every output bit."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(number ^ (number >> np.uint64(31)))
