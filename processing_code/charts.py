"""Pictures as inline SVG: no script, no font and no address is needed to see them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markup import Markup, empty, join, tag

WIDTH, LABEL, ROW, EDGE = 720, 240, 24, 16
Row = tuple[str, Mapping[str, Any]]  # a label, and {value, low, high}


def finite(value: Any) -> float | None:
    """A number that can be drawn."""
    right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if right else None


def intervals(title: str, rows: Sequence[Row], zero: bool = False) -> Markup:
    """A dot and its interval for each row; `zero` draws the line that a difference is measured from."""
    numbers = [
        found for _, one in rows for part in ("value", "low", "high") if (found := finite(one.get(part))) is not None
    ]
    if not numbers:
        return Markup("")
    scale = Scale.of([*numbers, 0.0] if zero else numbers)
    height = ROW * len(rows) + 2 * EDGE
    drawn = [_row(place, row, scale) for place, row in enumerate(rows)]
    axis = [
        empty("line", x1=scale.x(scale.low), x2=scale.x(scale.high), y1=height - EDGE, y2=height - EDGE, class_="axis"),
        tag("text", f"{scale.low:.4f}", x=scale.x(scale.low), y=height - 2, class_="small"),
        tag("text", f"{scale.high:.4f}", x=scale.x(scale.high), y=height - 2, class_="small end"),
    ]
    if zero:
        axis.append(empty("line", x1=scale.x(0), x2=scale.x(0), y1=4, y2=height - EDGE, class_="zero"))
    return _picture(title, height, [*axis, *drawn])


def _row(place: int, row: Row, scale: "Scale") -> Markup:
    label, one = row
    y = EDGE + ROW * place + ROW // 2 - 8
    value, low, high = (finite(one.get(part)) for part in ("value", "low", "high"))
    parts = [tag("text", label if len(label) <= 36 else label[:35] + "…", x=LABEL - 10, y=y + 4, class_="end")]
    if low is not None and high is not None:
        parts.append(empty("line", x1=scale.x(low), x2=scale.x(high), y1=y, y2=y, class_="interval"))
    if value is not None:
        parts.append(empty("circle", cx=scale.x(value), cy=y, r=4, class_="point"))
    return join(parts)


def curve(title: str, values: Sequence[float]) -> Markup:
    """A line over epochs; nothing for fewer than two numbers."""
    points = [(place, found) for place, one in enumerate(values) if (found := finite(one)) is not None]
    if len(points) < 2:
        return Markup("")
    scale = Scale.of([value for _, value in points])
    step = (WIDTH - LABEL - EDGE) / (len(values) - 1)
    height = 120
    line = " ".join(
        f"{LABEL + step * place:.1f},{height - EDGE - (height - 2 * EDGE) * scale.part(value):.1f}"
        for place, value in points
    )
    label = tag("text", title, x=LABEL - 10, y=height // 2, class_="end")
    return _picture(title, height, [label, empty("polyline", points=line, class_="curve")])


def _picture(title: str, height: int, parts: Sequence[Markup]) -> Markup:
    return tag("svg", tag("title", title), *parts, viewBox=f"0 0 {WIDTH} {height}", role="img", class_="chart")


class Scale:
    """From numbers to places between the labels and the right edge."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Scale":
        """With a little room on both sides, also where all numbers are one."""
        low, high = min(numbers), max(numbers)
        room = 0.05 * (high - low) or 0.05 * abs(high) or 0.01
        return cls(low - room, high + room)

    def part(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        return (value - self.low) / (self.high - self.low)

    def x(self, value: float) -> str:
        """The place of a number, in the picture's units."""
        return f"{LABEL + (WIDTH - LABEL - EDGE) * self.part(value):.1f}"
