"""Answers from one archive: from its table of precomputed ones where that is enough, else from the score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .archive import Archive
from .filters import EVERYTHING_UNSEEN, Filter
from .ids import find_all
from .json_text import parse
from .ordering import best
from .top_items import Table

Strategy = Literal["personalized", "popular", "blended", "related"]
Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
TOLERANCE = 1e-4
LONG = 200  # items excluded by name, beyond which an answer is not given in the event loop
MODEL, POPULAR, BOTH = range(3)  # reasons


@dataclass(frozen=True)
class Ranked:
    """Item positions with their scores, best first, and how they were found. `reasons`: of each, if they differ."""

    items: list[int]
    scores: list[float]
    strategy: Strategy
    reasons: list[int] | None = None


class Recommender:
    """A loaded model. Its methods may run in several threads: nothing in it changes."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.catalogue = catalogue = archive.catalogue
        self._popular = Table(catalogue.popular[None, :], catalogue.popularity[catalogue.popular][None, :])

    def recommend(self, user_id: str, count: int, chosen: Filter = EVERYTHING_UNSEEN) -> Ranked:
        """The `count` best items for a user; for one the model does not know, the most popular ones."""
        return self.ready(user_id, count, chosen) or self.live(user_id, count, chosen)

    def ready(self, user_id: str, count: int, chosen: Filter = EVERYTHING_UNSEEN) -> Ranked | None:
        """The same from what was computed before; None if that is not enough."""
        if chosen.include is not None or len(chosen.exclude) > LONG:
            return None
        user = self.archive.users.find(user_id)
        if user is None:
            return self._cut(self._popular, 0, count, chosen, "popular")
        table = self.archive.table
        if table is None or not chosen.exclude_seen or self._blends(user):
            return None
        return self._cut(table, user, count, chosen, "personalized")

    def live(self, user_id: str, count: int, chosen: Filter = EVERYTHING_UNSEEN) -> Ranked:
        """The same from the score."""
        user = self.archive.users.find(user_id)
        if user is None:
            values = self._allowed(self._share(chosen), None, chosen)
            order = best(values, count)
            return self._ranked(order, values[order], chosen, "popular")
        if self._blends(user):
            return self._blended(user, count, chosen)
        values = self._allowed(self._values(user, chosen), user, chosen)
        order = best(values, count)
        return self._ranked(order, self.archive.score.shown(values[order]), chosen, "personalized")

    def rank(self, user_id: str, item_ids: Sequence[str]) -> Ranked:
        """Known items of a list, best first, seen ones too: the caller chose them."""
        return self.live(user_id, len(item_ids), Filter(
            exclude_seen=False, include=np.array(sorted(find_all(self.catalogue.ids, item_ids)), dtype=np.int64),
            available_only=False))  # fmt: skip

    def related(self, item: int, count: int) -> Ranked:
        """Items whose vectors point the same way as this item's, itself left out."""
        factors = self.archive.item_factors
        values = np.asarray(factors @ factors[item])
        values[item] = -np.inf
        order = best(values, count)
        return Ranked(order.tolist(), values[order].tolist(), "related")

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        """Scores of (user, item) pairs in their order; None where the model does not know the user or the item."""
        find_user, find_item = self.archive.users.find, self.catalogue.ids.find
        places = [(find_user(user), find_item(item)) for user, item in pairs]
        known = [at for at, (user, item) in enumerate(places) if user is not None and item is not None]
        users, items = (np.array([places[at][side] for at in known], dtype=np.int64) for side in (0, 1))
        score = self.archive.score
        values = score.shown(score.pairs(users, items))
        found: list[float | None] = [None] * len(pairs)
        for at, value in zip(known, values.tolist(), strict=True):
            found[at] = value if isfinite(value) else None
        return found

    def golden_failure(self) -> str | None:
        """Ask the archive's own golden requests; what is wrong with the first answer that differs, or None.

        The table and the score are both asked: each of them must give what training wrote.
        """
        with np.errstate(all="ignore"):  # of numbers that are no model's, so the answers will say it
            wrong = next((line for line in self.archive.golden if not self._answers(line)), None)
        if wrong is not None:
            user = wrong["request"]["userId"]
            return f"golden request of {user!r} is answered differently from what training wrote"
        self.archive.settle()
        return None

    def _answers(self, line: Mapping[str, Any]) -> bool:
        """Whether a golden request is answered as its line says, by the score and by what was computed before."""
        user, count = line["request"]["userId"], line["request"]["numResults"]
        answers = [one for one in (self.live(user, count), self.ready(user, count)) if one is not None]
        return all(agrees(line["itemIds"], line["scores"], self.names(one), one.scores) for one in answers)

    def names(self, ranked: Ranked) -> list[str]:
        """The ids of the items of an answer."""
        return [str(parse(written)) for written in self.catalogue.ids.written(ranked.items)]

    def _cut(self, table: Table, row: int, count: int, chosen: Filter, how: Strategy) -> Ranked | None:
        """The first `count` items of a row that the filter lets in; None if they are too few and there may be more."""
        width = table.items.shape[1]
        mask = chosen.mask(self.catalogue, table.items[row])
        stop = min(count + len(chosen.exclude), width) if mask is None else width
        items, scores = table.items[row, :stop], table.scores[row, :stop]
        if mask is not None:
            inside = mask & (items >= 0)
            items, scores = items[inside], scores[inside]
        found, values = items.tolist(), scores.tolist()
        if found and found[-1] < 0:
            found = found[: found.index(-1)]
        if chosen.exclude:
            gone = set(chosen.exclude)
            keep = [place for place, item in enumerate(found) if item not in gone]
            found, values = [found[place] for place in keep], [values[place] for place in keep]
        if len(found) < count and not self._ends(table, row):
            return None
        return Ranked(found[:count], values[: len(found[:count])], how)

    def _ends(self, table: Table, row: int) -> bool:
        """Whether a row holds all that there is."""
        return bool(table.items[row, -1] < 0) or table.items.shape[1] == len(self.catalogue.ids)

    def _blends(self, user: int) -> bool:
        offsets, below = self.archive.seen_offsets, self.archive.blend_below
        return below > 0 and int(offsets[user + 1] - offsets[user]) < below

    def _blended(self, user: int, count: int, chosen: Filter) -> Ranked:
        """w * score + (1 - w) * popularity, w = the user's interactions / blend_below.

        The reason is each of the two lists, of the same length and filter, that would hold the item; both if neither.
        """
        weight = np.float32(len(self.archive.seen(user)) / self.archive.blend_below)
        share, model = self._share(chosen), self.archive.score.shown(self._values(user, chosen))
        parts = [self._allowed(part, user, chosen) for part in (weight * model + (1 - weight) * share, model, share)]
        order = best(parts[0], count)
        least_model, least_share = (part[best(part, count)[-1:]] for part in parts[1:])
        by_model, by_share = (parts[1][order] >= least_model).tolist(), (parts[2][order] >= least_share).tolist()
        reasons = [BOTH if one == other else MODEL if one else POPULAR
                   for one, other in zip(by_model, by_share, strict=True)]  # fmt: skip
        return replace(self._ranked(order, parts[0][order], chosen, "blended"), reasons=reasons)

    def _values(self, user: int, chosen: Filter) -> Floats:
        """What orders the items that may be answered."""
        if chosen.include is None:
            return self.archive.score.row(user)
        return self.archive.score.pairs(np.full(len(chosen.include), user), chosen.include)

    def _share(self, chosen: Filter) -> Floats:
        popularity = self.catalogue.popularity
        return popularity.copy() if chosen.include is None else popularity[chosen.include]

    def _allowed(self, values: Floats, user: int | None, chosen: Filter) -> Floats:
        """The values, minus infinity for what the filter keeps out."""
        mask = chosen.mask(self.catalogue, slice(None) if chosen.include is None else chosen.include)
        if mask is not None:
            values[~mask] = -np.inf
        gone = np.zeros(len(self.catalogue.ids), dtype=np.bool_)
        gone[list(chosen.exclude)] = True
        if user is not None and chosen.exclude_seen:
            gone[self.archive.seen(user)] = True
        values[gone if chosen.include is None else gone[chosen.include]] = -np.inf
        return values

    def _ranked(self, order: Places, scores: Floats, chosen: Filter, how: Strategy) -> Ranked:
        items = order if chosen.include is None else chosen.include[order]
        return Ranked(items.tolist(), scores.tolist(), how)


def agrees(item_ids: Sequence[str], scores: Sequence[float], found: Sequence[str], values: Sequence[float]) -> bool:
    """Same ids in the same order but for ties within the tolerance, and the same scores within it."""
    if len(item_ids) != len(found):
        return False
    if any(abs(said - value) > TOLERANCE for said, value in zip(scores, values, strict=True)):
        return False
    said = dict(zip(item_ids, scores, strict=True))
    # an item at another place, or at the end in place of another, must tie with what was said of that place
    return all(abs(said.get(item, scores[-1]) - value) <= TOLERANCE for item, value in zip(found, values, strict=True))
