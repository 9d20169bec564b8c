"""A gate: its section of params, the rules a job is told, and what a change takes away from it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.identity import canonical
from pipelines.models import Section
from pipelines.names import Measure, Metric, Slice

Fraction = Annotated[float, Field(ge=0, le=1)]
# what processing_code/baselines.py fits, popularity aside: that one is a matter of sanity
Baseline = Literal["als", "ease", "item_knn"]
Leaves = Mapping[tuple[str, ...], Any]
# which way a rule's value becomes easier to meet; a rule of another name is judged by its removal alone
EASIER = {"min": "lower", "max": "higher", "max_drop": "higher", "min_users": "lower", "interval": "higher"}


class Bounds(Section):
    """The least and the most a metric may be; one of them or both."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("is empty; give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; nothing could pass")
        return self


class Drop(Section):
    """How much worse than a tuned baseline a candidate may be."""

    max_drop: Fraction


class Relative(Section):
    """How much worse than the champion a candidate may be. Metric and level hold for the baselines too."""

    metric: Metric = "ndcg@10"
    interval: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    max_drop: Fraction = 0.001


class Sanity(Section):
    """What must hold whatever the numbers are."""

    beat_popularity: bool = True
    min_users: Annotated[int, Field(ge=1)] = 200


class Gate(Section):
    """What a candidate must reach before it is registered. There is no gate that is off: this is the least."""

    absolute: Annotated[dict[Measure, Bounds], Field(min_length=1)] = {}  # noqa: RUF012 - pydantic copies it
    relative: Relative = Relative()
    # als: it is measured whatever the size of the catalogue
    baselines: dict[Baseline, Drop] = {"als": Drop(max_drop=0.02)}  # noqa: RUF012
    slices: dict[Slice, Annotated[dict[Metric, Bounds], Field(min_length=1)]] = {}  # noqa: RUF012
    sanity: Sanity = Sanity()

    @property
    def metrics(self) -> dict[str, str]:
        """Key of each rule that names a metric -> the metric."""
        named = {f"gate.absolute.{name}": name for name in self.absolute}
        named |= {f"gate.slices.{part}.{name}": name for part, names in self.slices.items() for name in names}
        return {**named, "gate.relative.metric": self.relative.metric}


def rules(gate: Gate) -> tuple[str, ...]:
    """`absolute.ndcg@10.min=0.02` for each value: one argument each, as no single one may be long."""
    return tuple(
        f"{'.'.join(path)}={value if isinstance(value, str) else canonical(value)}"
        for path, value in sorted(leaves(gate).items())
    )


def leaves(gate: Gate) -> dict[tuple[str, ...], Any]:
    """Every value of the gate, defaults included, by its path."""
    return dict(_leaves((), gate.model_dump(exclude_none=True)))


def _leaves(path: tuple[str, ...], found: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(found, Mapping):
        yield path, found
        return
    for key, value in found.items():
        yield from _leaves((*path, key), value)


def loosened(before: Gate, after: Gate) -> list[str]:
    """A sentence for each rule that `after` asks less by than `before`; none when it is as strict or stricter.

    Both have their defaults filled in: a section that is left out is the default's, not nothing.
    """
    old, new = leaves(before), leaves(after)
    found = [_loosened(path, old[path], new.get(path)) for path in sorted(old)]
    return [sentence for sentence in found if sentence]


def _loosened(path: tuple[str, ...], before: Any, after: Any) -> str | None:
    name = f"gate.{'.'.join(path)}"
    if after is None:
        return f"{name}: {_shown(before)} is removed; nothing asks for it any more"
    if before == after:
        return None
    change = f"{name}: {_shown(before)} -> {_shown(after)}"
    if isinstance(before, bool):
        return f"{change}; it is switched off" if before else None
    if isinstance(before, str):
        return f"{change}; models are compared by another metric"
    way = EASIER[path[-1]]
    if (after > before) != (way == "higher"):
        return None
    return f"{change}; {way} is easier to meet"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)
