"""Everything that is measured on the holdout: each contestant, the proposed one against the others, and in parts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from channels import Data
from contest import CHAMPION, is_opponent
from gate import Slice
from intervals import Interval, Panel, bootstrap
from metrics import accuracy, difference, within
from model_archive import Scorer
from ranking import Protocol, Ranks, Truths, measure
from recommendations import by_user, of_all
from slices import slices
from turnover import Turnover, turnover

Measured = Mapping[str, Interval]  # metric -> value, with its interval where there is one


@dataclass(frozen=True)
class Assessment:
    """What was measured, by contestant.

    differences: the proposed model minus each baseline and the champion, user by user; slices: of the proposed model;
    turnover: from the champion's lists to the proposed model's, None where there is no champion to compare.
    """

    metrics: Mapping[str, Measured]
    differences: Mapping[str, Measured]
    slices: Mapping[str, Slice]
    milliseconds: Mapping[str, float]  # to score one user, of many at once
    turnover: Turnover | None = None


def assess(
    contestants: Mapping[str, Scorer], proposed: str, data: Data, protocol: Protocol, level: float
) -> Assessment:
    """Rank the holdout by every contestant, and say how sure the numbers are at this level."""
    users = len(data.holdout.users)
    ranks = measure(contestants, data.holdout, protocol)
    exact = {name: accuracy(one, data.holdout, protocol) for name, one in ranks.items()}
    own = {name: Panel(exact[name] | by_user(one, data, protocol.top_k)) for name, one in ranks.items()}
    others = {name: Panel(difference(exact[proposed], exact[name])) for name in ranks if is_opponent(name)}
    parts = {name: part(ranks[proposed], data, protocol, pairs) for name, pairs in slices(data).items()}
    metrics, differences, inside = (bootstrap(some, users, level, protocol.seed) for some in (own, others, parts))
    for name, one in ranks.items():
        together = of_all(one, data.holdout.items, protocol.top_k)
        metrics[name] |= {metric: Interval(value) for metric, value in together.items()}
    return Assessment(
        metrics,
        differences,
        {name: Slice(len(parts[name]), inside.get(name, {})) for name in parts},
        {name: 1000 * one.seconds / users for name, one in ranks.items()},
        turnover(ranks[proposed], ranks[CHAMPION], data) if CHAMPION in ranks else None,
    )


def part(ranks: Ranks, data: Data, protocol: Protocol, pairs: Truths) -> Panel:
    """The proposed model's metrics in a slice."""
    return Panel(within(ranks, data.holdout, protocol, pairs), np.unique(data.holdout.taken.row[pairs]))
