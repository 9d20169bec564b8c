"""Splits: what proves that one is right, and how far its holdout reaches. Their SQL is in interactions.sql."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from problems import ProcessingError

Integers = npt.NDArray[np.int64]
Tables = Mapping[str, pa.Table]
FAULT = "(a fault of interactions.sql)"


@dataclass(frozen=True)
class Split:
    """`check` raises ProcessingError for a leak; `holdout` says after which moment it begins, and its last moment."""

    check: Callable[[Tables], None]
    holdout: Callable[[Tables], tuple[int, int]]  # microseconds


def check(tables: Tables, split: str) -> None:
    """Prove that train and holdout are disjoint and in order (F26). Raises ProcessingError if not."""
    train, holdout = tables["train"], tables["holdout"]
    # sorted here, since np.unique takes twenty times as long
    pairs = np.sort(np.concatenate([packed(train, tables), packed(holdout, tables)]))
    if (pairs[1:] == pairs[:-1]).any():
        raise ProcessingError(f"leak: a pair is in both train and holdout, or twice in one {FAULT}")
    SPLITS[split].check(tables)


def packed(table: pa.Table, tables: Tables) -> Integers:
    """Each (user, item) pair as one number."""
    found: Integers = column(table, "user") * tables["items"].num_rows + column(table, "item")
    return found


def column(table: pa.Table, name: str) -> Integers:
    """A column as int64."""
    found: Integers = np.asarray(table[name].to_numpy(), dtype=np.int64)
    return found


def before_the_cutoff(tables: Tables) -> None:
    """All of train is at or before the cutoff, all of the holdout after it."""
    cutoff, _ = whole_days(tables)
    if column(tables["train"], "time").max() > cutoff or column(tables["holdout"], "time").min() <= cutoff:
        raise ProcessingError(f"leak: train reaches into the holdout's time {FAULT}")


def whole_days(tables: Tables) -> tuple[int, int]:
    """The days held out, whether or not anything of them was left to measure with."""
    bounds = tables["bounds"].to_pylist()[0]
    return bounds["cutoff"], bounds["newest"]


def one_each_and_last(tables: Tables) -> None:
    """At most one pair of each user is held out, and none of its training pairs is later."""
    train, holdout = tables["train"], tables["holdout"]
    if len(np.unique(column(holdout, "user"))) < holdout.num_rows:
        raise ProcessingError(f"leak: more than one pair of a user is held out {FAULT}")
    newest = np.full(tables["users"].num_rows, np.iinfo(np.int64).min)
    np.maximum.at(newest, column(train, "user"), column(train, "time"))
    if (newest[column(holdout, "user")] > column(holdout, "time")).any():
        raise ProcessingError(f"leak: a user's train reaches beyond what is held out of it {FAULT}")


def held_pairs(tables: Tables) -> tuple[int, int]:
    """From just before the earliest pair held out to the latest: the order holds for each user, not for all at once."""
    times = column(tables["holdout"], "time")
    return int(times.min()) - 1, int(times.max())


# a new split is its blocks in interactions.sql and one line here
SPLITS: Mapping[str, Split] = {
    "temporal": Split(before_the_cutoff, whole_days),
    "leave_one_out": Split(one_each_and_last, held_pairs),
}
