"""Turn the partitions of a data lock into training and holdout interactions.

Ships alone: imports only the standard library, this folder and its requirements.txt.

    python prepare.py --lock-dir lock --data-dir data --train-dir train --holdout-dir holdout --report-dir report \
        --columns '{"user": "household_id", "item": "product_id", "time": "transaction_timestamp"}'
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from engines import ENGINES, Work
from partitions import Lock, read_lock, verify
from problems import ProcessingError, exit_code
from tables import digest, instant, write_json, write_table

DAY = 86_400_000_000  # microseconds
SCHEMA_VERSION = 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("lock", "data", "train", "holdout", "report"):
        arguments.add_argument(f"--{name}-dir", type=Path, required=True)
    arguments.add_argument("--columns", type=json.loads, required=True, help="JSON: which column is user, item, time")
    arguments.add_argument("--engine", choices=sorted(ENGINES), default="duckdb")
    arguments.add_argument("--split", choices=["temporal"], default="temporal")
    arguments.add_argument("--min-user-interactions", type=int, default=1)
    arguments.add_argument("--min-item-users", type=int, default=1)
    arguments.add_argument("--holdout-days", type=int, default=7)
    arguments.add_argument("--max-bad-ratio", type=float, default=0.01)
    arguments.add_argument("--as-of", help="later times are in the future (ISO 8601, UTC; default: now)")
    return arguments


def prepare(argv: Sequence[str] | None = None) -> None:
    """The whole program. Raises ProcessingError for what is wrong with the data or the arguments."""
    arguments = parser().parse_args(argv)
    columns = checked_columns(arguments.columns)
    lock = read_lock(arguments.lock_dir)
    for warning in verify(lock, arguments.data_dir, list(columns.values())):
        print(f"warning: {warning}", file=sys.stderr)
    settings = {
        "min_user_interactions": arguments.min_user_interactions,
        "min_item_users": arguments.min_item_users,
        "holdout_micros": arguments.holdout_days * DAY,
        "as_of": micros(arguments.as_of),
    }
    files = tuple(arguments.data_dir / one.key for one in lock.partitions)
    tables = ENGINES[arguments.engine](Work(files, columns, settings))
    counts = count(lock, tables)
    report_bad_rows(arguments.report_dir, tables, counts, arguments.max_bad_ratio)
    check(tables, counts)
    write(arguments, lock, tables, counts)
    print("prepared: " + ", ".join(f"{name}={value}" for name, value in counts.items()))


def checked_columns(columns: Any) -> dict[str, str]:
    """The column mapping, or a ProcessingError that shows a right one."""
    if not isinstance(columns, dict) or set(columns) != {"user", "item", "time"}:
        raise ProcessingError(f'--columns: is {columns!r}; right is {{"user": "...", "item": "...", "time": "..."}}')
    return {name: str(column) for name, column in columns.items()}


def micros(moment: str | None) -> int:
    """An ISO time, or now, in microseconds since 1970."""
    if moment is None:
        return time.time_ns() // 1000
    try:
        return int(np.datetime64(moment.removesuffix("Z"), "us").astype(np.int64))
    except ValueError as error:
        raise ProcessingError(f"--as-of: {moment!r} is not a time; right is like 2026-11-20T00:00:00Z") from error


def count(lock: Lock, tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """How many of what. Merged copies of a row are counted, and are not bad rows: sending twice is not an error."""
    return {
        "rows": sum(one.rows for one in lock.partitions),
        "bad_rows": sum(tables["reasons"]["n"].to_pylist()),
        "duplicates": tables["duplicates"]["n"][0].as_py(),
        "users": tables["users"].num_rows,
        "items": tables["items"].num_rows,
        "train": tables["train"].num_rows,
        "holdout": tables["holdout"].num_rows,
        "holdout_users": len(np.unique(tables["holdout"]["user"].to_numpy())),
    }


def report_bad_rows(report: Path, tables: Mapping[str, pa.Table], counts: Mapping[str, int], allowed: float) -> None:
    """Write the quarantine first, so that a run that fails because of it can still be looked into."""
    write_table(report / "quarantine.parquet", tables["quarantine"])
    if counts["bad_rows"] > allowed * counts["rows"]:
        shares = reasons(tables)
        raise ProcessingError(
            f"bad rows: {counts['bad_rows']} of {counts['rows']} rows are bad {shares}; max_bad_ratio allows "
            f"{allowed:g} (mend the data, or raise prepare.max_bad_ratio; the rows are in report/quarantine.parquet)"
        )


def check(tables: Mapping[str, pa.Table], counts: Mapping[str, int]) -> None:
    """Refuse an empty result; prove that train and holdout are disjoint and ordered in time."""
    if not counts["train"]:
        raise ProcessingError(
            f"no training interaction is left of {counts['rows']} rows; lower min_user_interactions or "
            "min_item_users, or add partitions older than holdout_days"
        )
    if not counts["holdout"]:
        raise ProcessingError("the holdout is empty: no known user took a known item for the first time in it; "
                              "raise holdout_days or lower min_item_users")  # fmt: skip
    train, holdout = tables["train"], tables["holdout"]
    if np.intersect1d(packed(train, counts["items"]), packed(holdout, counts["items"])).size:
        raise ProcessingError("leak: a pair is in both train and holdout (a fault of interactions.sql)")
    cutoff = tables["bounds"]["cutoff"][0].as_py()
    if train["time"].to_numpy().max() > cutoff or holdout["time"].to_numpy().min() <= cutoff:
        raise ProcessingError("leak: train reaches into the holdout's time (a fault of interactions.sql)")


def packed(table: pa.Table, items: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Each (user, item) pair as one number."""
    return np.asarray(table["user"].to_numpy().astype(np.int64) * items + table["item"].to_numpy())


