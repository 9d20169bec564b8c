"""Which route a request takes. Pure.

A path that is given whole wins over one with parameters, that over a greedy one, all of them over `$default`; a
method wins over ANY.
"""

import re
from collections.abc import Iterable
from urllib.parse import unquote

METHODS = ("ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_PARAMETER = re.compile(r"\{(?P<name>[\w.:-]+)(?P<greedy>\+?)\}")


def parse_key(key: str) -> tuple[str, list[str]]:
    """(method, segments of the path) of a route's key; `$default` has neither. ValueError says what is wrong."""
    if key == "$default":
        return "", []
    method, space, path = key.partition(" ")
    if method not in METHODS or not space or not path.startswith("/"):
        raise ValueError(f'{key!r} is neither $default nor "METHOD /path"')
    segments = path[1:].split("/")
    for place, segment in enumerate(segments):
        found = _PARAMETER.fullmatch(segment)
        if ("{" in segment or "}" in segment) and not found:
            raise ValueError(f"{segment!r} is no parameter")
        if found and found["greedy"] and place != len(segments) - 1:
            raise ValueError(f"{segment!r} is greedy and not the last")
    return method, segments


def match(keys: Iterable[str], method: str, path: str) -> tuple[str, dict[str, str]] | None:
    """The key that fits best and the parameters' values, decoded; `path` is as it was sent. None: no route fits."""
    best: tuple[tuple[int, ...], str, dict[str, str]] | None = None
    for key in keys:
        wanted, segments = parse_key(key)
        found = ((3,), {}) if not wanted else _fit(segments, path) if wanted in (method, "ANY") else None
        if found is None:
            continue
        rank = (*found[0], wanted == "ANY")
        if best is None or rank < best[0]:
            best = rank, key, found[1]
    return best and (best[1], best[2])


def _fit(segments: list[str], path: str) -> tuple[tuple[int, ...], dict[str, str]] | None:
    """((how special the route is, fewer for more literal segments), values); None if the path is another."""
    given = path.removeprefix("/").split("/")
    values: dict[str, str] = {}
    greedy = False
    for place, segment in enumerate(segments):
        found = _PARAMETER.fullmatch(segment)
        if found and found["greedy"]:
            greedy = True
            rest = "/".join(given[place:])
            if not rest:
                return None
            values[found["name"]] = unquote(rest)
            break
        if place >= len(given) or (found is None and unquote(given[place]) != segment) or (found and not given[place]):
            return None
        if found:
            values[found["name"]] = unquote(given[place])
    if not greedy and len(given) != len(segments):
        return None
    return (2 if greedy else 1 if values else 0, len(values) - len(segments)), values
