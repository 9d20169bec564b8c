"""The prepared arrays: one folder of .npy files that every contender reads, whatever Python it needs."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Arrays:
    """Interactions sorted by user and time, and what is held back of them.

    user, item and time (microseconds, or any number that orders a user's interactions) are [n]; test_user and
    test_item [t] are sorted by user; negatives [t, k] are the items that each held-back item is ranked among in the
    sampled metrics.
    """

    name: str
    users: int
    items: int
    user: Integers
    item: Integers
    time: npt.NDArray[np.int64]
    test_user: Integers
    test_item: Integers
    negatives: Integers


DAY = 86_400_000_000  # microseconds
NUMBERS = ("name", "users", "items")
COLUMNS = tuple(field.name for field in fields(Arrays) if field.name not in NUMBERS)


def save(folder: Path, arrays: Arrays) -> None:
    """Write the arrays into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COLUMNS:
        np.save(folder / f"{name}.npy", getattr(arrays, name), allow_pickle=False)
    numbers = {name: getattr(arrays, name) for name in NUMBERS}
    (folder / "arrays.json").write_text(json.dumps(numbers, sort_keys=True) + "\n", encoding="utf-8")


def load(folder: Path) -> Arrays:
    """Read what save() wrote."""
    numbers = json.loads((folder / "arrays.json").read_text(encoding="utf-8"))
    columns = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in COLUMNS}
    return Arrays(**numbers, **columns)


def draw_negatives(arrays: Arrays, count: int, seed: int) -> Integers:
    """For each held-back item, `count` items its user neither took nor has held back [t, count], all different."""
    drawn = np.empty((len(arrays.test_user), count), dtype=np.int32)
    generator = np.random.default_rng(seed)
    starts = np.searchsorted(arrays.user, np.arange(arrays.users + 1))
    for user in np.unique(arrays.test_user):
        rows = np.flatnonzero(arrays.test_user == user)
        others = np.ones(arrays.items, dtype=np.bool_)
        others[arrays.item[starts[user] : starts[user + 1]]] = False
        others[arrays.test_item[rows]] = False
        candidates = np.flatnonzero(others)
        for row in rows:
            drawn[row] = generator.choice(candidates, count, replace=len(candidates) < count)
    return drawn


def validation(arrays: Arrays, days: int = 0, count: int = 99, seed: int = 1) -> Arrays:
    """The same data a step earlier: the last `days` are held back, or each user's last interaction if that is 0.

    The real holdout is gone. Only users with two interactions left are asked, so that none loses all that is known.
    """
    last = np.append(arrays.user[1:] != arrays.user[:-1], True)
    if days:
        last = arrays.time > arrays.time.max() - days * DAY
    left = np.bincount(arrays.user[~last], minlength=arrays.users)
    held = last & (left[arrays.user] >= 2)
    rows = np.flatnonzero(held)[np.lexsort((arrays.item[held], arrays.user[held]))]
    earlier = replace(
        arrays, user=arrays.user[~held], item=arrays.item[~held], time=arrays.time[~held],
        test_user=arrays.user[rows], test_item=arrays.item[rows],
    )  # fmt: skip
    return replace(earlier, negatives=draw_negatives(earlier, count, seed))
