"""The table of precomputed answers: for each known user the best items that the user has not seen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .members import Content, array_of, refuse_unless, refuse_unless_finite, refuse_unless_within

ROWS_CHECKED = 256  # of a large table, evenly spaced, are compared with what their users have seen


@dataclass(frozen=True)
class Table:
    """items [U, k], best first and -1 where there are no more; scores [U, k]."""

    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]


def read_table(
    files: Mapping[str, Content], offsets: npt.NDArray[np.int64], seen: npt.NDArray[np.int32], items: int
) -> Table | None:
    """The table, if the archive has one. Raises ArchiveError for one that names an item that is not there.

    That rows are sorted, and hold nothing twice and nothing seen, is checked for ROWS_CHECKED of them: what a wrong row
    could do is recommend badly, as a wrong score could.
    """
    names = ("top_items.npy", "top_scores.npy")
    if not any(name in files for name in names):
        return None
    users = len(offsets) - 1
    top = array_of(files, names[0], "<i4", (users, None))
    found = Table(top, array_of(files, names[1], "<f4", top.shape))
    refuse_unless_within(names[0], files[names[0]], top, -1, items)
    refuse_unless_finite(names[1], files[names[1]], found.scores)
    for user in sorted(set(np.linspace(0, users - 1, ROWS_CHECKED).astype(int).tolist()) if users else ()):
        right = right_row(top[user], found.scores[user], seen[offsets[user] : offsets[user + 1]])
        refuse_unless(right, f"top_items.npy is not sorted, or names an item twice or a seen one, in row {user}")
    return found if top.shape[1] else None


def right_row(row: npt.NDArray[np.int32], scores: npt.NDArray[np.float32], seen: npt.NDArray[np.int32]) -> bool:
    """Whether a row is distinct unseen items by falling score, then only -1."""
    count = int((row >= 0).sum())
    items, values = set(row[:count].tolist()), scores[:count]
    return len(items) == count and min(items, default=0) >= 0 and items.isdisjoint(seen.tolist()) and falling(values)


def falling(values: npt.NDArray[np.float32]) -> bool:
    """Whether no number is higher than the one before."""
    return not bool((values[1:] > values[:-1]).any())
