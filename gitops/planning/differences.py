"""Two documents compared by meaning: leaves by dotted key, formatting and order are no difference."""

from collections.abc import Mapping
from typing import Any

ABSENT = "(absent)"


def flatten(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted key; an entry of a list that has a `key` or is one of several goes by that or its place."""
    leaves: dict[str, Any] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            leaves.update(flatten(value, f"{name}."))
        elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            for place, each in enumerate(value):
                leaves.update(flatten(each, f"{name}[{each.get('key', place)}]."))
        else:
            leaves[name] = value
    return leaves


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """`hyperparameters.epochs: 10 -> 20` for each leaf that differs."""
    return [
        f"{key}: {shown(before.get(key, ABSENT))} -> {shown(after.get(key, ABSENT))}"
        for key in sorted(before.keys() | after.keys())
        if key not in before or key not in after or before[key] != after[key]
    ]


def with_defaults(
    before: tuple[Mapping[str, Any], Mapping[str, Any]], after: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> list[str]:
    """As `difference`, of (all values, those that were written): a value that was not written is the default's."""
    sides = [{key: Said(value, key not in written) for key, value in full.items()} for full, written in (before, after)]
    changed = {key for key in sides[0].keys() | sides[1].keys() if _value(sides[0], key) != _value(sides[1], key)}
    return difference(*({key: value for key, value in side.items() if key in changed} for side in sides))


class Said:
    """A value, and whether it is a default."""

    def __init__(self, value: Any, default: bool) -> None:
        self.value, self.default = value, default

    def __str__(self) -> str:
        return shown(self.value) + (" (default)" if self.default else "")


def _value(side: Mapping[str, Said], key: str) -> Any:
    return side[key].value if key in side else ABSENT


def shown(value: Any) -> str:
    """A value as YAML has it, at most 100 characters."""
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 100 else text[:99] + "…"
