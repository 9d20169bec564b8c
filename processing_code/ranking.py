"""Where each held-out item is ranked, over the full catalogue and among sampled negatives, and what is recommended.

A user's seen items are out of the competition. Ties count against the held-out item, so a model that gives every
item one score earns nothing. Users are scored in chunks: memory is bounded by users at once times items.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter

import numpy as np
import numpy.typing as npt
from model_archive import Floats, Integers, Scorer

Truths = npt.NDArray[np.bool_]
# Scores this near (relative) are equal: engines and batch sizes round differently, and must not decide a rank.
TIE = 1e-6


@dataclass(frozen=True)
class Pairs:
    """(row, item) in ascending order of row: ragged lists of items, one for each row."""

    row: Integers
    item: Integers

    def between(self, start: int, stop: int) -> "Pairs":
        """The pairs of rows from start to below stop, counted from start."""
        first, last = np.searchsorted(self.row, [start, stop])
        return Pairs(self.row[first:last] - start, self.item[first:last])


@dataclass(frozen=True)
class Holdout:
    """Who is asked: users [u] in ascending order, and for each the items it took (held out) and had seen before."""

    users: Integers
    taken: Pairs
    seen: Pairs
    items: int


@dataclass(frozen=True)
class Protocol:
    """How it is measured: cut-offs, sampled negatives for each user, and the seed they are drawn with.

    How many users are scored at once bounds the memory, and changes no result.
    """

    top_k: tuple[int, ...]
    test_num_ng: int
    seed: int
    users_at_once: int = 256

    @property
    def depth(self) -> int:
        """How long the lists of recommendations are."""
        return max(self.top_k)


@dataclass(frozen=True)
class Ranks:
    """What a model made of the holdout.

    full, sampled [p]: how many items that were not taken, of the catalogue or of the sample, are ranked before each
    held-out one; top [u, depth]: the items recommended, best first, -1 where there is none; broken [u]: the model
    scored something that is not a number, or infinitely well; seconds: what scoring took.
    """

    full: Integers
    sampled: Integers
    top: Integers
    broken: Truths
    seconds: float


def group(user: Integers, item: Integers, asked: Integers) -> Pairs:
    """The pairs of the asked users, by their place among them."""
    known = np.isin(user, asked)
    row, item = np.searchsorted(asked, user[known]), item[known]
    order = np.lexsort((item, row))
    return Pairs(row[order], item[order])


@dataclass(frozen=True)
class Chunk:
    """Some of the holdout's users, with the negatives they share among all models ([n, negatives], -1 for none)."""

    users: Integers
    taken: Pairs
    seen: Pairs
    negatives: Integers


def chunks(holdout: Holdout, protocol: Protocol) -> Iterator[Chunk]:
    """The holdout, a few users at a time."""
    for start in range(0, len(holdout.users), protocol.users_at_once):
        users = holdout.users[start : start + protocol.users_at_once]
        taken, seen = (pairs.between(start, start + len(users)) for pairs in (holdout.taken, holdout.seen))
        others = np.ones((len(users), holdout.items), dtype=np.bool_)
        others[seen.row, seen.item] = False
        others[taken.row, taken.item] = False
        negatives = np.full((len(users), protocol.test_num_ng), -1)
        for row, user in enumerate(users if protocol.test_num_ng else ()):
            generator = np.random.default_rng([protocol.seed, int(user)])
            candidates = np.flatnonzero(others[row])
            count = min(protocol.test_num_ng, len(candidates))
            negatives[row, :count] = generator.choice(candidates, count, replace=False)
        yield Chunk(users, taken, seen, negatives)


def measure(scorers: Mapping[str, Scorer], holdout: Holdout, protocol: Protocol) -> dict[str, Ranks]:
    """Rank the holdout by every model."""
    parts: dict[str, list[Ranks]] = {name: [] for name in scorers}
    for chunk in chunks(holdout, protocol):
        for name, score in scorers.items():
            begun = perf_counter()
            scores = score(chunk.users)
            parts[name].append(rank(scores, chunk, protocol.depth, perf_counter() - begun))
    return {name: join(some) for name, some in parts.items()}


def rank(scores: Floats, chunk: Chunk, depth: int, seconds: float) -> Ranks:
    """A chunk's ranks from its scores [n, items], which are overwritten."""
    taken, seen = chunk.taken, chunk.seen
    broken = np.asarray((np.isnan(scores) | (scores == np.inf)).any(axis=1))
    wanted = scores[taken.row, taken.item]
    enough = (wanted - TIE * np.abs(np.where(np.isfinite(wanted), wanted, 0))).astype(np.float32)
    drawn = np.where(chunk.negatives >= 0, np.take_along_axis(scores, chunk.negatives, axis=1), np.nan)
    sampled = (drawn[taken.row] >= enough[:, None]).sum(axis=1)
    scores[seen.row, seen.item] = -np.inf
    top = best(scores, depth)
    scores[seen.row, seen.item] = np.nan
    scores[taken.row, taken.item] = np.nan
    return Ranks(at_least(scores, taken.row, enough), sampled, top, broken, seconds)


def at_least(scores: Floats, row: Integers, enough: Floats) -> Integers:
    """For each row's thresholds [p], how many of the row's scores are at least as high; NaN is not."""
    ordered = np.sort(scores, axis=1)  # NaN goes to the end
    counts = scores.shape[1] - np.isnan(scores).sum(axis=1)
    found = np.empty(len(row), dtype=np.int64)
    bounds = np.searchsorted(row, np.arange(len(scores) + 1))
    for place, (start, stop) in enumerate(pairwise(bounds)):
        count = counts[place]
        found[start:stop] = count - np.searchsorted(ordered[place, :count], enough[start:stop], "left")
    return found


def best(scores: Floats, depth: int) -> Integers:
    """The best items of each row [n, depth], among equals the first; -1 where no item has a finite score left."""
    count, items = scores.shape
    least = np.partition(scores, max(0, items - depth), axis=1)[:, max(0, items - depth)]
    row, item = np.nonzero((scores >= least[:, None]) & np.isfinite(scores))
    order = np.lexsort((item, -scores[row, item], row))
    row, item = row[order], item[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    found = np.full((count, depth), -1)
    inside = place < depth
    found[row[inside], place[inside]] = item[inside]
    return found


def join(parts: list[Ranks]) -> Ranks:
    """The chunks' ranks as one."""
    return Ranks(
        np.concatenate([part.full for part in parts]),
        np.concatenate([part.sampled for part in parts]),
        np.concatenate([part.top for part in parts]),
        np.concatenate([part.broken for part in parts]),
        sum(part.seconds for part in parts),
    )
