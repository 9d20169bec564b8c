"""A gate as the rules a job is told, and what a change takes away from it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.identity import canonical
from pipelines.params import Gate

Leaves = Mapping[tuple[str, ...], Any]
# which way a rule's value becomes easier to meet; a rule of another name is judged by its removal alone
EASIER = {"min": "lower", "max": "higher", "max_drop": "higher", "min_users": "lower", "interval": "higher"}


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
