"""The data lock: which files are the data set, and whether those that arrived are exactly they."""

import csv
import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from problems import ProcessingError
from rows import format_of, names_of


@dataclass(frozen=True)
class Partition:
    """One file of the data set, as the lock names it."""

    key: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Lock:
    """A data set: its name and its partitions, in the lock's order."""

    dataset: str
    partitions: tuple[Partition, ...]


def read_lock(folder: Path) -> Lock:
    """Read lock.json. Raises ProcessingError when it is missing, malformed or names no partition."""
    path = folder / "lock.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        partitions = tuple(partition(entry) for entry in found["partitions"])
        lock = Lock(str(found["dataset"]), partitions)
    except FileNotFoundError:
        raise ProcessingError(f"{path}: not there; the data lock belongs here as JSON") from None
    except (ValueError, KeyError, TypeError) as error:
        right = "right is {dataset, partitions: [{key, sha256, bytes, rows}]}"
        raise ProcessingError(f"{path}: not a data lock ({error!r}); {right}") from error
    if not partitions:
        raise ProcessingError(f"{path}: names no partition; the data lock needs at least one")
    if len({one.key for one in partitions}) < len(partitions):
        raise ProcessingError(f"{path}: names a partition twice; each key belongs there once")
    return lock


def partition(entry: dict[str, Any]) -> Partition:
    """One partition of the lock; its key must stay below the data folder."""
    key = str(entry["key"])
    if PurePosixPath(key).is_absolute() or ".." in PurePosixPath(key).parts:
        raise ValueError(f"key {key!r} leaves the data folder")
    return Partition(key, str(entry["sha256"]), int(entry["bytes"]), int(entry["rows"]))


def verify(lock: Lock, data: Path, columns: list[str]) -> list[str]:
    """Compare every partition with the lock; return warnings.

    Raises ProcessingError for a partition that is absent, differs, or lacks one of the columns.
    """
    warnings = []
    first: set[str] = set()
    for one in lock.partitions:
        names = verify_one(one, data, columns)
        first = first or names
        if names - first:
            warnings.append(f"{one.key}: has columns that the first partition lacks: {sorted(names - first)}; ignored")
    return warnings


def verify_one(one: Partition, data: Path, columns: list[str]) -> set[str]:
    """Compare one partition with the lock; return its column names."""
    path = data / one.key
    if not path.is_file():
        raise ProcessingError(f"{one.key}: partition is not there{nearest(one.key, data)}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != one.sha256:
        raise ProcessingError(f"{one.key}: sha256 is {digest}; the data lock says {one.sha256}")
    kind = format_of(one.key)
    try:
        names = names_of(str(path))
        rows = pq.read_metadata(path).num_rows if kind == "parquet" else one.rows  # those of CSV are counted when read
    except (pa.ArrowException, OSError, csv.Error) as error:
        raise ProcessingError(f"{one.key}: not a {kind} file ({error})") from error
    if rows != one.rows:
        raise ProcessingError(f"{one.key}: has {rows} rows; the data lock says {one.rows}")
    for column in columns:
        if names.count(column) != 1:
            has = "two columns named" if column in names else "no column"
            raise ProcessingError(f"{one.key}: has {has} {column!r}; it has {sorted(names)} (params: columns)")
    return set(names)


def nearest(key: str, data: Path) -> str:
    """What exists beside a missing partition, for the error message."""
    existing = sorted(path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file())
    close = difflib.get_close_matches(key, existing, n=1, cutoff=0)
    return f"; the nearest that exists is {close[0]}" if close else f"; nothing is in {data}"
