"""Writing rows as one Parquet partition a week, in bounded memory."""

import datetime
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from problems import ProcessingError
from rows import times

HELD = 2_000_000  # rows in memory before they are written
MOST = 1000  # partitions, and open files
DAY = 86_400_000_000  # microseconds
UNKNOWN = "unknown"


class Partitions:
    """A folder that is being filled: `add` rows, then `close`."""

    def __init__(self, folder: Path, time: str | None) -> None:
        """`time` is the column that says the week; None for one partition of everything."""
        self.folder, self.time = folder, time
        self.rows = self.held = 0
        self.waiting: dict[str, list[pa.Table]] = {}
        self.writers: dict[str, pq.ParquetWriter] = {}

    def add(self, table: pa.Table) -> None:
        """Take rows, whatever weeks they are of."""
        for week, part in split(table, self.time):
            self.waiting.setdefault(week, []).append(part)
        self.rows += table.num_rows
        self.held += table.num_rows
        if self.held >= HELD:
            self.flush()

    def flush(self) -> None:
        """Write what is held. Raises ProcessingError for more weeks than files can be open."""
        for week, parts in self.waiting.items():
            if week not in self.writers:
                if len(self.writers) == MOST:
                    raise ProcessingError(f"the rows span more than {MOST} weeks; --partition one writes one file")
                path = self.folder / week / "part-0.parquet" if self.time else self.folder / "part-0.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                self.writers[week] = pq.ParquetWriter(path, parts[0].schema, compression="zstd")
            self.writers[week].write_table(pa.concat_tables(parts).combine_chunks())
        self.waiting, self.held = {}, 0

    def close(self) -> None:
        """Write the rest."""
        self.flush()
        for writer in self.writers.values():
            writer.close()


def split(table: pa.Table, time: str | None) -> Iterator[tuple[str, pa.Table]]:
    """(week=YYYY-WW, its rows in their order) for each ISO week; rows without a time are of week=unknown."""
    if time is None:
        yield "all", table
        return
    weeks = week_numbers(table[time].combine_chunks())
    for number in np.unique(weeks):
        yield f"week={name(int(number))}", table.filter(pa.array(weeks == number))


def week_numbers(column: pa.Array) -> npt.NDArray[np.int64]:
    """Weeks since that of 1 January 1970, from Monday to Sunday; -1 where there is no time.

    A text is looked at no closer than the day: whether it is a time is decided when it is prepared.
    """
    column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    occurred, micros = times(column)
    if micros.null_count == len(micros) and occurred.null_count < len(occurred):
        days = pc.if_else(pc.match_substring_regex(occurred, r"^\s*[12][0-9]{3}-[01][0-9]-[0-3][0-9]"), occurred, None)
        micros = pa.array([day_of(text) for text in days.to_pylist()], pa.int64())
    numbers = np.asarray(micros.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    return np.where(numbers < 0, -1, (numbers // DAY + 3) // 7)


def day_of(text: str | None) -> int | None:
    """The day of an ISO text in microseconds since 1970."""
    try:
        day = datetime.date.fromisoformat((text or "").strip()[:10])
    except ValueError:
        return None
    return (day - datetime.date(1970, 1, 1)).days * DAY


def name(number: int) -> str:
    """The ISO name of a week."""
    if number < 0:
        return UNKNOWN
    year, week, _ = (datetime.date(1969, 12, 29) + datetime.timedelta(weeks=number)).isocalendar()
    return f"{year}-{week:02}"


def entries(folder: Path, prefix: str) -> list[dict[str, Any]]:
    """The data lock's entries of a filled folder, sorted by key."""
    found = []
    for path in sorted(folder.rglob("*.parquet")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size, rows = path.stat().st_size, pq.read_metadata(path).num_rows
        found.append(
            {"key": f"{prefix}/{path.relative_to(folder).as_posix()}", "sha256": digest, "bytes": size, "rows": rows}
        )
    return found
