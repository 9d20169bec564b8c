"""What prepare leaves: the quarantine first, then train/, holdout/ and report/, each with a manifest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from folds import deal
from partitions import Lock
from problems import ProcessingError
from splits import SPLITS, check
from tables import digest, instant, write_json, write_table

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Places:
    """The folders written to; their own names are the caller's and show in no output."""

    train: Path
    holdout: Path
    report: Path


@dataclass(frozen=True)
class Prepared:
    """What an engine made of a data lock: its tables, and the settings that it was asked with."""

    lock: Lock
    settings: Mapping[str, Any]
    tables: Mapping[str, pa.Table]


def finish(prepared: Prepared, places: Places) -> None:
    """Check the tables and write them. Raises ProcessingError; the quarantine is then there to be looked into."""
    counts = count(prepared)
    report_bad_rows(prepared, places.report, counts)
    refuse_empty(counts)
    check(prepared.tables, prepared.settings["split"])
    write(prepared, places, counts)
    print("prepared: " + ", ".join(f"{name}={value}" for name, value in counts.items()))


def count(prepared: Prepared) -> dict[str, int]:
    """How many of what. Merged copies of a row are counted, and are not bad rows: sending twice is not an error.

    Raises ProcessingError for a partition that has not the rows the data lock says.
    """
    tables = prepared.tables
    read = dict(zip(tables["parts"]["part"].to_pylist(), tables["parts"]["n"].to_pylist(), strict=True))
    for part, one in enumerate(prepared.lock.partitions):
        if read.get(part, 0) != one.rows:
            raise ProcessingError(f"{one.key}: has {read.get(part, 0)} rows; the data lock says {one.rows}")
    return {
        "rows": sum(one.rows for one in prepared.lock.partitions),
        "bad_rows": sum(tables["reasons"]["n"].to_pylist()),
        "duplicates": tables["duplicates"]["n"][0].as_py(),
        "users": tables["users"].num_rows,
        "items": tables["items"].num_rows,
        "train": tables["train"].num_rows,
        "holdout": tables["holdout"].num_rows,
        "holdout_users": len(np.unique(tables["holdout"]["user"].to_numpy())),
    }


def report_bad_rows(prepared: Prepared, report: Path, counts: Mapping[str, int]) -> None:
    """Write the quarantine first, so that a run that fails because of it can still be looked into."""
    write_table(report / "quarantine.parquet", prepared.tables["quarantine"])
    allowed = prepared.settings["max_bad_ratio"]
    if counts["bad_rows"] > allowed * counts["rows"]:
        raise ProcessingError(
            f"bad rows: {counts['bad_rows']} of {counts['rows']} rows are bad {reasons(prepared)}; max_bad_ratio "
            f"allows {allowed:g} (mend the data, or raise prepare.max_bad_ratio; the rows are in "
            "report/quarantine.parquet)"
        )


def refuse_empty(counts: Mapping[str, int]) -> None:
    """Raise ProcessingError when there is nothing to train on or nothing to measure with."""
    if not counts["train"]:
        raise ProcessingError(
            f"no training interaction is left of {counts['rows']} rows; lower min_user_interactions or "
            "min_item_users, or add partitions older than holdout_days"
        )
    if not counts["holdout"]:
        raise ProcessingError("the holdout is empty: no known user took a known item for the first time in it; "
                              "raise holdout_days or lower min_item_users")  # fmt: skip


def reasons(prepared: Prepared) -> dict[str, int]:
    """Bad rows by reason."""
    return {row["reason"]: row["n"] for row in prepared.tables["reasons"].to_pylist()}


def write(prepared: Prepared, places: Places, counts: dict[str, int]) -> None:
    """Write train/, holdout/ and report/: each with a manifest, the last one with everything's digests."""
    lock = prepared.lock
    write_tables(prepared, places)
    shared = {"schema_version": SCHEMA_VERSION, "dataset": lock.dataset}
    data, held = ranges(prepared)
    write_json(places.train / "manifest.json", {**shared, "data": data})
    write_json(places.holdout / "manifest.json", {**shared, "holdout": held})
    files = {f"{role}/{path.name}": digest(path) for role in ("train", "holdout", "report")
             for path in sorted(getattr(places, role).glob("*.parquet"))}  # fmt: skip
    manifest = {**shared, "counts": counts, "quarantine": reasons(prepared), "data": data, "holdout": held}
    sources = [{"key": one.key, "sha256": one.sha256, "rows": one.rows} for one in lock.partitions]
    write_json(places.report / "manifest.json", {
        **manifest, "settings": dict(prepared.settings), "partitions": sources, "files": files,
    })  # fmt: skip


def write_tables(prepared: Prepared, places: Places) -> None:
    """Write the Parquet files; segment, category and fold only where they were asked for."""
    tables, settings = prepared.tables, prepared.settings
    for name, label in (("users", "segment"), ("items", "category")):
        shown = ["id", label] if label in settings["columns"] else ["id"]
        write_table(places.train / f"{name}.parquet", tables[name].select(shown))
    train = tables["train"]
    if settings["folds"]:
        train = train.append_column("fold", deal(tables, settings["folds"]))
    write_table(places.train / "interactions.parquet", train)
    write_table(places.holdout / "interactions.parquet", tables["holdout"])


def ranges(prepared: Prepared) -> tuple[dict[str, str], dict[str, str]]:
    """When the training data happened; when the holdout did, and by which split."""
    train = prepared.tables["train"]["time"].to_numpy()
    split = prepared.settings["split"]
    after, through = SPLITS[split].holdout(prepared.tables)
    data = {"from": instant(int(train.min())), "through": instant(int(train.max()))}
    return data, {"split": split, "after": instant(after), "through": instant(through)}
