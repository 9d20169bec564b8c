"""Preparing rows of any files in a test, and looking at what came out."""

import datetime
import hashlib
import json
from pathlib import Path

import checkerboard as board
import pyarrow.parquet as pq
from prepare import prepare

OUTPUTS = ("train/interactions.parquet", "train/users.parquet", "train/items.parquet", "train/manifest.json",
           "holdout/interactions.parquet", "holdout/manifest.json")  # fmt: skip
DAY = datetime.timedelta(days=1)


def write_lock(folder: Path, files: dict[str, bytes], rows: list[int]) -> None:
    """Write these files below data/, and the lock that names them."""
    entries = []
    for (name, content), count in zip(files.items(), rows, strict=True):
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        entries.append({"key": name, "sha256": digest, "bytes": len(content), "rows": count})
    (folder / "lock").mkdir(parents=True, exist_ok=True)
    (folder / "lock" / "lock.json").write_text(json.dumps({"dataset": "toy", "partitions": entries}))


def run(folder: Path, rows: list[tuple], *more: str) -> dict:
    """Prepare (user, item, time) rows in-process; the report's manifest."""
    board.write_partitions(folder, [board.table(rows)])
    prepare(board.prepare_arguments(folder, *more))
    return report(folder)


def report(folder: Path) -> dict:
    return json.loads((folder / "report" / "manifest.json").read_text())


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def pairs(folder: Path, name: str) -> set[tuple[str, str]]:
    """(user id, item id) pairs of an output."""
    users, items = (ids(folder, kind) for kind in ("users", "items"))
    rows = pq.read_table(folder / name / "interactions.parquet").to_pylist()
    return {(users[row["user"]], items[row["item"]]) for row in rows}


def ids(folder: Path, kind: str) -> list[str]:
    return pq.read_table(folder / "train" / f"{kind}.parquet")["id"].to_pylist()


def columns_of(folder: Path, name: str) -> list[str]:
    return pq.read_schema(folder / name).names
