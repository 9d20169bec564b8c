"""Does an event match a pattern? EventBridge's own rules, as its user guide lists them.

`check` reads a pattern once and names what is wrong with it; `matches` trusts a checked one.
"""

import ipaddress
import json
import operator
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ..service import CloudError

_MISSING = object()
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Whether every field of the pattern matches the event; an event's list matches if one of its items does."""
    return all(_field(key, wanted, event) for key, wanted in pattern.items())


def _field(key: str, wanted: Any, event: Any) -> bool:
    if key == "$or":
        return any(matches(alternative, event) for alternative in wanted)
    value = event.get(key, _MISSING) if isinstance(event, Mapping) else _MISSING
    if isinstance(wanted, Mapping):
        return any(matches(wanted, item) for item in (value if isinstance(value, list) and value else [value]))
    leaves = _leaves(value)
    return any(_absent(matcher) if not leaves else any(_one(matcher, leaf) for leaf in leaves) for matcher in wanted)


def _leaves(value: Any) -> list[Any]:
    """The scalars of a value; an object has none, and neither has what is missing."""
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [] if value is _MISSING or isinstance(value, Mapping) else [value]


def _absent(matcher: Any) -> bool:
    return bool(matcher == {"exists": False})


def _one(matcher: Any, leaf: Any) -> bool:
    if not isinstance(matcher, Mapping):
        return _same(matcher, leaf)
    ((kind, wanted),) = matcher.items()
    return _MATCHERS[kind](wanted, leaf)


def _same(wanted: Any, leaf: Any) -> bool:
    """JSON equality: true is not 1."""
    return isinstance(wanted, bool) == isinstance(leaf, bool) and bool(wanted == leaf)


def _affix(method: str) -> Callable[[Any, Any], bool]:
    def match(wanted: Any, leaf: Any) -> bool:
        if not isinstance(leaf, str):
            return False
        if isinstance(wanted, Mapping):
            return bool(getattr(leaf.lower(), method)(wanted["equals-ignore-case"].lower()))
        return bool(getattr(leaf, method)(wanted))

    return match


def _ignoring_case(wanted: Any, leaf: Any) -> bool:
    return isinstance(leaf, str) and leaf.lower() == wanted.lower()


def _wildcard(wanted: Any, leaf: Any) -> bool:
    return isinstance(leaf, str) and _wildcard_expression(wanted).fullmatch(leaf) is not None


@cache
def _wildcard_expression(wildcard: str) -> re.Pattern[str]:
    r"""`*` stands for any characters, `\*` and `\\` for themselves."""
    parts = re.findall(r"\\[*\\]|\*|[^*\\]+|\\", wildcard)
    texts = (".*" if part == "*" else re.escape(part[1:] if part in ("\\*", "\\\\") else part) for part in parts)
    return re.compile("".join(texts), re.DOTALL)


def _numeric(wanted: Any, leaf: Any) -> bool:
    if isinstance(leaf, bool) or not isinstance(leaf, int | float):
        return False
    return all(_COMPARE[sign](leaf, bound) for sign, bound in zip(wanted[::2], wanted[1::2], strict=True))


def _cidr(wanted: Any, leaf: Any) -> bool:
    try:
        return ipaddress.ip_address(leaf) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _anything_but(wanted: Any, leaf: Any) -> bool:
    if isinstance(wanted, Mapping):
        ((kind, values),) = wanted.items()
        return not any(_MATCHERS[kind](value, leaf) for value in _listed(values))
    return not any(_same(value, leaf) for value in _listed(wanted))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_MATCHERS: dict[str, Callable[[Any, Any], bool]] = {
    "prefix": _affix("startswith"),
    "suffix": _affix("endswith"),
    "equals-ignore-case": _ignoring_case,
    "wildcard": _wildcard,
    "numeric": _numeric,
    "cidr": _cidr,
    "exists": lambda wanted, _: bool(wanted),
    "anything-but": _anything_but,
}


def check(text: str) -> dict[str, Any]:
    """The pattern as data; CloudError InvalidEventPatternException says what in it is wrong."""
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise _invalid(f"not valid JSON: {error}") from error
    if not isinstance(pattern, dict):
        raise _invalid("Filter is not an object")
    _check_object(pattern, "")
    return pattern


def _check_object(pattern: dict[str, Any], path: str) -> None:
    if not pattern:
        raise _invalid(f"Empty objects are not allowed at {path or 'the top'}")
    for key, wanted in pattern.items():
        where = f"{path}.{key}".lstrip(".")
        if key == "$or":
            _check_alternatives(wanted, where)
        elif isinstance(wanted, dict):
            _check_object(wanted, where)
        elif not isinstance(wanted, list):
            raise _invalid(f'"{where}" must be an object or an array')
        elif not wanted:
            raise _invalid(f'Empty arrays are not allowed at "{where}"')
        else:
            for matcher in wanted:
                _check_matcher(matcher, where)


def _check_alternatives(wanted: Any, where: str) -> None:
    if not isinstance(wanted, list) or len(wanted) < 2 or not all(isinstance(item, dict) for item in wanted):
        raise _invalid(f'"{where}" must be an array of at least two objects')
    for item in wanted:
        _check_object(item, where)


def _check_matcher(matcher: Any, where: str) -> None:
    if isinstance(matcher, list):
        raise _invalid(f'"{where}": an array is not allowed inside an array')
    if not isinstance(matcher, dict):
        return
    if len(matcher) != 1:
        raise _invalid(f'"{where}": only one key is allowed in a match expression')
    ((kind, wanted),) = matcher.items()
    if kind not in _MATCHERS:
        raise _invalid(f'"{where}": unrecognized match type {kind}')
    if not _CHECKS[kind](wanted):
        raise _invalid(f'"{where}": bad value for {kind}: {json.dumps(wanted)}')


def _is_text(wanted: Any) -> bool:
    return isinstance(wanted, str) and bool(wanted)


def _is_affix(wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return list(wanted) == ["equals-ignore-case"] and _is_text(wanted["equals-ignore-case"])
    return _is_text(wanted)


def _is_wildcard(wanted: Any) -> bool:
    return _is_text(wanted) and "**" not in wanted.replace("\\*", "")


def _is_numeric(wanted: Any) -> bool:
    if not isinstance(wanted, list) or len(wanted) not in (2, 4):
        return False
    bounds = wanted[1::2]
    numbers = all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in bounds)
    if not numbers or any(sign not in _COMPARE for sign in wanted[::2]):
        return False
    return len(wanted) == 2 or (wanted[0] in (">", ">=") and wanted[2] in ("<", "<=") and bounds[0] < bounds[1])


def _is_network(wanted: Any) -> bool:
    try:
        return isinstance(wanted, str) and "/" in wanted and bool(ipaddress.ip_network(wanted, strict=False))
    except ValueError:
        return False


def _is_exclusion(wanted: Any) -> bool:
    if isinstance(wanted, dict):
        if len(wanted) != 1 or next(iter(wanted)) not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
            return False
        ((kind, values),) = wanted.items()
        return bool(_listed(values)) and all(_CHECKS[kind](value) for value in _listed(values))
    return bool(_listed(wanted)) and all(isinstance(value, str | int | float) for value in _listed(wanted))


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "prefix": _is_affix,
    "suffix": _is_affix,
    "equals-ignore-case": _is_text,
    "wildcard": _is_wildcard,
    "numeric": _is_numeric,
    "cidr": _is_network,
    "exists": lambda wanted: isinstance(wanted, bool),
    "anything-but": _is_exclusion,
}


def _invalid(reason: str) -> CloudError:
    return CloudError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {reason}")
