"""Changes values of one section of a YAML file and leaves every other byte of it as it is."""

import glob
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipelines import documents
from pipelines.errors import ProjectError

Edit = tuple[int, int, str]  # from, to, text instead


def with_values(path: Path, text: str, section: str, values: Mapping[str, Any]) -> str:
    """The text with these values in the section: those it has in their place, new ones behind them.

    Raises ProjectError when the text is no valid file of ours; `path` names it.
    """
    documents.load(path, text)
    root: Any = yaml.compose(text, Loader=documents.CoreLoader)
    found = next((value for key, value in root.value if key.value == section), None)
    if found is None:
        ending = "" if text.endswith("\n") else "\n"
        return f"{text}{ending}{section}: {{{_pairs(values)}}}\n"
    if not isinstance(found, yaml.MappingNode):
        raise ProjectError(f"{path}: {section}: is empty; write {section}: {{}} or take the line out")
    present = {key.value: value for key, value in found.value}
    edits = [(_at(node.start_mark), _at(node.end_mark), _scalar(values[name]))
             for name, node in present.items() if name in values]  # fmt: skip
    missing = {name: value for name, value in values.items() if name not in present}
    if missing:
        edits.append(_added(text, found, missing))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def block(path: Path, text: str, section: str) -> str:
    """The section as one line that can be pasted."""
    return f"{section}: {{{_pairs(documents.load(path, text)[section])}}}"


def replace(path: Path, text: str) -> None:
    """Write the file whole or not at all, with the permissions it has; what a killed writer left beside it goes."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        left.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode if path.exists() else 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _added(text: str, found: yaml.MappingNode, values: Mapping[str, Any]) -> Edit:
    """New keys behind the last one: in its line when the mapping is written in braces, else on lines of their own."""
    if not found.value:
        start = _at(found.start_mark) + 1
        return start, start, _pairs(values)
    key, last = found.value[-1]
    end = _at(last.end_mark)
    if found.flow_style:
        return end, end, f", {_pairs(values)}"
    line_end = text.find("\n", end)
    position = len(text) if line_end < 0 else line_end
    newline = "\r\n" if text[:position].endswith("\r") else "\n"
    position -= len(newline) - 1
    lines = [f"{newline}{' ' * key.start_mark.column}{name}: {_scalar(value)}" for name, value in values.items()]
    return position, position, "".join(lines)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {_scalar(value)}" for name, value in values.items())


def _scalar(value: Any) -> str:
    """A number or a word as YAML; words here are those of params, which need no quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _at(mark: Any) -> int:
    return int(mark.index)
