"""Content types of /invocations: each turns a body of bytes into an answer of bytes."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from .errors import RequestError
from .operations import Call, answer

MAX_DEPTH = 8


def parse_json(body: bytes) -> Any:
    """JSON as its standard has it: no NaN, no key twice, and not nested deeper than any request is."""
    try:
        found = json.loads(body, parse_constant=no_constant, object_pairs_hook=no_duplicates)
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise RequestError(400, "BadRequest", f"the body is not JSON: {error}") from None
    if depth(found) > MAX_DEPTH:
        raise too_deep()
    return found


def no_constant(name: str) -> NoReturn:
    """Refuse NaN and infinities."""
    raise ValueError(f"{name} is not JSON")


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says a key twice: readers differ in which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def too_deep() -> RequestError:
    """The error for nesting."""
    return RequestError(400, "BadRequest", f"the body is nested deeper than {MAX_DEPTH} levels")


def depth(found: Any) -> int:
    """How deep objects and lists are nested; stops counting once it is too deep."""
    level, layer = 0, [found]
    while layer := [one for one in layer if isinstance(one, dict | list)]:
        level += 1
        if level > MAX_DEPTH:
            break
        layer = [inner for one in layer for inner in (one.values() if isinstance(one, dict) else one)]
    return level


def json_answer(body: bytes, call: Call) -> bytes:
    """application/json: one request, one answer."""
    return dump(answer(parse_json(body), call))


def json_lines_answer(body: bytes, call: Call) -> bytes:
    """application/jsonlines: one line in, one line out, in order; a bad line gets its error and spoils no other."""
    lines = body.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join(line_answer(line, call) + b"\n" for line in lines)


def line_answer(line: bytes, call: Call) -> bytes:
    """One line's answer or error."""
    try:
        return json_answer(line, call)
    except RequestError as error:
        return dump(error.body(call.request_id))


def csv_answer(body: bytes, call: Call) -> bytes:
    """text/csv: lines userId,itemId (a header of these names may lead) as instances, answered with predictions."""
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise RequestError(400, "BadRequest", f"the body is not CSV in UTF-8: {error}") from None
    rows = [row for row in rows if row]
    if rows and rows[0] == ["userId", "itemId"]:
        rows = rows[1:]
    for place, row in enumerate(rows):
        if len(row) != 2:
            raise RequestError(400, "BadRequest", f"row {place + 1} has {len(row)} columns; right is userId,itemId")
    return dump(answer({"instances": [{"userId": user, "itemId": item} for user, item in rows]}, call))


def dump(content: dict[str, Any]) -> bytes:
    """Compact JSON; not-a-number would not be JSON and is our fault, so it raises."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


# content type -> (how to answer it, content type of the answer)
FORMATS: Mapping[str, tuple[Callable[[bytes, Call], bytes], bytes]] = {
    "application/json": (json_answer, b"application/json"),
    "application/jsonlines": (json_lines_answer, b"application/jsonlines"),
    "text/csv": (csv_answer, b"application/json"),
}
