"""Turn a source of interactions into partitions that `python -m gitops data` can lock, and prepare.py can read.

    python import_data.py completejourney --output imported
    python import_data.py movielens --source ml-1m.zip --output imported
    python import_data.py files --source orders.csv --output imported \
        --columns '{"user": "who", "item": "what", "time": "at"}'
    python import_data.py synthetic --rows 10000000 --output imported

Writes imported/raw/<dataset>/week=YYYY-WW/part-0.parquet and imported/lock/lock.json; downloads nothing.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters import ADAPTERS
from problems import ProcessingError, exit_code
from tables import write_json
from weekly import Partitions, entries

DATASET = re.compile(r"^[a-z0-9](?:[-_]?[a-z0-9]){0,62}$")


def parser() -> argparse.ArgumentParser:
    """The command line: one command for each adapter."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = arguments.add_subparsers(dest="adapter", required=True)
    for name, adapter in ADAPTERS.items():
        command = commands.add_parser(name, help=adapter.help, description=adapter.help)
        for option, settings in adapter.options.items():
            command.add_argument(option, **settings)
        command.add_argument("--output", type=Path, required=True, help="a folder; the data set must not be in it yet")
        command.add_argument("--dataset", default=name, help="the data set's name below raw/")
        command.add_argument("--partition", choices=["week", "one"], default="week")
    return arguments


def import_data(argv: Sequence[str] | None = None) -> None:
    """The whole program. Raises ProcessingError for what is wrong with the source or the arguments."""
    given = parser().parse_args(argv)
    adapter = ADAPTERS[given.adapter]
    columns = dict(adapter.columns or given.columns)
    if not {"user", "item", "time"} <= set(columns):
        raise ProcessingError(f'--columns: is {columns!r}; right is {{"user": "...", "item": "...", "time": "..."}}')
    if not DATASET.fullmatch(given.dataset):
        raise ProcessingError(f"--dataset: is {given.dataset!r}; right is lower-case letters, digits, dashes")
    final, partial = given.output / "raw" / given.dataset, given.output / f".{given.dataset}.partial"
    if final.exists():
        raise ProcessingError(f"{final}: is there already, and partitions are write-once; choose another --output")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        fill(Partitions(partial, columns["time"] if given.partition == "week" else None), given)
        found = entries(partial, f"raw/{given.dataset}")
        final.parent.mkdir(parents=True, exist_ok=True)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    write_json(given.output / "lock" / "lock.json", {"dataset": given.dataset, "partitions": found})
    conclude(given, columns, sum(one["rows"] for one in found), len(found))


def fill(partitions: Partitions, given: argparse.Namespace) -> None:
    """Write all chunks, saying how far it is. Raises ProcessingError when there is no row."""
    shown = 0
    for chunk in ADAPTERS[given.adapter].chunks(given):
        partitions.add(chunk)
        if partitions.rows - shown >= 1_000_000:
            shown = partitions.rows
            print(f"{shown:,} rows", file=sys.stderr, flush=True)
    partitions.close()
    if not partitions.rows:
        raise ProcessingError(f"{given.adapter}: no row in the source; a data set needs some")


def conclude(given: argparse.Namespace, columns: Mapping[str, str], rows: int, count: int) -> None:
    """Say what was written and what to do with it."""
    print(f"imported: {rows:,} rows in {count} partitions below {given.output / 'raw' / given.dataset}")
    print(f"params: columns: {json.dumps(columns)}")
    raw = given.output / "raw"
    print(f"next: copy {raw} to raw/ of the bucket; then python -m gitops data params/<model>.yml --add <keys>")


if __name__ == "__main__":
    sys.exit(exit_code(import_data))
