"""Turn the partitions of a data lock into training and holdout interactions.

Ships alone: imports only the standard library, this folder and its requirements.txt.

    python prepare.py --lock-dir lock --data-dir data --train-dir train --holdout-dir holdout --report-dir report \
        --columns '{"user": "household_id", "item": "product_id", "time": "transaction_timestamp"}'
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from engines import ENGINES, Work, run
from outputs import Places, Prepared, finish
from partitions import Lock, read_lock, verify
from problems import ProcessingError, exit_code
from splits import SPLITS

DAY = 86_400_000_000  # microseconds
REQUIRED, OPTIONAL = {"user", "item", "time"}, {"segment", "category"}
MAX_FOLDS = 100


def parser(description: str | None = __doc__) -> argparse.ArgumentParser:
    """What is asked for, without where anything lies."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    shown = "JSON: which column is user, item, time and, if there are such, segment (of users) and category (of items)"
    arguments.add_argument("--columns", type=json.loads, required=True, help=shown)
    arguments.add_argument("--split", choices=sorted(SPLITS), default="temporal")
    arguments.add_argument("--folds", type=int, default=0, help="deal the training pairs into so many folds")
    arguments.add_argument("--min-user-interactions", type=int, default=1)
    arguments.add_argument("--min-item-users", type=int, default=1)
    arguments.add_argument("--holdout-days", type=int, default=7, help="of the temporal split")
    arguments.add_argument("--max-bad-ratio", type=float, default=0.01)
    arguments.add_argument(
        "--max-user-share", type=float, default=0.5, help="a user with more of all rows is quarantined"
    )
    arguments.add_argument("--as-of", help="later times are in the future (ISO 8601, UTC; default: now)")
    return arguments


def prepare(argv: Sequence[str] | None = None) -> None:
    """The whole program. Raises ProcessingError for what is wrong with the data or the arguments."""
    words = parser()
    for name in ("lock", "data", "train", "holdout", "report"):
        words.add_argument(f"--{name}-dir", type=Path, required=True)
    words.add_argument("--engine", choices=sorted(ENGINES), default="duckdb")
    given = words.parse_args(argv)
    lock = read_lock(given.lock_dir)
    task = work(given, lock, str(given.data_dir))
    for warning in verify(lock, given.data_dir, list(task.columns.values())):
        print(f"warning: {warning}", file=sys.stderr)
    places = Places(given.train_dir, given.holdout_dir, given.report_dir)
    finish(Prepared(lock, settings(given), run(given.engine, task)), places)


def work(given: argparse.Namespace, lock: Lock, data: str) -> Work:
    """What the engine is to do with the partitions below `data`, a folder or a URI. Raises ProcessingError."""
    if given.folds and not 2 <= given.folds <= MAX_FOLDS:
        raise ProcessingError(f"--folds: is {given.folds}; right is 2 to {MAX_FOLDS}, or 0 for none")
    numbers = {
        "min_user_interactions": given.min_user_interactions,
        "min_item_users": given.min_item_users,
        "holdout_micros": given.holdout_days * DAY,
        "as_of": micros(given.as_of),
        "max_user_share": given.max_user_share,
    }
    files = tuple(f"{data.rstrip('/')}/{one.key}" for one in lock.partitions)
    return Work(files, checked_columns(given.columns), numbers, given.split)


def settings(given: argparse.Namespace) -> dict[str, Any]:
    """What the outputs depend on, as the report shows it: neither places nor engine, since those change nothing."""
    names = ("split", "folds", "columns", "min_user_interactions", "min_item_users", "holdout_days", "max_bad_ratio",
             "max_user_share")  # fmt: skip
    return {name: getattr(given, name) for name in names}


def checked_columns(columns: Any) -> dict[str, str]:
    """The column mapping, or a ProcessingError that shows a right one."""
    if not isinstance(columns, dict) or not REQUIRED <= set(columns) <= REQUIRED | OPTIONAL:
        right = '{"user": "...", "item": "...", "time": "..."}, and perhaps "segment" and "category"'
        raise ProcessingError(f"--columns: is {columns!r}; right is {right}")
    return {name: str(column) for name, column in columns.items()}


def micros(moment: str | None) -> int:
    """An ISO time, or now, in microseconds since 1970."""
    if moment is None:
        return time.time_ns() // 1000
    try:
        return int(np.datetime64(moment.removesuffix("Z"), "us").astype(np.int64))
    except ValueError as error:
        raise ProcessingError(f"--as-of: {moment!r} is not a time; right is like 2026-11-20T00:00:00Z") from error


if __name__ == "__main__":
    sys.exit(exit_code(prepare))
