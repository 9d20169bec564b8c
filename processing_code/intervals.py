"""Bootstrap intervals: users are drawn again and again, so the interval says what other users would have given."""

from dataclasses import dataclass

import numpy as np
from ranking import PerUser

DRAWS = 1000
CELLS_AT_ONCE = 4_000_000  # draws times users held in memory


@dataclass(frozen=True)
class Interval:
    """A mean over users with its bootstrap interval and standard error."""

    value: float
    low: float
    high: float
    standard_deviation: float


def bootstrap(metrics: PerUser, level: float, seed: int) -> dict[str, Interval]:
    """Percentile intervals (Efron) at this level for each metric; the same users are drawn for all of them."""
    values = np.stack(list(metrics.values()), axis=1)  # [users, metrics]
    users = len(values)
    generator = np.random.default_rng(seed)
    step = max(1, CELLS_AT_ONCE // users)
    means = np.concatenate([draw(values, min(step, DRAWS - done), generator) for done in range(0, DRAWS, step)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    error = means.std(axis=0, ddof=1)
    centre = values.mean(axis=0)
    found = zip(metrics, centre, low, high, error, strict=True)
    return {name: Interval(*(float(number) for number in numbers)) for name, *numbers in found}


def draw(values: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Means [count, metrics] of `count` samples of users, each as large as the holdout, with replacement."""
    users = len(values)
    drawn = generator.integers(users, size=(count, users))
    offset = np.arange(count)[:, None] * users
    times = np.bincount((drawn + offset).ravel(), minlength=count * users).reshape(count, users)
    return np.asarray(times @ values / users)
