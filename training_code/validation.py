"""The split that training judges itself by, and the metrics on it; the test set plays no part in training."""

from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
from curves import Curves
from dataset import Dataset, Floats, Integers
from run import Run
from sampling import Negatives
from settings import Settings

Score = Callable[[Integers], Floats]  # users [n] -> scores of all items [n, items]
MAX_USERS = 1000
USERS_AT_ONCE = 64
LEAST_HISTORY = 2  # interactions left of a user who is asked, so that none loses all that is known of it
DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class Validation:
    """Asked users [n] in ascending order, what was held back of each, and items that each never took [n, negatives]."""

    user: Integers
    items: list[Integers]
    negatives: Integers


@dataclass(frozen=True)
class Split:
    """What is left to learn from, and what was held back of it."""

    train: Dataset
    validation: Validation


@dataclass(frozen=True)
class Quality:
    """Means over users of hit rate and NDCG at top_k: among all items not seen before, and among sampled negatives.

    As the evaluation measures: a hit is any held back item over the full catalogue, and each by itself among samples.
    """

    hr: float
    ndcg: float
    sampled_hr: float
    sampled_ndcg: float


def split(data: Dataset, settings: Settings, limit: int = MAX_USERS) -> Split:
    """Hold back what up to `limit` users took last: in the last validation_days or, if that is 0, one interaction."""
    last = np.append(data.user[1:] != data.user[:-1], True)
    if settings.validation_days:
        last = data.time > data.time.max() - settings.validation_days * DAY
    return hold_back(data, last, settings, limit)


def hold_back(data: Dataset, held: npt.NDArray[np.bool_], settings: Settings, limit: int | None = None) -> Split:
    """Hold back the marked interactions of those users (at most `limit` drawn ones) who keep enough to learn from."""
    left = np.bincount(data.user[~held], minlength=len(data.users))
    generator = np.random.default_rng(settings.seed)
    able = np.intersect1d(data.user[held], np.flatnonzero(left >= LEAST_HISTORY))
    asked = np.sort(generator.permutation(able)[:limit])
    held = held & np.isin(data.user, asked)
    items = np.split(data.item[held], np.searchsorted(data.user[held], asked[1:]))
    negatives = Negatives(data)(asked, data.item[: len(asked)], settings.test_num_ng, generator)
    return Split(data.where(~held), Validation(asked, items, negatives))


def nothing_held(data: Dataset) -> Split:
    """All data to learn from, and nobody to ask."""
    none = np.zeros(0, dtype=np.int64)
    return Split(data, Validation(none, [], none[:, None]))


def measure(score: Score, parts: Split, top_k: int) -> Quality:
    """The model's quality on what was held back; ties count against it. Without anyone to ask it is zero."""
    asked, train = parts.validation, parts.train
    if not len(asked.user):
        return Quality(0.0, 0.0, 0.0, 0.0)
    offsets = train.offsets()
    rows: list[tuple[float, ...]] = []
    for start in range(0, len(asked.user), USERS_AT_ONCE):
        users = asked.user[start : start + USERS_AT_ONCE]
        for place, (user, row) in enumerate(zip(users, score(users), strict=True), start=start):
            items, others = asked.items[place], row.copy()
            others[train.item[offsets[user] : offsets[user + 1]]] = -np.inf
            others[items] = -np.inf
            wanted = np.sort(row[items])[::-1]
            full = above(others, wanted) + np.arange(len(items))
            rows.append((*at(full, top_k), *at(above(row[asked.negatives[place]], wanted), top_k, single=True)))
    return Quality(*np.mean(rows, axis=0).tolist())


def above(others: Floats, wanted: Floats) -> Integers:
    """For each wanted score, how many others it does not beat: ties, and scores that are no numbers, count."""
    return np.asarray((~(others[:, None] < wanted)).sum(axis=0), dtype=np.int64)


def at(rank: Integers, top_k: int, single: bool = False) -> tuple[float, float]:
    """Hit rate and NDCG at top_k of one user's items at these ranks (from 0); of each by itself if `single`."""
    hit = rank < top_k
    gain = hit / np.log2(rank + 2.0)
    if single:
        return float(hit.mean()), float(gain.mean())
    ideal = (1 / np.log2(np.arange(min(top_k, len(rank))) + 2.0)).sum()
    return float(hit.any()), float(gain.sum() / ideal)


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to. The loss is None before the first one, and for models that have no epochs."""

    number: int
    quality: Quality
    loss: float | None


Report = Callable[[Epoch], None]


class Watch:
    """Judges each epoch on the split, remembers how it went and which was best, and says when to stop."""

    def __init__(self, parts: Split, settings: Settings, report: Report, run: Run | None = None) -> None:
        self.parts, self.settings, self.report, self.run = parts, settings, report, run or Run()
        self.best: Epoch | None = None
        self.curves = Curves()
        self.ended = False

    def __call__(self, number: int, score: Score, loss: float | None = None) -> bool:
        """Judge an epoch and report it; whether it is the best so far. With nobody to ask, the last one is."""
        quality = self.run.judgement(lambda: astuple(measure(score, self.parts, self.settings.top_k)))
        epoch = Epoch(number, Quality(*quality), loss)
        self.report(epoch)
        self._note(epoch)
        best = self.best
        if best is None or epoch.quality.ndcg > best.quality.ndcg * (1 + self.settings.min_gain):
            self.best = epoch
        if not len(self.parts.validation.user):
            self.best = epoch
        self.ended = 0 < self.settings.patience <= number - self.judged().number
        return self.best is epoch

    def _note(self, epoch: Epoch) -> None:
        self.curves.note("loss", epoch.number, epoch.loss)
        if len(self.parts.validation.user):
            self.curves.note(f"validation ndcg@{self.settings.top_k}", epoch.number, epoch.quality.ndcg)
            self.curves.note(f"validation hr@{self.settings.top_k}", epoch.number, epoch.quality.hr)

    def judged(self) -> Epoch:
        """The best epoch, once there is one."""
        if self.best is None:
            raise RuntimeError("nothing was judged yet")
        return self.best
