"""JSON as its standard has it: UTF-8, no NaN, no key twice."""

import json
from typing import Any, NoReturn


def no_constant(name: str) -> NoReturn:
    """Refuse NaN and infinities."""
    raise ValueError(f"{name} is not JSON")


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that says a key twice: readers differ in which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


# made once: json.loads would make one for each text
DECODER = json.JSONDecoder(parse_constant=no_constant, object_pairs_hook=no_duplicates)


def parse(text: bytes) -> Any:
    """What the text says. Raises ValueError for any other text, and RecursionError for a very deep one."""
    return DECODER.decode(text.decode("utf-8"))
