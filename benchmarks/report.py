"""The tables of JSON files that the benchmarks wrote, so that no number is typed by hand.

python -m benchmarks.report FILE... [--into docs/benchmarks.md [--section serving]]
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import preparation, quality, scaling, training
from .errors import BenchmarkError, exit_code
from .serving import tables

TABLES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "preparation": preparation.table,
    "quality": quality.table,
    "scaling": scaling.table,
    "serving": tables.table,
    "training": training.table,
}


def report(argv: Sequence[str] | None = None) -> None:
    """Print the tables, or put them between the markers of a document."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    words.add_argument("files", type=Path, nargs="+", metavar="FILE")
    words.add_argument("--into", type=Path, metavar="DOCUMENT", help="replace what is between its result markers")
    words.add_argument("--section", metavar="NAME", help="between those markers that name it: a page may have several")
    given = words.parse_args(argv)
    text = "\n\n".join(table(path) for path in given.files)
    if given.into is None:
        print(text)
    else:
        given.into.write_text(replaced(given.into, text, given.section), encoding="utf-8")


def table(path: Path) -> str:
    """The table of one file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return TABLES[found["benchmark"]](found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"{path}: not what a benchmark's --json wrote ({error!r})") from error


def replaced(document: Path, text: str, section: str | None) -> str:
    """The document with new results between its markers."""
    named = "results" if section is None else f"results of {section}"
    begin, end = f"<!-- {named}: python -m benchmarks.report -->", f"<!-- end of {named} -->"
    marked = re.compile(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", flags=re.DOTALL)
    before = document.read_text(encoding="utf-8")
    if not marked.search(before):
        raise BenchmarkError(f"{document}: has no {begin} ... {end}; the results go between them")
    return marked.sub(lambda _: f"\n\n{text}\n\n", before)


if __name__ == "__main__":
    sys.exit(exit_code(report))
