"""How a model learned, for the manifest of its archive: metric -> [[epoch, value], ...]; epoch 0 is before the first.

An archive is the same bytes for the same model, so a curve holds what was computed and nothing of when or where.
"""

import math
from collections.abc import Mapping

import numpy as np

Points = list[tuple[int, float]]
MOST = 200  # points of a curve: more cannot be told apart in a picture, and a manifest stays small
DIGITS = 4  # that count: what a sum has beyond them may differ with the number of threads


class Curves(dict[str, Points]):
    """Points by the name of what was measured."""

    def note(self, name: str, number: int, value: float | None) -> None:
        """Add a point; what is no finite number is left out."""
        if value is not None and math.isfinite(value):
            self.setdefault(name, []).append((number, float(value)))


def shown(curves: Mapping[str, Points]) -> dict[str, Points]:
    """What a manifest says: at most MOST points of each, the first and the last among them; one point is no curve."""
    return {name: [rounded(points[place]) for place in kept(len(points))]
            for name, points in curves.items() if len(points) > 1}  # fmt: skip


def kept(count: int) -> list[int]:
    """Places evenly from the first to the last."""
    return [int(place) for place in np.linspace(0, count - 1, min(count, MOST)).round()]


def rounded(point: tuple[int, float]) -> tuple[int, float]:
    """A point whose value has DIGITS digits that count."""
    return point[0], float(f"{point[1]:.{DIGITS}g}")
