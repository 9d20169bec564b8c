"""What prepare.py left in the training channel, as arrays, and the validation split taken from it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Integers = npt.NDArray[np.int64]


class TrainingError(Exception):
    """What is wrong and what would be right, in one line that a user can act on."""


@dataclass(frozen=True)
class Dataset:
    """Interactions sorted by user and time; user and item are positions in `users` and `items` (ids as text)."""

    name: str
    data_from: str
    data_through: str
    users: list[str]
    items: list[str]
    user: Integers
    item: Integers
    time: Integers


@dataclass(frozen=True)
class Validation:
    """For each sampled user: its last item, held back from fitting, and items it never took [n, negatives]."""

    user: Integers
    item: Integers
    negatives: Integers


def load(folder: Path) -> Dataset:
    """Read the training channel. Raises TrainingError when it is not what prepare.py writes."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        users, items = (pq.read_table(folder / f"{name}.parquet")["id"].to_pylist() for name in ("users", "items"))
        table = pq.read_table(folder / "interactions.parquet").combine_chunks()
        columns = [table[name].to_numpy().astype(np.int64) for name in ("user", "item", "time")]
        data = manifest["data"]
        found = Dataset(manifest["dataset"], data["from"], data["through"], users, items, *columns)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise TrainingError(f"{folder}: not a training channel ({error}); prepare.py writes one") from error
    if not len(found.user) or found.user.max() >= len(users) or found.item.max() >= len(items):
        raise TrainingError(f"{folder}: interactions are empty or name unknown users or items; prepare.py writes them")
    order = np.lexsort((found.item, found.time, found.user))
    columns = [column[order] for column in columns]
    return Dataset(found.name, found.data_from, found.data_through, users, items, *columns)


def seen_bitmap(data: Dataset) -> npt.NDArray[np.bool_]:
    """Who took what, one byte each [users, items]: the fastest way to reject a drawn item that is no negative."""
    seen = np.zeros((len(data.users), len(data.items)), dtype=np.bool_)
    seen[data.user, data.item] = True
    return seen


def draw_negatives(seen: npt.NDArray[np.bool_], user: Integers, count: int, generator: np.random.Generator) -> Integers:
    """Draw `count` items for each user that the user never took [n, count]; all at once, redrawing only the hits.

    Users that took everything have no negative: they keep what was drawn last.
    """
    rows = np.repeat(user, count)
    drawn = generator.integers(seen.shape[1], size=len(rows))
    able = np.asarray(~seen.all(axis=1))
    wrong = np.flatnonzero(seen[rows, drawn] & able[rows])
    while wrong.size:
        drawn[wrong] = generator.integers(seen.shape[1], size=len(wrong))
        wrong = wrong[seen[rows[wrong], drawn[wrong]]]
    return drawn.reshape(len(user), count)


def split(
    data: Dataset, negatives: int, generator: np.random.Generator, limit: int = 1000
) -> tuple[npt.NDArray[np.bool_], Validation]:
    """Hold back the last interaction of up to `limit` users; return which interactions are left to fit, and the rest.

    Only users with three interactions or more are asked, so that none loses all that is known of it.
    """
    last = np.flatnonzero(np.append(data.user[1:] != data.user[:-1], True))
    able = last[np.bincount(data.user, minlength=len(data.users))[data.user[last]] >= 3]
    chosen = np.sort(generator.permutation(able)[:limit])
    fit = np.ones(len(data.user), dtype=np.bool_)
    fit[chosen] = False
    drawn = draw_negatives(seen_bitmap(data), data.user[chosen], negatives, generator)
    return fit, Validation(data.user[chosen], data.item[chosen], drawn)
