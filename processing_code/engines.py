"""Engines that run interactions.sql: each reads the partitions, runs the blocks, and hands back Arrow tables."""

import importlib
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from problems import ProcessingError

# a new engine is one module with run(work), and one line here; a module is imported when it is asked for
ENGINES: Mapping[str, str] = {"duckdb": "duckdb_engine", "spark": "spark_engine"}

# what an engine hands back, each in the order that makes the output the same byte for byte
RESULTS: Mapping[str, str] = {
    "train": "SELECT * FROM train ORDER BY user, time, item",
    "holdout": "SELECT * FROM holdout ORDER BY user, time, item",
    "users": "SELECT id, segment FROM users ORDER BY position",
    "items": "SELECT id, category FROM items ORDER BY position",
    "bounds": "SELECT newest, cutoff FROM bounds",
    "reasons": "SELECT reason, COUNT(*) AS n FROM quarantine GROUP BY reason ORDER BY reason",
    "duplicates": "SELECT CAST(COALESCE(SUM(copies - 1), 0) AS BIGINT) AS n FROM events",
    "parts": "SELECT part, COUNT(*) AS n FROM raw GROUP BY part ORDER BY part",
    "quarantine": "SELECT * FROM quarantine ORDER BY part, reason, user_id NULLS FIRST, item_id NULLS FIRST, "
    "occurred NULLS FIRST LIMIT 10000",
}


TEXT, INT, LONG = pa.string(), pa.int32(), pa.int64()
PAIRS = pa.schema([("user", INT), ("item", INT), ("time", LONG), ("events", INT)])
SCHEMAS: Mapping[str, pa.Schema] = {
    "train": PAIRS,
    "holdout": PAIRS,
    "users": pa.schema([("id", TEXT), ("segment", TEXT)]),
    "items": pa.schema([("id", TEXT), ("category", TEXT)]),
    "bounds": pa.schema([("newest", LONG), ("cutoff", LONG)]),
    "reasons": pa.schema([("reason", TEXT), ("n", LONG)]),
    "duplicates": pa.schema([("n", LONG)]),
    "parts": pa.schema([("part", INT), ("n", LONG)]),
    "quarantine": pa.schema(
        [("part", INT), ("reason", TEXT), ("user_id", TEXT), ("item_id", TEXT), ("occurred", TEXT)]
    ),
}


@dataclass(frozen=True)
class Work:
    """What an engine is asked to do.

    `files` are paths or URIs (rows.py opens them) and `columns` maps user, item, time and perhaps segment and category
    to the names of columns; `settings` becomes the one-row table of that name; `split` chooses blocks.
    """

    files: tuple[str, ...]
    columns: Mapping[str, str]
    settings: Mapping[str, int | float]
    split: str


@dataclass(frozen=True)
class Block:
    """One SELECT of the SQL file, and whether its result is kept or computed where it is read."""

    name: str
    kept: bool
    select: str


def blocks(split: str) -> list[Block]:
    """The blocks of interactions.sql that a split uses, in order."""
    sql = (pkgutil.get_data("engines", "interactions.sql") or b"").decode()  # from a folder or a cluster's zip
    found = re.split(r"^-- (name|view): (\w+)(?: \[(\w+)\])?$", sql, flags=re.MULTILINE)[1:]
    every = zip(found[::4], found[1::4], found[2::4], found[3::4], strict=True)
    return [Block(name, kind == "name", text.strip()) for kind, name, of, text in every if of in {None, split}]


def run(engine: str, work: Work) -> dict[str, pa.Table]:
    """Run the blocks; the RESULTS. Raises ProcessingError when the engine is not installed here."""
    try:
        module = importlib.import_module(ENGINES[engine])
    except ModuleNotFoundError as error:
        raise ProcessingError(
            f"--engine {engine}: {error.name} is not installed here; install it into the processing image, or choose "
            f"another of {', '.join(ENGINES)} (params: prepare.engine)"
        ) from error
    return {name: table.cast(SCHEMAS[name]) for name, table in module.run(work).items()}


def said_by_the_reader(error: Exception) -> Exception:
    """The ProcessingError that an engine wrapped, since it was raised inside of it; else the error itself."""
    said = re.findall(r"ProcessingError: (.*)", str(error))
    return ProcessingError(said[-1].strip()) if said else error
