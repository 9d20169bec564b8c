"""CloudFormation's intrinsic functions and conditions, as functions from data to data."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.service import CloudError

NO_VALUE = object()  # what AWS::NoValue becomes until the property that holds it is dropped
PLACEHOLDER = re.compile(r"\$\{([^!{}][^{}]*)\}")
ESCAPED = re.compile(r"\$\{!([^{}]*)\}")


@dataclass(frozen=True)
class Scope:
    """Everything a template may refer to; `reference` and `attribute` answer for resources."""

    values: Mapping[str, Any]  # parameters and pseudo parameters
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    reference: Callable[[str], Any]
    attribute: Callable[[str, str], Any]


def evaluate(value: Any, scope: Scope) -> Any:
    """Replace every function call in `value` by its result; CloudError names what cannot be resolved."""
    if isinstance(value, list):
        return [item for item in (evaluate(item, scope) for item in value) if item is not NO_VALUE]
    if not isinstance(value, dict):
        return value
    name = called(value)
    if name:
        return FUNCTIONS[name](value[name], scope)
    pairs = {key: evaluate(item, scope) for key, item in value.items()}
    return {key: item for key, item in pairs.items() if item is not NO_VALUE}


def called(value: dict[str, Any]) -> str:
    """The function a one-key mapping calls, or an empty string; a function that is not ours is an error."""
    name = next(iter(value)) if len(value) == 1 else ""
    if name in FUNCTIONS:
        return name
    if isinstance(name, str) and name.startswith("Fn::"):
        raise template_error(f"localcloud does not implement the function {name}")
    return ""


def template_error(message: str) -> CloudError:
    """The error CloudFormation answers when a template itself is wrong."""
    return CloudError("ValidationError", f"Template error: {message}")


def truth(condition: Any, scope: Scope) -> bool:
    """The value of a condition: a name in the Conditions section, or a condition function."""
    if isinstance(condition, str):
        if condition not in scope.conditions:
            raise template_error(f"unresolved condition dependency {condition}")
        return truth(scope.conditions[condition], scope)
    name = next(iter(condition)) if isinstance(condition, dict) and len(condition) == 1 else ""
    if name == "Condition":
        return truth(condition[name], scope)
    if name not in CONDITIONS:
        raise template_error(f"{condition!r} is not a condition; use one of {', '.join(sorted(CONDITIONS))}")
    return CONDITIONS[name](condition[name], scope)


def references(value: Any) -> Iterator[str]:
    """Every name that `value` refers to: parameters, pseudo parameters and resources alike."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        name = called(value)
        if name == "Ref":
            yield value[name]
        elif name == "Fn::GetAtt":
            yield split_attribute(value[name])[0]
        elif name == "Fn::Sub":
            yield from _sub_references(value[name])
        else:
            for item in value.values():
                yield from references(item)


def split_attribute(argument: Any) -> tuple[str, str]:
    """`A.B.C` or `[A, "B.C"]` as (logical id, attribute)."""
    if isinstance(argument, str):
        argument = argument.split(".", 1)
    if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str):
        raise template_error(
            "every Fn::GetAtt object requires two non-empty parameters, the resource name and the attribute"
        )
    return argument[0], argument[1]


def _sub_references(argument: Any) -> Iterator[str]:
    text, own = argument if isinstance(argument, list) else (argument, {})
    for name in PLACEHOLDER.findall(text):
        if name not in own:
            yield name.split(".", 1)[0]
    yield from references(list(own.values()))


def _ref(name: Any, scope: Scope) -> Any:
    if name == "AWS::NoValue":
        return NO_VALUE
    return scope.values[name] if name in scope.values else scope.reference(name)


def _get_att(argument: Any, scope: Scope) -> Any:
    logical_id, attribute = split_attribute(argument)
    return scope.attribute(logical_id, evaluate(attribute, scope))


def _sub(argument: Any, scope: Scope) -> str:
    text, own = argument if isinstance(argument, list) else (argument, {})
    values = {key: evaluate(value, scope) for key, value in own.items()}

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name in values:
            return str(values[name])
        return str(_get_att(name, scope) if "." in name else _ref(name, scope))

    return ESCAPED.sub(r"${\1}", PLACEHOLDER.sub(fill, text))


def _join(argument: Any, scope: Scope) -> str:
    delimiter, values = argument
    return str(delimiter).join(str(value) for value in evaluate(values, scope))


def _split(argument: Any, scope: Scope) -> list[str]:
    delimiter, text = argument
    return str(evaluate(text, scope)).split(delimiter)


def _select(argument: Any, scope: Scope) -> Any:
    index, values = (evaluate(part, scope) for part in argument)
    if not 0 <= int(index) < len(values):
        raise template_error(f"Fn::Select cannot select nonexistent value at index {index}")
    return values[int(index)]


def _find_in_map(argument: Any, scope: Scope) -> Any:
    name, first, second = (evaluate(part, scope) for part in argument)
    try:
        return scope.mappings[name][first][second]
    except KeyError as error:
        raise template_error(f"Unable to get mapping for {name}::{first}::{second}") from error


def _if(argument: Any, scope: Scope) -> Any:
    condition, yes, no = argument
    return evaluate(yes if truth(condition, scope) else no, scope)


def _base64(argument: Any, scope: Scope) -> str:
    return base64.b64encode(str(evaluate(argument, scope)).encode()).decode()


def _equals(argument: Any, scope: Scope) -> bool:
    left, right = (str(evaluate(part, scope)) for part in argument)
    return left == right


FUNCTIONS: dict[str, Callable[[Any, Scope], Any]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::FindInMap": _find_in_map,
    "Fn::If": _if,
    "Fn::Base64": _base64,
}
CONDITIONS: dict[str, Callable[[Any, Scope], bool]] = {
    "Fn::Equals": _equals,
    "Fn::And": lambda argument, scope: all(truth(item, scope) for item in argument),
    "Fn::Or": lambda argument, scope: any(truth(item, scope) for item in argument),
    "Fn::Not": lambda argument, scope: not truth(argument[0], scope),
}
