"""The split that training judges itself by, and the metrics on it; the test set plays no part in training."""

from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
from dataset import Dataset, Floats, Integers
from run import Run
from sampling import Negatives
from settings import Settings

Score = Callable[[Integers], Floats]  # users [n] -> scores of all items [n, items]
MAX_USERS = 1000
USERS_AT_ONCE = 128
LEAST_HISTORY = 3  # interactions of a user who is asked, so that none loses all that is known of it


@dataclass(frozen=True)
class Validation:
    """For each asked user: the item held back, and items it never took [n, negatives]."""

    user: Integers
    item: Integers
    negatives: Integers


@dataclass(frozen=True)
class Split:
    """What is left to learn from, and what was held back of it."""

    train: Dataset
    validation: Validation


@dataclass(frozen=True)
class Quality:
    """Hit rate and NDCG at top_k: over the full catalogue without what a user has seen, and among sampled negatives."""

    hr: float
    ndcg: float
    sampled_hr: float
    sampled_ndcg: float


def split(data: Dataset, negatives: int, generator: np.random.Generator, limit: int = MAX_USERS) -> Split:
    """Hold back the last interaction of up to `limit` users."""
    last = np.flatnonzero(np.append(data.user[1:] != data.user[:-1], True))
    able = last[np.bincount(data.user, minlength=len(data.users))[data.user[last]] >= LEAST_HISTORY]
    chosen = np.sort(generator.permutation(able)[:limit])
    return held_back(data, chosen, negatives, generator)


def held_back(data: Dataset, chosen: Integers, negatives: int, generator: np.random.Generator) -> Split:
    """The split that holds back the chosen interactions (positions)."""
    left = np.ones(len(data.user), dtype=np.bool_)
    left[chosen] = False
    user, item = data.user[chosen], data.item[chosen]
    drawn = Negatives(data)(user, item, negatives, generator)
    return Split(data.where(left), Validation(user, item, drawn))


def measure(score: Score, parts: Split, top_k: int) -> Quality:
    """The model's quality on what was held back; ties count against it. Without anyone to ask it is zero."""
    asked, train = parts.validation, parts.train
    if not len(asked.user):
        return Quality(0.0, 0.0, 0.0, 0.0)
    offsets = train.offsets()
    full, sampled = (np.zeros(len(asked.user), dtype=np.int64) for _ in range(2))
    for start in range(0, len(asked.user), USERS_AT_ONCE):
        rows = slice(start, start + USERS_AT_ONCE)
        users = asked.user[rows]
        scores = score(users)
        place = np.arange(len(users))
        wanted = scores[place, asked.item[rows]][:, None]
        sampled[rows] = (~(scores[place[:, None], asked.negatives[rows]] < wanted)).sum(axis=1)  # so NaN hits nothing
        for row, user in zip(scores, users, strict=True):
            row[train.item[offsets[user] : offsets[user + 1]]] = -np.inf
        full[rows] = (~(scores < wanted)).sum(axis=1) - 1
    return Quality(*at(full, top_k), *at(sampled, top_k))


def at(rank: Integers, top_k: int) -> tuple[float, float]:
    """Hit rate and NDCG at top_k of single items at these ranks (from 0)."""
    hit = rank < top_k
    return float(hit.mean()), float((hit / np.log2(rank + 2.0)).mean())


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to. The loss is None before the first one, and for models that have no epochs."""

    number: int
    quality: Quality
    loss: float | None


Report = Callable[[Epoch], None]


class Watch:
    """Judges each epoch on the split, remembers the best one, and says when it is time to stop."""

    def __init__(self, parts: Split, settings: Settings, report: Report, run: Run | None = None) -> None:
        self.parts, self.settings, self.report, self.run = parts, settings, report, run or Run()
        self.best: Epoch | None = None
        self.ended = False

    def __call__(self, number: int, score: Score, loss: float | None = None) -> bool:
        """Judge an epoch and report it; whether it is the best so far. With nobody to ask, the last one is."""
        quality = self.run.judgement(lambda: astuple(measure(score, self.parts, self.settings.top_k)))
        epoch = Epoch(number, Quality(*quality), loss)
        self.report(epoch)
        if self.best is None or not len(self.parts.validation.user) or epoch.quality.ndcg > self.best.quality.ndcg:
            self.best = epoch
        self.ended = 0 < self.settings.patience <= number - self.best.number
        return self.best is epoch

    def quiet(self) -> "Watch":
        """Another one on the same split that reports nothing: for what a model is made of."""
        return Watch(self.parts, self.settings, lambda epoch: None, self.run)
