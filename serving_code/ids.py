"""Users' and items' ids: where each is, and how it is written in an answer."""

from bisect import bisect_left
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .json_text import parse
from .members import Content, refuse_unless

# A dict and a list of a million ids take 190 MB in every process, what is kept of more than MANY takes 58; finding one
# then takes a microsecond and a half more.
MANY = 200_000

Places = npt.NDArray[np.int64]


class Ids(Protocol):
    """Distinct ids in order."""

    def __len__(self) -> int: ...

    def find(self, one: str) -> int | None:
        """Where an id is; None if it is not there."""

    def written(self, places: Sequence[int]) -> list[bytes]:
        """The ids at some places as JSON strings, from which answers are put together."""


class FewIds:
    """Ids in a dict."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._written = [encode_basestring_ascii(one).encode() for one in ids]
        self._place = {one: place for place, one in enumerate(ids)}
        refuse_unless(len(self._place) == len(ids), "users.json or items.json has an id twice")

    def __len__(self) -> int:
        return len(self._written)

    def find(self, one: str) -> int | None:
        return self._place.get(one)

    def written(self, places: Sequence[int]) -> list[bytes]:
        written = self._written
        return [written[place] for place in places]


class ManyIds:
    """One text of all ids, where each begins, and their hashes in order. Processes that fork share all of it."""

    def __init__(self, ids: Sequence[str]) -> None:
        written = [encode_basestring_ascii(one) for one in ids]
        ends = np.cumsum(np.fromiter(map(len, written), np.int64, len(written)))
        self._text = "".join(written).encode()
        self._offsets = np.concatenate([np.zeros(1, np.int64), ends]).data
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        for at in np.flatnonzero(hashes[1:] == hashes[:-1]).tolist():
            first, second = self.written(order[at : at + 2].tolist())
            refuse_unless(first != second, f"users.json or items.json has {first.decode()} twice")
        self._hashes, self._order = hashes.data, order.data

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def find(self, one: str) -> int | None:
        wanted, written = hash(one), encode_basestring_ascii(one).encode()
        at = bisect_left(self._hashes, wanted)
        while at < len(self._hashes) and self._hashes[at] == wanted:
            place = self._order[at]
            if self.written([place]) == [written]:
                return place
            at += 1
        return None

    def written(self, places: Sequence[int]) -> list[bytes]:
        text, offsets = self._text, self._offsets
        return [text[offsets[place] : offsets[place + 1]] for place in places]


def read_ids(content: Content, name: str) -> Ids:
    """An id map: a JSON list of distinct strings. Raises ArchiveError."""
    found = parse(bytes(content))
    right = isinstance(found, list) and set(map(type, found)) <= {str}
    refuse_unless(right, f"{name} is not a list of strings")
    return FewIds(found) if len(found) <= MANY else ManyIds(found)


def find_all(ids: Ids, names: Sequence[str]) -> list[int]:
    """Where those of the names are that are there, each once."""
    places = (ids.find(one) for one in dict.fromkeys(names))
    return [place for place in places if place is not None]
