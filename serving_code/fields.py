"""The fields of a request: each is checked here, and a wrong one is named in the error."""

from collections.abc import Mapping
from typing import Any

from .errors import RequestError, invalid

MAX_RESULTS = 500
MAX_INPUT_LIST = 500
MAX_INSTANCES = 10_000
MAX_ID = 256
DEFAULT_RESULTS = 25

Body = dict[str, Any]


def only(body: Mapping[str, Any], known: frozenset[str], where: str = "") -> None:
    """Refuse a field that nothing reads: a misspelt one would be silently without effect."""
    if body.keys() <= known:
        return
    for name in body:
        if name not in known:
            shown = name[:MAX_ID]
            raise invalid(f"{where}{shown}", f"unknown field {where}{shown}; known are {', '.join(sorted(known))}")


def identifier(body: Mapping[str, Any], name: str, where: str = "") -> str:
    """A field that is an id: a string, or a whole number, which is how many callers write theirs."""
    return checked_id(body.get(name), f"{where}{name}")


def checked_id(value: Any, field: str) -> str:
    """An id of 1 to 256 characters."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise invalid(field, f"{field} is missing or not a string")
    if len(value) > MAX_ID:
        raise invalid(field, f"{field} is longer than {MAX_ID} characters")
    return value


def identifiers(body: Mapping[str, Any], name: str, most: int, where: str = "") -> list[str]:
    """A field that is a list of ids."""
    given = body.get(name)
    if not isinstance(given, list):
        raise invalid(f"{where}{name}", f"{where}{name} is missing or not a list")
    if len(given) > most:
        raise invalid(f"{where}{name}", f"{where}{name} has {len(given)} entries; at most {most} are taken")
    return [checked_id(one, f"{where}{name}[{place}]") for place, one in enumerate(given)]


def results(body: Mapping[str, Any]) -> int:
    """numResults, from 1 to 500."""
    count = body.get("numResults", DEFAULT_RESULTS)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_RESULTS:
        raise invalid("numResults", f"numResults is not a whole number from 1 to {MAX_RESULTS}")
    return count


def truth(body: Mapping[str, Any], name: str, where: str = "") -> bool:
    """A field that is true or false, and true if it is not there."""
    value = body.get(name, True)
    if not isinstance(value, bool):
        raise invalid(f"{where}{name}", f"{name} is not true or false")
    return value


def object_of(value: Any, field: str) -> Body:
    """A field that is an object."""
    if not isinstance(value, dict):
        raise invalid(field, f"{field} is not an object")
    return value


def bad_request(message: str, code: str = "BadRequest", field: str | None = None) -> RequestError:
    """A body that is no request at all."""
    return RequestError(400, code, message, field)
