"""The conditions of a Condition step."""

import operator
from collections.abc import Callable
from typing import Any

from .references import ResolutionError, Scope, resolve

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
TYPES = (*_COMPARISONS, "Equals", "In", "Not", "Or")


def holds(condition: dict[str, Any], scope: Scope) -> bool:
    """Whether one condition is true; ResolutionError if its values cannot be found or compared."""
    kind = condition["Type"]
    if kind == "Not":
        return not holds(condition.get("Condition") or condition["Expression"], scope)
    if kind == "Or":
        return any(holds(item, scope) for item in condition["Conditions"])
    if kind == "In":
        value = resolve(condition["QueryValue"], scope)
        return any(_equal(value, resolve(item, scope)) for item in condition["Values"])
    left, right = resolve(condition["LeftValue"], scope), resolve(condition["RightValue"], scope)
    return _equal(left, right) if kind == "Equals" else _compare(kind, left, right)


def _equal(left: Any, right: Any) -> bool:
    """Equal in value and in kind: true is not 1, and "1" is not 1."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _compare(kind: str, left: Any, right: Any) -> bool:
    for value in (left, right):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ResolutionError(f"ClientError: {kind} compares numbers, and {value!r} is none")
    return _COMPARISONS[kind](left, right)
