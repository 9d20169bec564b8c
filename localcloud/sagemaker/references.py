"""References in a pipeline definition: `Get`, `Std:Join` and `Std:JsonGet`, found and resolved."""

import re
from collections.abc import Iterator
from typing import Any, Protocol

Token = str | int
_TOKEN = re.compile(r"\.?([\w@ -]+)|\[(?:'([^']*)'|\"([^\"]*)\"|(\d+))\]")


class ResolutionError(Exception):
    """A reference that leads nowhere; the text is the step's FailureReason."""


class Scope(Protocol):
    """What references may name while an execution runs."""

    def get(self, path: str) -> Any:
        """The value of `Parameters.X`, `Execution.X` or `Steps.X...`."""

    def property_file(self, path: str) -> str:
        """The S3 address of the property file `Steps.X.PropertyFiles.Y`."""

    def document(self, uri: str) -> Any:
        """The JSON document at an S3 address."""


def found(value: Any) -> Iterator[str]:
    """Every path that a `Get` inside the value names."""
    if isinstance(value, dict):
        if set(value) == {"Get"} and isinstance(value["Get"], str):
            yield value["Get"]
        else:
            for item in value.values():
                yield from found(item)
    elif isinstance(value, list):
        for item in value:
            yield from found(item)


def resolve(value: Any, scope: Scope) -> Any:
    """The value with every reference in it replaced by what it refers to; ResolutionError if one cannot be."""
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (name, content) = next(iter(value.items()))
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](content, scope)
    return {key: resolve(item, scope) for key, item in value.items()}


def tokens(path: str) -> list[Token]:
    """The steps of a path such as `a.b['c'][0]`; a leading `$` is allowed."""
    text, parts, position = path.removeprefix("$"), [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise ResolutionError(f"ClientError: {path} is not a valid path")
        plain, single, double, number = match.groups()
        parts.append(int(number) if number else next(part for part in (plain, single, double) if part is not None))
        position = match.end()
    return parts


def walk(value: Any, parts: list[Token], path: str) -> Any:
    """What `parts` lead to inside a document; a list is also entered by the name of its item."""
    for part in parts:
        value = _enter(value, part)
        if value is _NOTHING:
            raise ResolutionError(f"ClientError: Unable to resolve {path}: there is no {part!r}")
    return value


_NOTHING = object()


def _enter(value: Any, part: Token) -> Any:
    if isinstance(value, dict):
        return value.get(str(part), _NOTHING)
    if isinstance(value, list) and isinstance(part, int):
        return value[part] if part < len(value) else _NOTHING
    if isinstance(value, list):
        named = (item for item in value if isinstance(item, dict))
        return next((item for item in named if part in (item.get(key) for key in _NAMES)), _NOTHING)
    return _NOTHING


_NAMES = ("OutputName", "InputName", "ChannelName", "VariantName", "MetricName", "Name")


def _get(path: Any, scope: Scope) -> Any:
    return scope.get(str(path))


def _join(content: Any, scope: Scope) -> str:
    words = [text(resolve(item, scope)) for item in content["Values"]]
    return str(content.get("On", "")).join(words)


def _json_get(content: Any, scope: Scope) -> Any:
    if "PropertyFile" in content:
        uri = scope.property_file(str(content["PropertyFile"]["Get"]))
    else:
        uri = str(resolve(content["S3Uri"], scope))
    path = str(content["Path"])
    return walk(scope.document(uri), tokens(path), f"{path} in {uri}")


_FUNCTIONS = {"Get": _get, "Std:Join": _join, "Std:JsonGet": _json_get}


def text(value: Any) -> str:
    """A value as `Std:Join` writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
