"""Pictures as inline SVG: no script, no font and no address is needed to see them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markup import Markup, empty, join, tag

WIDTH, LABEL, ROW, EDGE = 720, 240, 24, 16
TALL, BINS = 120, 40  # of a curve or histogram: its height, and how many bars
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


def curve(title: str, points: Sequence[tuple[float, float]], marked: float | None, unit: str) -> Markup:
    """A line through (epoch, value), with the ends of both axes in numbers; `marked` is an epoch to point at.

    Nothing for fewer than two points.
    """
    if len(points) < 2:
        return Markup("")
    scale, across = Scale.of([value for _, value in points]), Scale(points[0][0], points[-1][0])
    places = [(across.x(epoch), _height(scale.part(value))) for epoch, value in points]
    parts = [
        tag("text", title, x=LABEL - 70, y=TALL // 2, class_="end"),
        *(_y(scale, value) for value in {min(value for _, value in points), max(value for _, value in points)}),
        *_frame(across, f"{points[0][0]:g}", f"{unit} {points[-1][0]:g}"),
        empty("polyline", points=" ".join(f"{x},{y}" for x, y in places), class_="curve"),
    ]
    at = next((place for place, (epoch, _) in zip(places, points, strict=True) if epoch == marked), None)
    if at:
        parts.append(empty("circle", cx=at[0], cy=at[1], r=4, class_="point"))
    return _picture(title, TALL, parts)


def histogram(title: str, values: Sequence[float], span: tuple[float, float], marks: Mapping[str, float]) -> Markup:
    """How many values lie in each of BINS equal parts of `span`; what is beyond it is in the last one.

    `marks` are lines at values, by name. Nothing for no values.
    """
    if not values:
        return Markup("")
    scale = Scale(span[0], span[1])
    counts = [0] * BINS
    for value in values:
        counts[max(0, min(BINS - 1, int(scale.part(value) * BINS)))] += 1
    width = (WIDTH - LABEL - EDGE) / BINS
    bars = [
        empty("rect", x=f"{LABEL + width * place:.1f}", y=_height(count / max(counts)), width=f"{width - 1:.1f}",
              height=f"{(TALL - 2 * EDGE) * count / max(counts):.1f}", class_="bar")
        for place, count in enumerate(counts) if count
    ]  # fmt: skip
    lines = [_mark(scale, place, *one) for place, one in enumerate(marks.items()) if one[1] <= span[1]]
    label = tag("text", title, x=LABEL - 10, y=TALL // 2, class_="end")
    axis = _frame(scale, f"{span[0]:.3g} ms", f"{span[1]:.3g} ms or more")
    return _picture(title, TALL, [label, *bars, *lines, *axis])


def _mark(scale: "Scale", place: int, name: str, value: float) -> Markup:
    top = 10 + 11 * place  # each name below the one before: near values would be written over each other
    line = empty("line", x1=scale.x(value), x2=scale.x(value), y1=top - 8, y2=TALL - EDGE, class_="zero")
    return join([line, tag("text", name, x=scale.x(value), y=top, dx=3, class_="small")])


def _height(part: float) -> str:
    return f"{TALL - EDGE - (TALL - 2 * EDGE) * part:.1f}"


def _y(scale: "Scale", value: float) -> Markup:
    return tag("text", f"{value:.4g}", x=LABEL - 6, y=_height(scale.part(value)), class_="small end")


def _frame(across: "Scale", low: str, high: str) -> list[Markup]:
    """The horizontal axis, with both its ends in words."""
    bottom = TALL - EDGE
    return [
        empty("line", x1=across.x(across.low), x2=across.x(across.high), y1=bottom, y2=bottom, class_="axis"),
        tag("text", low, x=across.x(across.low), y=TALL - 2, class_="small"),
        tag("text", high, x=across.x(across.high), y=TALL - 2, class_="small end"),
    ]


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
