"""MovieLens-1M as the NCF papers split it, from the user's own copy: its licence forbids passing it on.

ML1M_DIR names a folder with ml-1m.train.rating, ml-1m.test.rating and ml-1m.test.negative, as they are or with .xz.
"""

import hashlib
import io
import lzma
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .arrays import Arrays
from .errors import BenchmarkError

VARIABLE = "ML1M_DIR"
# git's own digest (git hash-object) of each file's unpacked content, and where such a file comes from
KNOWN: Mapping[str, Mapping[str, str]] = {
    "ml-1m.train.rating": {
        "31ba384fd58dac8fbd09d2dfc6616431f3563ab5": "published",
        "2f849941e48682219c205572d51ffe27255b5a73": "reconstructed; popularity scores as published within .0006",
    },
    "ml-1m.test.rating": {"1b79e03c96710c3b0c35deb19155ef74f7965a02": "published"},
    "ml-1m.test.negative": {"c82844fb99d021f94751a6f915a230a1e8b8da92": "published"},
}


def load(known: Mapping[str, Mapping[str, str]] = KNOWN) -> Arrays:
    """Read and check the user's copy. Raises BenchmarkError that says which file is wrong and what would be right."""
    folder = Path(named_folder())
    contents = {name: content(folder, name, known[name]) for name in KNOWN}
    train = numbers(contents["ml-1m.train.rating"], (0, 1, 3))
    test = numbers(contents["ml-1m.test.rating"], (0, 1))
    negatives = negative_items(contents["ml-1m.test.negative"], test)
    items = int(max(train[:, 1].max(), test[:, 1].max(), negatives.max())) + 1
    user, item, time = train[np.lexsort(train.T[[1, 2, 0]])].T  # by user, then time
    users = int(max(user.max(), test[:, 0].max())) + 1
    test_user, test_item = test.T
    return Arrays("ml-1m", users, items, user, item, time.astype(np.int64), test_user, test_item, negatives)


def named_folder() -> str:
    """The folder that ML1M_DIR names."""
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        raise BenchmarkError(f"{VARIABLE}: is not set; name the folder that holds {', '.join(KNOWN)} (plain or .xz)")
    return folder


def content(folder: Path, name: str, known: Mapping[str, str]) -> bytes:
    """One file's unpacked content, checked."""
    plain, packed = folder / name, folder / f"{name}.xz"
    try:
        found = plain.read_bytes() if plain.exists() else lzma.decompress(packed.read_bytes())
    except FileNotFoundError:
        raise BenchmarkError(f"{VARIABLE}: {plain} is not there, nor is {packed.name}; one of them is needed") from None
    except (OSError, lzma.LZMAError) as error:
        raise BenchmarkError(f"{VARIABLE}: {packed if packed.exists() else plain} cannot be read ({error})") from error
    digest = git_digest(found)
    if digest not in known:
        right = " or ".join(f"{value} ({source})" for value, source in known.items())
        raise BenchmarkError(f"{VARIABLE}: {plain}: git hash-object gives {digest}; right is {right}")
    return found


def git_digest(found: bytes) -> str:
    """What `git hash-object` prints for this content."""
    return hashlib.sha1(b"blob %d\0" % len(found) + found, usedforsecurity=False).hexdigest()


def numbers(found: bytes, columns: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Some columns of a table of whole numbers separated by tabs."""
    table = np.loadtxt(io.BytesIO(found), dtype=np.int64, delimiter="\t", usecols=columns, ndmin=2)
    return table.astype(np.int32)


def negative_items(found: bytes, test: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The negatives [t, k] of each line "(user,item) tab negatives"; the lines are those of the test file."""
    plain = np.loadtxt(io.BytesIO(re.sub(rb"[(),]", b" ", found)), dtype=np.int32, ndmin=2)
    if not np.array_equal(plain[:, :2], test):
        raise BenchmarkError(f"{VARIABLE}: ml-1m.test.negative and ml-1m.test.rating name different pairs")
    return plain[:, 2:]
