"""Engines that run interactions.sql: each reads the partitions, runs the blocks, and hands back Arrow tables."""

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

# what an engine hands back, each in the order that makes the output the same byte for byte
RESULTS: Mapping[str, str] = {
    "train": "SELECT * FROM train ORDER BY user, time, item",
    "holdout": "SELECT * FROM holdout ORDER BY user, time, item",
    "users": "SELECT id FROM users ORDER BY position",
    "items": "SELECT id FROM items ORDER BY position",
    "bounds": "SELECT oldest, newest, cutoff FROM bounds",
    "reasons": "SELECT reason, COUNT(*) AS n FROM quarantine GROUP BY reason ORDER BY reason",
    "duplicates": "SELECT CAST(COALESCE(SUM(copies - 1), 0) AS BIGINT) AS n FROM events",
    "quarantine": "SELECT * FROM quarantine ORDER BY part, reason, user_id, item_id, occurred LIMIT 10000",
}


@dataclass(frozen=True)
class Work:
    """What an engine is asked to do.

    `columns` maps user, item and time to the column names; `settings` becomes the one-row table of that name.
    """

    files: tuple[Path, ...]
    columns: Mapping[str, str]
    settings: Mapping[str, int]


def blocks(sql: str) -> list[tuple[str, str]]:
    """Split the SQL file into (name, select) pairs at its "-- name: x" lines."""
    found = re.split(r"^-- name: (\w+)$", sql, flags=re.MULTILINE)
    return list(zip(found[1::2], (text.strip() for text in found[2::2]), strict=True))


def run_duckdb(work: Work) -> dict[str, pa.Table]:
    """Run the blocks in DuckDB, each kept as a table so that none is computed twice."""
    with tempfile.TemporaryDirectory(prefix="duckdb-") as spill, duckdb.connect() as connection:
        connection.execute(f"SET temp_directory = '{spill}'; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute("CREATE MACRO unix_micros(t) AS epoch_us(t)")
        names = ", ".join(f"{value} AS {name}" for name, value in work.settings.items())
        connection.execute(f"CREATE TEMP TABLE settings AS SELECT {names}")
        for part, path in enumerate(work.files):
            create = "CREATE TEMP TABLE raw AS" if part == 0 else "INSERT INTO raw"
            connection.execute(f"{create} {duckdb_read(connection, part, path, work.columns)}", [str(path)])
        for name, select in blocks(Path(__file__).with_name("interactions.sql").read_text(encoding="utf-8")):
            connection.execute(f"CREATE TEMP TABLE {name} AS {select}")
        return {name: connection.sql(query).to_arrow_table() for name, query in RESULTS.items()}


def duckdb_read(connection: duckdb.DuckDBPyConnection, part: int, path: Path, columns: Mapping[str, str]) -> str:
    """The SELECT that reads one partition as text, whatever types its columns have."""
    described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    kinds = {row[0]: row[1] for row in described}
    user, item, time = columns["user"], columns["item"], columns["time"]
    selected = [id_text(user, kinds[user]), id_text(item, kinds[item]), time_text(time, kinds[time])]
    named = zip(selected, ("user_id", "item_id", "occurred"), strict=True)
    body = ", ".join(f"{text} AS {name}" for text, name in named)
    return f"SELECT {part} AS part, {body} FROM read_parquet(?)"


def id_text(column: str, kind: str) -> str:
    """An id as text. A float column is how a gap turns integers into 17.0 and NaN: back to 17 and to missing."""
    name = quoted(column)
    if kind in {"FLOAT", "DOUBLE"}:
        whole = f"isfinite({name}) AND {name} = floor({name}) AND abs({name}) < 9e15"
        return f"CASE WHEN {whole} THEN CAST(CAST({name} AS BIGINT) AS VARCHAR) END"
    return f"CAST({name} AS VARCHAR)"


def time_text(column: str, kind: str) -> str:
    """A time as text. Numbers are seconds since 1970; those beyond the year 9999 are no time."""
    name = quoted(column)
    if kind in {"FLOAT", "DOUBLE"} or "INT" in kind or kind.startswith("DECIMAL"):
        seconds = f"CAST({name} AS DOUBLE)"
        inside = f"isfinite({seconds}) AND abs({seconds}) < 253402300800"
        return f"CASE WHEN {inside} THEN CAST(make_timestamp(CAST({seconds} * 1000000 AS BIGINT)) AS VARCHAR) END"
    return f"CAST({name} AS VARCHAR)"


def quoted(column: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + column.replace('"', '""') + '"'


# a new engine is one function and one line here
ENGINES: Mapping[str, Callable[[Work], dict[str, pa.Table]]] = {"duckdb": run_duckdb}
