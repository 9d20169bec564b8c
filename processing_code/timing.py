"""How long scoring takes for one user at a time, here: in the evaluation's container, with no endpoint before it.

No two runs have these numbers in common, so they are shown and nothing is decided by them.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np
from model_archive import Scorer
from ranking import Holdout, best

WARM, TIMED = 20, 200  # users that are asked, before and while it is timed
LONGEST = 2.0  # seconds after which a slow machine stops, with what it has
PERCENTILES = (50, 95, 99)
Milliseconds = Mapping[str, Sequence[float]]  # by model, in the order in which they were asked


def one_by_one(scorers: Mapping[str, Scorer], holdout: Holdout, depth: int) -> Milliseconds:
    """Milliseconds that each takes for a user's best `depth` items: scored, what was seen left out, sorted.

    The users come in turn, and each is asked of all models, so that all meet the same weather.
    """
    found: dict[str, list[float]] = {name: [] for name in scorers}
    end = perf_counter() + LONGEST
    for number in range(WARM + TIMED):
        place = number % len(holdout.users)
        user, seen = holdout.users[place : place + 1], holdout.seen.between(place, place + 1).item
        for name, score in scorers.items():
            begun = perf_counter()
            scores = score(user)
            scores[0, seen] = -np.inf
            best(scores, depth)
            if number >= WARM:
                found[name].append(1000 * (perf_counter() - begun))
        if perf_counter() > end:
            break
    return found


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99 by rank, and the slowest one; nothing of nothing."""
    if not milliseconds:
        return {}
    values = np.percentile(milliseconds, PERCENTILES, method="inverted_cdf")
    named = {f"p{part}": float(value) for part, value in zip(PERCENTILES, values, strict=True)}
    return {"users": len(milliseconds), **named, "slowest": max(milliseconds)}
