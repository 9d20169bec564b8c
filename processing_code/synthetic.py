"""Purchases of a town that does not exist, of any size and with a structure that a model can find.

Each user shops in two of the departments, one of them more often; within a department popularity falls off like 1/rank
(Zipf), as in a real shop; one purchase in ten is anything at all; a few users buy far more than the others do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Integers = npt.NDArray[np.int64]
START = np.datetime64("2020-01-06", "us")  # a Monday
WEEK = 7 * 86_400_000_000  # microseconds
DEPARTMENTS, SEGMENTS = 20, 5
CHUNK = 1_000_000  # rows in memory at a time
NOISE, FIRST_CHOICE = 0.1, 0.7


@dataclass(frozen=True)
class Town:
    """How large; `items` is a multiple of DEPARTMENTS, and item i is in department i % DEPARTMENTS."""

    rows: int
    users: int
    items: int
    weeks: int
    seed: int


def town(rows: int, weeks: int, seed: int, users: int = 0, items: int = 0) -> Town:
    """A town for so many rows: a hundred a user, a thousand an item, unless told otherwise."""
    items = items or min(max(rows // 1000, 200), 50_000)
    return Town(rows, users or max(rows // 100, 50), -(-items // DEPARTMENTS) * DEPARTMENTS, weeks, seed)


def tastes(given: Town) -> Integers:
    """Each user's two departments [users, 2], the favourite first."""
    random = np.random.default_rng([given.seed, 0])
    first = random.integers(DEPARTMENTS, size=given.users)
    other = random.integers(1, DEPARTMENTS, size=given.users)
    return np.stack([first, (first + other) % DEPARTMENTS], axis=1)


def chunks(given: Town) -> Iterator[pa.Table]:
    """The purchases, week by week, at most CHUNK at a time; the same for the same town."""
    liked = tastes(given)
    weight = np.cumsum(1 / np.arange(1, given.items // DEPARTMENTS + 1))
    for week in range(given.weeks):
        ends = [given.rows * (week + one) // given.weeks for one in (0, 1)]
        for place, start in enumerate(range(ends[0], ends[1], CHUNK)):
            random = np.random.default_rng([given.seed, 1 + week, place])
            count = min(CHUNK, ends[1] - start)
            user = (given.users * random.random(count) ** 1.5).astype(np.int64)
            item = bought(random, liked[user], weight)
            time = START + (week * WEEK + random.integers(WEEK // 1_000_000, size=count) * 1_000_000)
            yield table(user, item, time)


def bought(random: np.random.Generator, liked: Integers, weight: npt.NDArray[np.float64]) -> Integers:
    """One item for each row of `liked` [n, 2]; `weight` is the running sum of the ranks' weights."""
    count = len(liked)
    department = np.where(random.random(count) < FIRST_CHOICE, liked[:, 0], liked[:, 1])
    anything = random.random(count) < NOISE
    department[anything] = random.integers(DEPARTMENTS, size=int(anything.sum()))
    rank = np.searchsorted(weight, random.random(count) * weight[-1])
    found: Integers = rank * DEPARTMENTS + department
    return found


def table(user: Integers, item: Integers, time: npt.NDArray[Any]) -> pa.Table:
    """Rows as a table: ids from 1, the user's segment and the item's department."""
    segments = pa.array([f"segment {one + 1}" for one in range(SEGMENTS)])
    departments = pa.array([f"department {one + 1:02}" for one in range(DEPARTMENTS)])
    return pa.table({
        "user_id": user + 1,
        "item_id": item + 1,
        "time": pa.array(time, pa.timestamp("us")),
        "segment": pa.DictionaryArray.from_arrays(pa.array((user % SEGMENTS).astype(np.int32)), segments),
        "category": pa.DictionaryArray.from_arrays(pa.array((item % DEPARTMENTS).astype(np.int32)), departments),
    })  # fmt: skip