def reasons(tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """Bad rows by reason."""
    return {row["reason"]: row["n"] for row in tables["reasons"].to_pylist()}


def write(arguments: argparse.Namespace, lock: Lock, tables: Mapping[str, pa.Table], counts: dict[str, int]) -> None:
    """Write train/, holdout/ and report/: each with a manifest, the last one with everything's digests."""
    train, holdout, report = arguments.train_dir, arguments.holdout_dir, arguments.report_dir
    for name in ("users", "items"):
        write_table(train / f"{name}.parquet", tables[name])
    write_table(train / "interactions.parquet", tables["train"])
    write_table(holdout / "interactions.parquet", tables["holdout"])
    times = tables["train"]["time"].to_numpy()
    bounds = {name: tables["bounds"][name][0].as_py() for name in ("oldest", "newest", "cutoff")}
    shared = {"schema_version": SCHEMA_VERSION, "dataset": lock.dataset}
    data = {"from": instant(int(times.min())), "through": instant(int(times.max()))}
    held = {"after": instant(bounds["cutoff"]), "through": instant(bounds["newest"])}
    write_json(train / "manifest.json", {**shared, "data": data})
    write_json(holdout / "manifest.json", {**shared, "holdout": held})
    settings = {name: getattr(arguments, name) for name in (
        "engine", "split", "columns", "min_user_interactions", "min_item_users", "holdout_days", "max_bad_ratio"
    )}  # fmt: skip
    files = sorted([*train.glob("*.parquet"), *holdout.glob("*.parquet"), report / "quarantine.parquet"])
    written = {f"{role_of(path, arguments)}/{path.name}": digest(path) for path in files}
    manifest = {**shared, "counts": counts, "quarantine": reasons(tables), "data": data, "holdout": held}
    sources = [{"key": one.key, "sha256": one.sha256, "rows": one.rows} for one in lock.partitions]
    write_json(report / "manifest.json", {**manifest, "settings": settings, "partitions": sources, "files": written})


def role_of(path: Path, arguments: argparse.Namespace) -> str:
    """Which output a file belongs to; the folders' own names are the caller's and must not show in the manifest."""
    roles = {arguments.train_dir: "train", arguments.holdout_dir: "holdout", arguments.report_dir: "report"}
    return roles[path.parent]


if __name__ == "__main__":
    sys.exit(exit_code(prepare))
