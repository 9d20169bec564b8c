"""Whether a model was trained on what it is measured on, by the way the data was split."""

from collections.abc import Callable, Mapping

import numpy as np
from channels import Data
from model_archive import ModelArchive, positions
from problems import ProcessingError


def by_time(archive: ModelArchive, data: Data) -> str | None:
    """All of the holdout is later than all of training, so an archive may not reach beyond that moment."""
    if archive.data_through <= data.after:
        return None
    return f"data reaches to {archive.data_through}, into the holdout after {data.after}"


def by_pairs(archive: ModelArchive, data: Data) -> str | None:
    """Each user's holdout begins at a moment of its own: the archive's own pairs say which of them it has seen."""
    holdout, train = data.holdout, data.train
    user = positions(train.users, archive.users)[archive.seen[0]]
    item = positions(train.items, archive.items)[archive.seen[1]]
    known = (user >= 0) & (item >= 0)
    seen = user[known] * len(train.items) + item[known]
    held = holdout.users[holdout.taken.row] * len(train.items) + holdout.taken.item
    found = int(np.isin(held, seen).sum())
    return f"data holds {found} of the holdout's pairs" if found else None


SPLITS: Mapping[str, Callable[[ModelArchive, Data], str | None]] = {"temporal": by_time, "leave_one_out": by_pairs}


def leak(archive: ModelArchive, data: Data) -> str | None:
    """How the archive's data reaches into the holdout, or None. Raises ProcessingError for a split it does not know."""
    if data.split not in SPLITS:
        raise ProcessingError(f"holdout.split: is {data.split!r}; right are {', '.join(SPLITS)}")
    return SPLITS[data.split](archive, data)
