"""What is known of the items beside their score: ids, popularity, categories, and which can be had."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .ids import Ids, read_ids
from .json_text import parse
from .members import Content, array_of, refuse_unless, text_of
from .ordering import best

POPULAR = 2000  # of the most popular items the order is kept ready

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Categories:
    """Each item's category as a position in `names` [I]; the last position stands for none."""

    place: Mapping[str, int]
    of_items: npt.NDArray[np.int32]

    def mask(self, names: set[str]) -> npt.NDArray[np.bool_]:
        """For each position whether it is one of these categories; names that no item has are without effect."""
        found = np.zeros(len(self.place) + 1, dtype=np.bool_)
        found[[self.place[name] for name in names if name in self.place]] = True
        return found


@dataclass(frozen=True)
class Catalogue:
    """`popularity` [I] is the share of known users who took an item: its score for a user whom nobody knows."""

    ids: Ids
    popularity: Floats
    popular: npt.NDArray[np.int32]  # the most popular items, best first
    categories: Categories | None
    available: npt.NDArray[np.bool_] | None


def read_catalogue(files: Mapping[str, Content], users: int) -> Catalogue:
    """The catalogue in an archive's files. Raises ArchiveError."""
    ids = read_ids(text_of(files, "items.json"), "items.json")
    refuse_unless(len(ids) > 0, "there is no item")
    counts = array_of(files, "popularity.npy", "<i8", (len(ids),))
    refuse_unless(bool((counts >= 0).all()), "popularity.npy has a negative number")
    popularity = (counts / max(1, users)).astype(np.float32)
    categories = read_categories(files, len(ids)) if "categories.json" in files else None
    available = array_of(files, "available.npy", "|b1", (len(ids),)) if "available.npy" in files else None
    return Catalogue(ids, popularity, best(popularity, POPULAR).astype(np.int32), categories, available)


def read_categories(files: Mapping[str, Content], items: int) -> Categories:
    """categories.json: a string or null for each item."""
    found = parse(text_of(files, "categories.json"))
    right = isinstance(found, list) and all(one is None or isinstance(one, str) for one in found)
    refuse_unless(right and len(found) == items, "categories.json has not a string or null for each item")
    place = {name: at for at, name in enumerate(dict.fromkeys(one for one in found if one is not None))}
    return Categories(place, np.array([place.get(one, len(place)) for one in found], dtype=np.int32))
