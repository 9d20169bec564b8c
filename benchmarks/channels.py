"""The tasks that make input for others: a synthetic training channel, and raw purchases to be prepared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from . import synthetic
from .arrays import Arrays
from .datasets import COLUMNS, write_channel, write_lock, write_partition


def channel(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """train/ of so many synthetic interactions, as prepare.py would have left it."""
    found = synthetic.interactions(settings["interactions"])
    none = np.zeros(0, dtype=np.int32)
    columns = (found.user, found.item, found.time)
    write_channel(folder / "train", Arrays("synthetic", found.users, found.items, *columns, none, none, none))
    return {"interactions": len(found.user)}


def raw(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """data/ and lock/ for prepare.py: completejourney's year, or so many synthetic purchases in its columns."""
    if not settings["interactions"]:
        return {"rows": write_partition(folder)}
    found = synthetic.interactions(settings["interactions"])
    order = np.random.default_rng(1).permutation(len(found.user))
    time = pa.array(found.time[order]).cast(pa.timestamp("us"))
    columns = [found.user[order], found.item[order], time]
    path = folder / "data" / "purchases.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(dict(zip(COLUMNS.values(), columns, strict=True))), path)
    return {"rows": write_lock(folder, path, "synthetic")}
