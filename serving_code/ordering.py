"""The best of many scores, without sorting the rest."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def best(scores: Floats, count: int) -> npt.NDArray[np.int64]:
    """Positions of the `count` highest finite scores, highest first; among equals the first position is first."""
    ties = np.empty(0, dtype=np.int64)
    if count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        chosen = np.flatnonzero(scores > least)
        ties = np.flatnonzero(scores == least)[: count - len(chosen)]
    else:
        chosen = np.arange(len(scores))
    order = np.concatenate([chosen[np.argsort(-scores[chosen], kind="stable")], ties])
    found: npt.NDArray[np.int64] = order[np.isfinite(scores[order])]
    return found
