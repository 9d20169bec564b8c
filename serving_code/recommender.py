"""Answers from one archive: scores by score.onnx, the k best without sorting the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .archive import Archive

Strategy = Literal["personalized", "popular"]
Floats = npt.NDArray[np.float32]
SCORES_AT_ONCE = 2**17  # users times items in one call: keeps the graph's middle layers near 64 MiB
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Ranked:
    """Item ids with their scores, best first, and how they were found."""

    item_ids: list[str]
    scores: list[float]
    strategy: Strategy


class Recommender:
    """A loaded model. Its methods may run in several threads: nothing in it changes."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._user_at = {name: position for position, name in enumerate(archive.users)}
        self._item_at = {name: position for position, name in enumerate(archive.items)}
        # an unknown user's score for an item: the share of known users who took it
        self._popular = (archive.popularity / max(1, len(archive.users))).astype(np.float32)

    def knows_item(self, item_id: str) -> bool:
        """Whether the model can score the item."""
        return item_id in self._item_at

    def recommend(self, user_id: str, count: int, exclude_seen: bool, exclude: Iterable[str]) -> Ranked:
        """The `count` best items for a user; for one the model does not know, the most popular ones."""
        user = self._user_at.get(user_id)
        scores = self._row(user)
        if user is not None and exclude_seen:
            scores[self._seen(user)] = -np.inf
        scores[[self._item_at[item] for item in exclude if item in self._item_at]] = -np.inf
        return self._ranked(best(scores, count), scores, strategy(user))

    def rank(self, user_id: str, item_ids: Sequence[str]) -> Ranked:
        """Known items of a list, best first, seen ones too: the caller chose them."""
        user = self._user_at.get(user_id)
        scores = self._row(user)
        known = np.array(sorted({self._item_at[item] for item in item_ids if item in self._item_at}), dtype=np.int64)
        order = known[np.argsort(-scores[known], kind="stable")]
        return self._ranked(order, scores, strategy(user))

    def related(self, item_id: str, count: int) -> Ranked:
        """Items whose vectors point the same way as this item's, itself left out."""
        item = self._item_at[item_id]
        scores = (self.archive.item_factors @ self.archive.item_factors[item]).astype(np.float32)
        scores[item] = -np.inf
        return self._ranked(best(scores, count), scores, "personalized")

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Scores of (user, item) pairs in their order; None where the model does not know the user or the item."""
        places = [(self._user_at.get(user), self._item_at.get(item)) for user, item in pairs]
        known = sorted({user for user, item in places if user is not None and item is not None})
        wanted: dict[int, list[int]] = {user: [] for user in known}
        for index, (user, item) in enumerate(places):
            if user is not None and item is not None:
                wanted[user].append(index)
        found: list[float | None] = [None] * len(pairs)
        step = max(1, SCORES_AT_ONCE // len(self.archive.items))
        for start in range(0, len(known), step):
            users = known[start : start + step]
            for user, row in zip(users, self._scores(users), strict=True):
                for index in wanted[user]:
                    found[index] = float(row[places[index][1]])
        return found

    def golden_failure(self) -> str | None:
        """Ask the archive's own golden requests; what is wrong with the first answer that differs, or None."""
        for line in self.archive.golden:
            request = line["request"]
            answer = self.recommend(request["userId"], request["numResults"], exclude_seen=True, exclude=())
            if not agrees(line["itemIds"], line["scores"], answer):
                return f"golden request of {request['userId']!r} is answered differently from what training wrote"
        return None

    def _row(self, user: int | None) -> Floats:
        return self._popular.copy() if user is None else self._scores([user])[0]

    def _scores(self, users: Sequence[int]) -> Floats:
        found: Any = self.archive.session.run(None, {"user": np.array(users, dtype=np.int64)})[0]
        return np.array(found, dtype=np.float32)

    def _seen(self, user: int) -> npt.NDArray[Any]:
        offsets = self.archive.seen_offsets
        return np.asarray(self.archive.seen_items[offsets[user] : offsets[user + 1]])

    def _ranked(self, order: npt.NDArray[np.int64], scores: Floats, how: Strategy) -> Ranked:
        return Ranked([self.archive.items[item] for item in order], [float(scores[item]) for item in order], how)


def strategy(user: int | None) -> Strategy:
    """How a user is answered."""
    return "popular" if user is None else "personalized"


def best(scores: Floats, count: int) -> npt.NDArray[np.int64]:
    """Positions of the `count` highest finite scores, highest first; among equals the first position is first."""
    if count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        candidates = np.flatnonzero(scores >= least)
    else:
        candidates = np.arange(len(scores))
    order = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return order[np.isfinite(scores[order])]


def agrees(item_ids: Sequence[str], scores: Sequence[float], answer: Ranked) -> bool:
    """Same ids in the same order but for ties within the tolerance, and the same scores within it."""
    if len(item_ids) != len(answer.item_ids):
        return False
    if any(abs(said - found) > TOLERANCE for said, found in zip(scores, answer.scores, strict=True)):
        return False
    said = dict(zip(item_ids, scores, strict=True))
    # an item at another place, or at the end in place of another, must tie with what was said of that place
    pairs = zip(answer.item_ids, answer.scores, strict=True)
    return all(abs(said.get(item, scores[-1]) - score) <= TOLERANCE for item, score in pairs)
