"""Users' and items' ids: where each is, and how it is written in an answer."""

from bisect import bisect_left
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii

import numpy as np
import numpy.typing as npt

from .json_text import parse
from .members import Content, refuse_unless

MANY = 200_000  # ids; a dict of a million takes 190 MB in every process, the sorted hashes 16 and two microseconds more

Places = npt.NDArray[np.int64]


class Ids:
    """Distinct ids in order. `text` holds them one after the other as JSON strings, so an answer is cut from it."""

    def __init__(self, ids: Sequence[str]) -> None:
        written = [encode_basestring_ascii(one) for one in ids]
        ends = np.cumsum(np.fromiter(map(len, written), np.int64, len(written)))
        self.offsets = np.concatenate([np.zeros(1, np.int64), ends])
        self.text = "".join(written).encode()
        self._place: dict[str, int] | None = None
        if len(ids) <= MANY:
            self._place = {one: place for place, one in enumerate(ids)}
            refuse_unless(len(self._place) == len(ids), "users.json or items.json has an id twice")
        else:
            hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
            order = np.argsort(hashes, kind="stable")
            self._refuse_twins(hashes[order], order)
            self._hashes, self._order = hashes[order].data, order.data

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def find(self, one: str) -> int | None:
        """Where an id is; None if it is not there."""
        if self._place is not None:
            return self._place.get(one)
        wanted, written = hash(one), encode_basestring_ascii(one).encode()
        at = bisect_left(self._hashes, wanted)
        while at < len(self._hashes) and self._hashes[at] == wanted:
            place = self._order[at]
            if self.text[self.offsets[place] : self.offsets[place + 1]] == written:
                return place
            at += 1
        return None

    def found(self, several: Sequence[str]) -> list[int]:
        """Where those of the ids are that are there, each once, in the order given."""
        places = (self.find(one) for one in dict.fromkeys(several))
        return [place for place in places if place is not None]

    def written(self, places: Sequence[int]) -> list[bytes]:
        """The ids at some places, as JSON."""
        at = np.asarray(places, dtype=np.int64)
        starts, ends, text = self.offsets[at].tolist(), self.offsets[at + 1].tolist(), self.text
        return [text[start:end] for start, end in zip(starts, ends, strict=True)]

    def _refuse_twins(self, hashes: Places, order: Places) -> None:
        """Ids of equal hashes must differ."""
        for at in np.flatnonzero(hashes[1:] == hashes[:-1]).tolist():
            first, second = self.written(order[at : at + 2].tolist())
            refuse_unless(first != second, f"users.json or items.json has {first.decode()} twice")


def read_ids(content: Content, name: str) -> Ids:
    """An id map: a JSON list of distinct strings. Raises ArchiveError."""
    found = parse(bytes(content))
    right = isinstance(found, list) and all(isinstance(one, str) for one in found)
    refuse_unless(right, f"{name} is not a list of strings")
    return Ids(found)
