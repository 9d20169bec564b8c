"""Which items an answer may hold: `filter` of getRecommendations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .catalogue import Catalogue
from .errors import invalid
from .fields import MAX_INSTANCES, identifiers, object_of, only, truth
from .ids import find_all

KNOWN = frozenset(
    {"excludeSeen", "excludeItemIds", "includeItemIds", "categories", "excludeCategories", "availableOnly"}
)
WHERE = "filter."
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Filter:
    """`exclude` and `include` are item positions; `categories` says of each category whether it may be answered."""

    exclude_seen: bool = True
    exclude: tuple[int, ...] = ()
    include: npt.NDArray[np.int64] | None = None
    categories: Mask | None = None
    available_only: bool = True

    def mask(self, catalogue: Catalogue, items: Any = slice(None)) -> Mask | None:
        """For each of the items whether its category and its availability let it in; None if all of them are."""
        found: Mask | None = None
        if self.categories is not None and catalogue.categories is not None:
            found = self.categories[catalogue.categories.of_items[items]]
        if self.available_only and catalogue.available is not None:
            there = catalogue.available[items]
            found = there if found is None else found & there
        return found


EVERYTHING_UNSEEN = Filter()


def read_filter(body: Mapping[str, Any], catalogue: Catalogue) -> Filter:
    """The filter of a request. Raises RequestError."""
    if "filter" not in body:
        return EVERYTHING_UNSEEN
    given = object_of(body["filter"], "filter")
    only(given, KNOWN, WHERE)
    include = places(given, "includeItemIds", catalogue)
    return Filter(
        exclude_seen=truth(given, "excludeSeen", WHERE),
        exclude=tuple(places(given, "excludeItemIds", catalogue) or ()),
        include=None if include is None else np.array(sorted(include), dtype=np.int64),
        categories=read_categories(given, catalogue),
        available_only=read_available(given, catalogue),
    )


def places(given: Mapping[str, Any], name: str, catalogue: Catalogue) -> list[int] | None:
    """Where the items of a list are; those that the model does not know are without effect."""
    return find_all(catalogue.ids, identifiers(given, name, MAX_INSTANCES, WHERE)) if name in given else None


def read_categories(given: Mapping[str, Any], catalogue: Catalogue) -> Mask | None:
    """Which categories may be answered; None if the filter names none."""
    names = [name for name in ("categories", "excludeCategories") if name in given]
    if not names:
        return None
    if catalogue.categories is None:
        message = "the model's items have no categories; train on data whose params columns name a category"
        raise invalid(WHERE + names[0], message)
    chosen, gone = (set(identifiers(given, name, MAX_INSTANCES, WHERE)) if name in given else None
                    for name in ("categories", "excludeCategories"))  # fmt: skip
    found = ~catalogue.categories.mask(gone or set())
    return found if chosen is None else found & catalogue.categories.mask(chosen)


def read_available(given: Mapping[str, Any], catalogue: Catalogue) -> bool:
    """Whether only items that can be had may be answered."""
    if "availableOnly" in given and catalogue.available is None:
        raise invalid(WHERE + "availableOnly", "the model does not know which items are available")
    return truth(given, "availableOnly", WHERE)
