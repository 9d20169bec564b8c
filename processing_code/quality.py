"""Turn a table of metrics (CSV) into the model-quality JSON that SageMaker's registry shows beside a model.

Ships alone: imports only the standard library and this folder.

    python quality.py --metrics metrics.csv --model neumf --output evaluation.json

The CSV has a header with `metric`, `value` and, where they are known, `model`, `low`, `high`, `standard deviation`
and `n`, in any order; other columns are ignored. A value that is not a number becomes null.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from problems import ProcessingError, exit_code
from tables import write_json

COLUMNS = ("model", "metric", "value", "low", "high", "standard deviation", "n")
Row = Mapping[str, Any]


def write_metrics(path: Path, rows: Iterable[Row]) -> None:
    """Write the CSV; a number that is missing or not finite is an empty field."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: shown(row.get(name)) for name in COLUMNS} for row in rows)


def shown(value: Any) -> Any:
    """A number in as many digits as say it exactly."""
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    return "" if value is None else value


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The CSV's rows. Raises ProcessingError when it is none or lacks a column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [{str(key).strip(): value or "" for key, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, csv.Error) as error:
        raise ProcessingError(f"{path}: not a CSV file ({error})") from error
    for column in ("metric", "value"):
        if not rows or column not in rows[0]:
            raise ProcessingError(f"{path}: has no {column}; right is a header with metric,value and a row for each")
    return rows


def quality(rows: Sequence[Mapping[str, str]], model: str | None) -> dict[str, Any]:
    """A model's rows in SageMaker's model-quality layout.

    Raises ProcessingError for a model or rows that are not there, and for a metric that is there twice.
    """
    models = sorted({row.get("model", "") for row in rows})
    if model is None and len(models) > 1:
        raise ProcessingError(f"the CSV is of several models; name one of {', '.join(models)}")
    own = [row for row in rows if model is None or row.get("model", "") == model]
    if not own:
        raise ProcessingError(f"no row is of model {model!r}; right is one of {', '.join(models)}")
    metrics: dict[str, Any] = {}
    for row in own:
        name = row["metric"].strip()
        if not name or name in metrics:
            raise ProcessingError(f"metric {name!r} is empty or there twice; right is one row for each")
        metrics[name] = {key.replace(" ", "_"): number(row.get(key, "")) for key in ("value", "standard deviation")}
    counts = [found for found in (number(row.get("n", "")) for row in own) if found is not None]
    return {"version": 0.0, "dataset": {"item_count": int(max(counts, default=0))}, "regression_metrics": metrics}


def number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def convert(argv: Sequence[str] | None = None) -> None:
    """The whole program."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--metrics", type=Path, required=True, help="the CSV")
    arguments.add_argument("--model", help="whose rows; not needed where there is only one")
    arguments.add_argument("--output", type=Path, required=True, help="the JSON")
    given = arguments.parse_args(argv)
    write_json(given.output, quality(read_metrics(given.metrics), given.model))


if __name__ == "__main__":
    sys.exit(exit_code(convert))
