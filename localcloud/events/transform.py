"""What a target receives: the event, a part of it, a constant, or a template filled from it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ..service import CloudError

_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']+)'\]")


def target_input(target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, str]) -> str:
    """The text sent to the target. `rule` has the rule's `name` and `arn`, for the reserved placeholders."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(find(event, target["InputPath"]))
    if "InputTransformer" in target:
        return _fill(target["InputTransformer"], event, rule)
    return json.dumps(event)


def find(event: Any, path: str) -> Any:
    """The value at a JSON path such as `$.detail.items[0]`; None if there is none."""
    value = event
    for step in _STEP.finditer(path[1:]):
        key, index, quoted = step.groups()
        try:
            value = value[int(index)] if index else value[key or quoted]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def check(target: Mapping[str, Any]) -> None:
    """CloudError ValidationException if the target's input is ambiguous, or a path or template cannot be read."""
    given = [name for name in ("Input", "InputPath", "InputTransformer") if name in target]
    if len(given) > 1:
        raise CloudError("ValidationException", f"Only one of Input, InputPath, or InputTransformer: {given}")
    transformer = target.get("InputTransformer", {})
    paths = {**transformer.get("InputPathsMap", {}), "InputPath": target.get("InputPath", "$")}
    for name, path in paths.items():
        if not path.startswith("$") or _STEP.sub("", path[1:]):
            raise CloudError(
                "ValidationException", f"Invalid JSON path {path!r} of {name!r}; write it as $.detail.name"
            )
    known = set(transformer.get("InputPathsMap", {}))
    for name in _PLACEHOLDER.findall(transformer.get("InputTemplate", "")):
        if name not in known and not name.startswith("aws.events."):
            raise CloudError(
                "ValidationException", f"InputTemplate for target {target['Id']} contains invalid placeholder {name}"
            )


def _fill(transformer: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, str]) -> str:
    """Fill a template. Inside quotes a value becomes text of the string, elsewhere JSON, so the result stays JSON."""
    values = {name: find(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
    values |= {
        "aws.events.rule-arn": rule["arn"],
        "aws.events.rule-name": rule["name"],
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event": event,
        "aws.events.event.json": event,
    }
    template = transformer["InputTemplate"]
    parts, position = [], 0
    for match in _PLACEHOLDER.finditer(template):
        parts.append(template[position : match.start()])
        position = match.end()
        parts.append(_insert(values.get(match[1]), quoted=_inside_quotes("".join(parts))))
    return "".join([*parts, template[position:]])


def _inside_quotes(before: str) -> bool:
    return len(re.findall(r'(?<!\\)(?:\\\\)*"', before)) % 2 == 1


def _insert(value: Any, quoted: bool) -> str:
    if not quoted:
        return json.dumps(value)
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text)[1:-1]
