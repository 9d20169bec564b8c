"""Baselines that a model has to stand beside, each tuned on the training data alone.

A new one is a function and one line in BASELINES. It yields a scorer for each setting of its grid, so that what the
settings share is computed once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from channels import Train
from implicit_als import als
from interactions import MAX_ITEMS, Interactions
from metrics import accuracy, mean
from model_archive import Scorer
from ranking import Holdout, Protocol, Truths, group, measure

Settings = Mapping[str, float]
Fit = Callable[[Interactions, Sequence[Settings]], Iterator[Scorer]]
HELD_BACK = 0.1  # of each user's training items, the last ones by time
TUNING_USERS = 1000


@dataclass(frozen=True)
class Baseline:
    """A way to fit, the settings to choose from, and whether it holds items x items numbers."""

    fit: Fit
    grid: Sequence[Settings]
    square: bool = False


@dataclass(frozen=True)
class Fitted:
    """A baseline at its best setting, and what that was worth on the data held back for choosing it."""

    score: Scorer
    settings: Settings
    validation: float | None


def popularity(train: Interactions, grid: Sequence[Settings]) -> Iterator[Scorer]:
    """The baseline everyone gets for free: how many users took an item, whoever asks."""
    counts = train.popularity.astype(np.float32)
    for _ in grid:
        yield lambda users: np.tile(counts, (len(users), 1))


def item_knn(train: Interactions, grid: Sequence[Settings]) -> Iterator[Scorer]:
    """Items most similar to those a user took, by shrunk cosine (Sarwar et al. 2001; Koren 2008)."""
    for settings in grid:
        shrunk = train.cosine * (train.together / (np.maximum(train.together, 1) + settings["shrink"]))
        np.fill_diagonal(shrunk, 0.0)
        count = min(int(settings["neighbours"]), train.items)
        least = np.partition(shrunk, train.items - count, axis=0)[train.items - count]
        yield by_items(train, np.where(shrunk >= least, shrunk, 0.0))


def ease(train: Interactions, grid: Sequence[Settings]) -> Iterator[Scorer]:
    """EASE (Steck 2019): B = I - P diag(1 / diag P) with P = (X'X + l2 I)^-1, scores X B."""
    for settings in grid:
        inverse = np.linalg.inv(train.together.astype(np.float64) + settings["l2"] * np.eye(train.items))
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0.0)
        yield by_items(train, weights)


def by_items(train: Interactions, weights: np.ndarray) -> Scorer:
    """Scores that are sums over the items a user took."""
    compact = weights.astype(np.float32)
    return lambda users: train.dense(users) @ compact


BASELINES: Mapping[str, Baseline] = {
    "popularity": Baseline(popularity, ({},)),
    "item_knn": Baseline(
        item_knn,
        tuple({"neighbours": count, "shrink": shrink} for count, shrink in ((50, 20), (200, 0), (200, 20))),
        square=True,
    ),
    "als": Baseline(
        als,
        tuple({"factors": 64, "alpha": alpha, "reg": reg} for alpha, reg in ((1, 40), (4, 40), (10, 100))),
    ),
    "ease": Baseline(ease, tuple({"l2": l2} for l2 in (100, 300, 1000)), square=True),
}


def tune(data: Train, metric: str, seed: int) -> tuple[dict[str, Fitted], dict[str, str]]:
    """Every baseline fitted at the setting that is best by the metric; and why others were skipped.

    The settings are chosen on each user's last items, held back from what they are fitted on, and the best one is
    fitted again on everything. The holdout is not asked.
    """
    train = data.matrix
    kept, held = hold_back(data)
    part = Interactions.of(data.user[kept], data.item[kept], train.users, train.items)
    protocol = Protocol((int(metric.partition("@")[2]),), 0, seed)
    found, skipped = {}, {}
    for name, baseline in BASELINES.items():
        if baseline.square and not train.square:
            skipped[name] = f"{train.items:,} items; it is for at most {MAX_ITEMS:,}"
            continue
        settings, validation = choose(baseline, part, held, protocol, metric)
        found[name] = Fitted(next(baseline.fit(train, [settings])), settings, validation)
    return found, skipped


def hold_back(data: Train) -> tuple[Truths, Holdout]:
    """Which training pairs to fit on, and the others as a holdout of at most TUNING_USERS users."""
    order = np.lexsort((data.item, data.time, data.user))
    user = data.user[order]
    counts = np.bincount(user, minlength=len(data.users))
    place = np.arange(len(user)) - (np.cumsum(counts) - counts)[user]
    last = counts[user] - place <= np.maximum(1, np.round(HELD_BACK * counts[user]))
    kept = np.empty(len(user), dtype=np.bool_)
    kept[order] = ~(last & (counts[user] > 1))
    asked = np.unique(data.user[~kept])
    asked = asked[np.linspace(0, len(asked) - 1, min(len(asked), TUNING_USERS)).astype(np.int64)]
    taken, seen = (group(data.user[some], data.item[some], asked) for some in (~kept, kept))
    return kept, Holdout(asked, taken, seen, len(data.items))


def choose(
    baseline: Baseline, train: Interactions, held: Holdout, protocol: Protocol, metric: str
) -> tuple[Settings, float | None]:
    """The setting with the best metric on what is held back, the first among equals; None where there is no choice."""
    if len(baseline.grid) == 1 or not len(held.users):
        return baseline.grid[0], None
    values = [
        mean(accuracy(measure({"": score}, held, protocol)[""], held, protocol))[metric]
        for score in baseline.fit(train, baseline.grid)
    ]
    best = int(np.argmax(values))
    return baseline.grid[best], values[best]
