"""The one YAML loader: a small, strict subset, so that a file means what it looks like."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import ProjectError, nearest

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12
MAX_NODES = 10_000
MAX_DIGITS = 30


class CoreLoader(yaml.SafeLoader):
    """Scalars as YAML 1.2 reads them: `1e-3` is a number, `yes` and `2017-01-01` are text."""


CoreLoader.yaml_implicit_resolvers = {}  # not YAML 1.1's


def _resolve(tag: str, pattern: str, first: str) -> None:
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


_resolve("null", "null|Null|NULL|~|", "nN~")
CoreLoader.yaml_implicit_resolvers[""] = [("tag:yaml.org,2002:null", re.compile("^$"))]
_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("int", "[-+]?[0-9]+", "-+0123456789")
_resolve("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789")
_resolve("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.")


def _decimal(loader: CoreLoader, node: yaml.ScalarNode) -> int:
    # YAML 1.1 reads 010 as octal; and int() of a very long text is slow or refused
    if len(node.value) > MAX_DIGITS:
        raise yaml.constructor.ConstructorError(None, None, f"a number of {len(node.value)} digits", node.start_mark)
    return int(node.value)


def _real(loader: CoreLoader, node: yaml.ScalarNode) -> float:
    text = node.value.lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


CoreLoader.add_constructor("tag:yaml.org,2002:int", _decimal)
CoreLoader.add_constructor("tag:yaml.org,2002:float", _real)


def load(path: Path, text: str | None = None) -> dict[str, Any]:
    """The mapping in a YAML file, or in `text` under that file's name.

    Raises ProjectError for a missing or oversized file, bad syntax, aliases, anchors, tags, merge keys,
    duplicate or non-text keys, too much nesting, several documents, and anything that is not a mapping.
    """
    content = read(path) if text is None else text
    if len(content.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ProjectError(f"{path}: larger than {MAX_BYTES // 1024} KiB; keep data out of it")
    try:
        root = _compose(path, content)
        _check_keys(path, root, "")
        loader = CoreLoader("")
        try:
            document = loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ProjectError(f"{path}: {_describe(error)}") from error
    if not isinstance(document, dict):
        raise ProjectError(f"{path}: not a mapping; write `key: value` lines")
    return document


def read(path: Path) -> str:
    """The text of a file of at most 64 KiB. Raises ProjectError naming the nearest existing file."""
    if not path.is_file():
        raise ProjectError(f"{path}: no such file{_elsewhere(path)}")
    if path.stat().st_size > MAX_BYTES:
        raise ProjectError(f"{path}: larger than {MAX_BYTES // 1024} KiB; keep data out of it")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise ProjectError(f"{path}: cannot be read: {error.strerror}") from error


def _elsewhere(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {folder}"
    names = sorted(entry.name for entry in folder.glob("*.yml") if entry.is_file())
    match = nearest(path.name, names)
    if match:
        return f"; did you mean {folder / match}?"
    return f"; {folder} has {', '.join(names[:5])}" if names else f"; {folder} has no .yml file"


class Place:
    """Which key the parser is at, from its events."""

    def __init__(self) -> None:
        self.frames: list[tuple[bool, str | None]] = []  # (a mapping, the key whose value comes next)

    def __str__(self) -> str:
        return ".".join(key for _, key in self.frames if key is not None)

    def enter(self, event: yaml.Event) -> None:
        """Before the event's value: a text where a mapping expects a key is that key."""
        if isinstance(event, yaml.ScalarEvent) and self.frames and self.frames[-1] == (True, None):
            self.frames[-1] = (True, event.value[:60])
        elif isinstance(event, yaml.CollectionStartEvent):
            self.frames.append((isinstance(event, yaml.MappingStartEvent), None))
        else:
            self._value_done(event)

    def _value_done(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            self.frames.pop()
        if isinstance(event, yaml.CollectionEndEvent | yaml.ScalarEvent) and self.frames:
            self.frames[-1] = (self.frames[-1][0], None)


def _compose(path: Path, text: str) -> yaml.Node:
    """The node tree, after the events were checked: what is refused is never expanded."""
    place, nodes = Place(), 0
    for event in yaml.parse(text, Loader=CoreLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        where = f"{path}: {place}: line {line}" if str(place) else f"{path}: line {line}"
        _refuse(where, event)
        place.enter(event)
        nodes += isinstance(event, yaml.NodeEvent)
        if len(place.frames) > MAX_DEPTH:
            raise ProjectError(f"{where}: nested deeper than {MAX_DEPTH} levels; flatten it")
        if nodes > MAX_NODES:
            raise ProjectError(f"{path}: more than {MAX_NODES} values; keep data out of it")
    root = yaml.compose(text, Loader=CoreLoader)
    if root is None:
        raise ProjectError(f"{path}: empty; write `key: value` lines")
    return root


def _refuse(where: str, event: yaml.Event) -> None:
    anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
    if isinstance(event, yaml.AliasEvent):
        raise ProjectError(f"{where}: alias *{anchor}; write the value out instead")
    if anchor is not None:
        raise ProjectError(f"{where}: anchor &{anchor}; write the value out where it is used")
    if tag is not None:
        raise ProjectError(f"{where}: tag {tag}; write a plain value")


def _check_keys(path: Path, node: yaml.Node, where: str) -> None:
    for inner, name in _children(path, node, where):
        _check_keys(path, inner, name)


def _children(path: Path, node: yaml.Node, where: str) -> Iterator[tuple[yaml.Node, str]]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield item, f"{where}[{index}]"
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = _key_name(path, key, where)
            if name in seen:
                raise ProjectError(f"{path}: {name}: duplicate key on line {key.start_mark.line + 1}; keep one of them")
            seen.add(name)
            yield value, name


def _key_name(path: Path, key: yaml.Node, where: str) -> str:
    line = key.start_mark.line + 1
    if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
        shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
        raise ProjectError(f"{path}: line {line}: key {shown} is not text; quote it")
    if key.value == "<<":
        raise ProjectError(f"{path}: line {line}: merge key <<; write the values out instead")
    return f"{where}.{key.value}" if where else str(key.value)


def _describe(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}; correct the YAML there"
    return f"not YAML: {error}; correct the text"
