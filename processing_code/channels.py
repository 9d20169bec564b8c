"""The channels prepare.py writes, as evaluation reads them: what was trained on, and what was held out."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from interactions import Interactions
from model_archive import Integers
from problems import ProcessingError
from ranking import Holdout, group


@dataclass(frozen=True)
class Train:
    """The vocabulary and the training pairs, each with its time in microseconds."""

    users: list[str]
    items: list[str]
    user: Integers
    item: Integers
    time: Integers
    segment: list[str] | None  # of each user
    category: list[str] | None  # of each item

    @cached_property
    def matrix(self) -> Interactions:
        """The pairs as a matrix."""
        return Interactions.of(self.user, self.item, len(self.users), len(self.items))


@dataclass(frozen=True)
class Data:
    """What is measured on. `after` is the moment the holdout begins after; with leave_one_out it differs by user."""

    train: Train
    holdout: Holdout
    split: str
    after: str


def load(train: Path, holdout: Path) -> Data:
    """Read both channels. Raises ProcessingError when they are not what prepare.py writes."""
    try:
        seen, held = read_train(train), read(holdout / "interactions.parquet")
        manifest = json.loads((holdout / "manifest.json").read_text(encoding="utf-8"))["holdout"]
        user, item = integers(held, "user"), integers(held, "item")
        split, after = str(manifest["split"]), str(manifest["after"])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise ProcessingError(f"{train}, {holdout}: not what prepare.py writes ({error})") from error
    if not len(user):
        raise ProcessingError(f"{holdout}: holds no interaction; prepare.py refuses an empty holdout")
    asked = np.unique(user)
    taken, before = group(user, item, asked), group(seen.user, seen.item, asked)
    return Data(seen, Holdout(asked, taken, before, len(seen.items)), split, after)


def read_train(folder: Path) -> Train:
    """The training channel."""
    users, items = (read(folder / f"{name}.parquet") for name in ("users", "items"))
    seen = read(folder / "interactions.parquet")
    return Train(
        texts(users, "id"),
        texts(items, "id"),
        integers(seen, "user"),
        integers(seen, "item"),
        integers(seen, "time"),
        optional(users, "segment"),
        optional(items, "category"),
    )


def read(path: Path) -> pa.Table:
    """A Parquet file. read_table would load pyarrow's dataset engine first, which takes longer than the reading."""
    with pq.ParquetFile(path) as file:
        return file.read()


def integers(table: pa.Table, name: str) -> Integers:
    """A column of numbers."""
    return np.asarray(table[name].to_numpy(), dtype=np.int64)


def texts(table: pa.Table, name: str) -> list[Any]:
    """A column of texts."""
    return list(table[name].to_pylist())


def optional(table: pa.Table, name: str) -> list[str] | None:
    """A column that only some data has; a missing value in it is the text `unknown`."""
    if name not in table.column_names:
        return None
    return ["unknown" if value is None else str(value) for value in texts(table, name)]
