"""Bootstrap intervals: users are drawn again and again, so the interval says what other users would have given."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from metrics import PerUser
from model_archive import Integers

DRAWS = 1000
CELLS_AT_ONCE = 4_000_000  # draws times users held in memory
DIGITS = 10  # after the point: further ones depend on how many threads a sum was done by
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean over users with its bootstrap interval and standard error; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan
    standard_deviation: float = math.nan


@dataclass(frozen=True)
class Panel:
    """Metrics of users: of all, or of those at these places."""

    metrics: PerUser
    places: Integers | None = None

    def __len__(self) -> int:
        return len(next(iter(self.metrics.values())))


def bootstrap(panels: Mapping[str, Panel], users: int, level: float, seed: int) -> dict[str, dict[str, Interval]]:
    """Percentile intervals (Efron) at this level for each metric of each panel; the same users are drawn for all.

    A panel of nobody has no intervals.
    """
    panels = {name: panel for name, panel in panels.items() if len(panel)}
    generator = np.random.default_rng(seed)
    step = max(1, CELLS_AT_ONCE // users)
    values = {name: np.stack(list(panel.metrics.values()), axis=1) for name, panel in panels.items()}
    means: dict[str, list[Reals]] = {name: [] for name in panels}
    for done in range(0, DRAWS, step):
        times = draw(users, min(step, DRAWS - done), generator)
        for name, panel in panels.items():
            means[name].append(resampled(times if panel.places is None else times[:, panel.places], values[name]))
    return {
        name: summary(list(panel.metrics), values[name], np.concatenate(means[name]), level)
        for name, panel in panels.items()
    }


def draw(users: int, count: int, generator: np.random.Generator) -> Reals:
    """How often each user is in each of `count` samples [count, users], as large as the holdout, with replacement."""
    drawn = generator.integers(users, size=(count, users)) + np.arange(count)[:, None] * users
    return np.bincount(drawn.ravel(), minlength=count * users).reshape(count, users).astype(np.float64)


def resampled(times: Reals, values: Reals) -> Reals:
    """Means [draws, metrics] of the values [users, metrics]; NaN for a draw that none of these users is in."""
    with np.errstate(invalid="ignore", divide="ignore"):  # a score that is no number makes its metric's means NaN
        return np.asarray(times @ values / times.sum(axis=1)[:, None])


def summary(names: list[str], values: Reals, means: Reals, level: float) -> dict[str, Interval]:
    """Each metric's mean, quantiles and standard error."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    with np.errstate(invalid="ignore"):
        error, centre = means.std(axis=0, ddof=1), values.mean(axis=0)
    found = zip(names, centre, low, high, error, strict=True)
    return {name: Interval(*(round(float(number), DIGITS) for number in numbers)) for name, *numbers in found}
