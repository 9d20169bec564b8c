"""What prepare.py left in the training channel, as arrays."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class TrainingError(Exception):
    """What is wrong and what would be right, in one line that a user can act on."""


@dataclass(frozen=True)
class Dataset:
    """Interactions sorted by user and time; user and item are positions in `users` and `items` (ids as text).

    `events` says how often a pair occurred, `fold` which part of a cross-validation it is in (None = no folds),
    `category` each item's class, `available` whether it can be had (None = not known).
    """

    name: str
    data_from: str
    data_through: str
    users: list[str]
    items: list[str]
    user: Integers
    item: Integers
    time: Integers
    events: Integers | None = None
    fold: Integers | None = None
    category: list[str | None] | None = None
    available: list[bool] | None = None

    def where(self, rows: npt.NDArray[Any]) -> "Dataset":
        """The same users and items with some of the interactions: rows are positions, or a mask."""
        columns: dict[str, Any] = {name: getattr(self, name) for name in ("user", "item", "time", "events", "fold")}
        columns = {name: None if column is None else column[rows] for name, column in columns.items()}
        return replace(self, **columns)

    def offsets(self) -> Integers:
        """Where each user's interactions begin [users + 1]."""
        return np.searchsorted(self.user, np.arange(len(self.users) + 1)).astype(np.int64)


def arranged(data: Dataset) -> Dataset:
    """The data in the order that everything here expects: by user, then time, then item."""
    return data.where(np.lexsort((data.item, data.time, data.user)))


def from_arrays(user: Integers, item: Integers, time: Integers | None = None) -> Dataset:
    """A data set of positions in memory; without times the order given is the order in which things happened."""
    time = np.arange(len(user)) if time is None else time
    users, items = ([str(place) for place in range(int(column.max()) + 1)] for column in (user, item))
    return arranged(Dataset("arrays", "", "", users, items, user, item, time))


def load(folder: Path) -> Dataset:
    """Read the training channel. Raises TrainingError when it is not what prepare.py writes."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        users, items = (pq.read_table(folder / f"{name}.parquet") for name in ("users", "items"))
        table = pq.read_table(folder / "interactions.parquet").combine_chunks()
        user, item, time, events, fold = (numbers(table, name) for name in ("user", "item", "time", "events", "fold"))
        category = items["category"].to_pylist() if "category" in items.column_names else None
        available = availability(items) if "available" in items.column_names else None
        data = manifest["data"]
        about = (manifest["dataset"], data["from"], data["through"])
        ids = (users["id"].to_pylist(), items["id"].to_pylist())
        found = Dataset(*about, *ids, user, item, time, events, fold, category, available)
        right = len(user) and user.max() < len(ids[0]) and item.max() < len(ids[1]) and min(user.min(), item.min()) >= 0
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise TrainingError(f"{folder}: not a training channel ({error}); prepare.py writes one") from error
    if not right:
        raise TrainingError(f"{folder}: interactions are empty or name unknown users or items; prepare.py writes them")
    return arranged(found)


def availability(items: pa.Table) -> list[bool]:
    """Which items can be had; of which it is not said, cannot. Raises ValueError unless the column is boolean."""
    column = items["available"]
    if not pa.types.is_boolean(column.type):
        raise ValueError(f"items.parquet's available is {column.type}, not bool")
    return [bool(one) for one in column.to_pylist()]


def numbers(table: pa.Table, name: str) -> Any:
    """A column as whole numbers; None where an optional one is not there."""
    if name in {"events", "fold"} and name not in table.column_names:
        return None
    return table[name].to_numpy().astype(np.int64)
