"""Content types of /invocations: each reads a body of bytes and answers it with bytes."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .answers import dump
from .errors import RequestError
from .json_text import parse
from .operations import Call, answer, quick_answer

MAX_DEPTH = 8


@dataclass(frozen=True)
class Format:
    """One content type. Every function may raise RequestError.

    `read` parses a body. `quick` gives the answer to what was read if no score has to be computed for it, else None;
    it is short enough for the event loop. `answer` always answers, and belongs in a thread.
    """

    content_type: bytes  # of the answer
    read: Callable[[bytes], Any]
    quick: Callable[[Any, Call], bytes | None]
    answer: Callable[[Any, Call], bytes]


def parse_json(body: bytes) -> Any:
    """JSON as its standard has it, and not nested deeper than any request is."""
    try:
        found = parse(body)
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise RequestError(400, "BadRequest", f"the body is not JSON: {error}") from None
    if depth(found) > MAX_DEPTH:
        raise too_deep()
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


def read_lines(body: bytes) -> list[bytes]:
    """application/jsonlines: the lines, parsed one by one later, as a bad one must not spoil the others."""
    lines = body.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def answer_lines(lines: list[bytes], call: Call) -> bytes:
    """One line in, one line out, in order."""
    return b"".join(answer_line(line, call) + b"\n" for line in lines)


def answer_line(line: bytes, call: Call) -> bytes:
    """One line's answer or error."""
    try:
        return answer(parse_json(line), call)
    except RequestError as error:
        return dump(error.body(call.request_id))


def read_csv(body: bytes) -> dict[str, Any]:
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
    return {"instances": [{"userId": user, "itemId": item} for user, item in rows]}


def never_quick(request: Any, call: Call) -> None:
    """What may be long is not answered in the event loop."""


# a new content type is its functions and one line here
FORMATS: Mapping[str, Format] = {
    "application/json": Format(b"application/json", parse_json, quick_answer, answer),
    "application/jsonlines": Format(b"application/jsonlines", read_lines, never_quick, answer_lines),
    "text/csv": Format(b"application/json", read_csv, never_quick, answer),
}
