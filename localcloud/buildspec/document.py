"""Reads a buildspec: every scalar as the text it is, every mistake with its line, its key and its remedy."""

from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from .model import Buildspec

MAX_CHARACTERS = 1024 * 1024
_LINES = ("not a mapping", "write `key: value` lines below it")
_SENTENCES = {  # pydantic's kind of mistake -> what is wrong, what would be right
    "extra_forbidden": ("unknown key", "remove it, or look for a misspelling"),
    "missing": ("missing", "add it"),
    "string_type": ("not text", 'write text; a command with ": " in it needs quotes around the whole line'),
    "tuple_type": ("not a list", "write one line each, starting with `- `"),
    "dict_type": _LINES,
    "model_type": _LINES,
    "model_attributes_type": _LINES,
}


class BuildspecError(Exception):
    """A buildspec that cannot be run; the sentence names file, key and remedy."""


class _Text(yaml.BaseLoader):
    """All scalars are text, `<<` is an ordinary key, a key may stand once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


@dataclass(frozen=True)
class _Source:
    name: str
    root: yaml.Node | None

    def line(self, path: tuple[int | str, ...]) -> int:
        """The 1-based line of the innermost part of `path` that is in the file."""
        node, line = self.root, 1
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            line, node = found.start_mark.line + 1, found
        return line


def parse(text: str, name: str = "buildspec.yml") -> Buildspec:
    """The buildspec in `text`; BuildspecError `name: line N: key: what is wrong; what would be right`."""
    if len(text) > MAX_CHARACTERS:
        raise BuildspecError(f"{name}: longer than {MAX_CHARACTERS} characters; move commands to a script")
    try:
        root = yaml.compose(text, Loader=_Text)
        data = _Text(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BuildspecError(f"{name}: line {line}: not YAML: {error.problem}; check indentation and quotes") from error
    except yaml.YAMLError as error:
        raise BuildspecError(f"{name}: not YAML: {error}; remove the character") from error
    if not isinstance(data, dict):
        raise BuildspecError(f"{name}: not a mapping; start with `version: 0.2` and `phases:`")
    return _validate(data, _Source(name, root))


def _validate(data: dict[str, Any], source: _Source) -> Buildspec:
    try:
        return Buildspec.model_validate(_without_empty(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = tuple(first["loc"])
        key = ".".join(str(part) for part in path)
        what = "; ".join(_SENTENCES.get(first["type"], (_without_prefix(first["msg"]),)))
        raise BuildspecError(f"{source.name}: line {source.line(path)}: {key}: {what}") from error


def _without_prefix(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "unknown value; use")


def _without_empty(data: Any, key: str = "") -> Any:
    """A key with nothing after it counts as absent, except where an empty text is a value."""
    if isinstance(data, dict) and key not in ("variables", "parameter-store", "secrets-manager"):
        return {name: _without_empty(value, name) for name, value in data.items() if value != ""}
    return data


def _child(node: yaml.Node | None, part: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        found: yaml.Node = node.value[part]
        return found
    return None
