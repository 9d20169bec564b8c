"""Reads a pipeline definition (schema version 2020-12-01) and refuses what could not run."""

import graphlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import conditions, retries
from .references import ResolutionError, found, tokens
from .shapes import members
from .step_cache import duration
from .store import Row, invalid

VERSION = "2020-12-01"
# what a step of each type calls; the others call nothing of SageMaker's
CALLS = {
    "Processing": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "Transform": "CreateTransformJob",
    "Tuning": "CreateHyperParameterTuningJob",
    "Model": "CreateModel",
    "RegisterModel": "CreateModelPackage",
}
STEP_TYPES = (*CALLS, "Lambda", "Condition", "Fail")
PARAMETER_TYPES = {"String": str, "Integer": int, "Float": float, "Boolean": bool}
EXECUTION_VARIABLES = {
    "StartDateTime",
    "CurrentDateTime",
    "PipelineName",
    "PipelineArn",
    "PipelineExecutionId",
    "PipelineExecutionArn",
}


@dataclass(frozen=True)
class Step:
    """One step. `parent` is the condition step and the outcome under which it runs; `needs` must have succeeded."""

    name: str
    type: str
    row: Row
    parent: tuple[str, bool] | None
    needs: frozenset[str]


@dataclass(frozen=True)
class Definition:
    """A definition that can run: steps inside conditions stand beside the others."""

    parameters: dict[str, Row]
    steps: dict[str, Step]

    def inside(self, condition: str, outcome: bool) -> Iterator[str]:
        """The names of the steps directly inside one branch of a condition step."""
        return (step.name for step in self.steps.values() if step.parent == (condition, outcome))


def parse(text: str) -> Definition:
    """The definition in a JSON text; SageMaker's ValidationException if it could not run."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("Version") != VERSION:
            raise wrong(f"Version must be {VERSION}")
        parameters = {row["Name"]: row for row in document.get("Parameters") or []}
        steps = [_step(row, parent) for row, parent in _flatten(document["Steps"], None)]
        definition = Definition(parameters, {step.name: step for step in steps})
        _check(definition, len(steps))
    except json.JSONDecodeError as error:
        raise wrong(f"it is not JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise wrong(f"malformed or missing {error}") from error
    return definition


def _check(definition: Definition, rows: int) -> None:
    """`rows` is how many steps the text has, two of one name counted twice."""
    if not rows or len(definition.steps) < rows:
        raise wrong("step names must be unique" if rows else "it has no steps")
    _check_parameters(definition.parameters)
    for step in definition.steps.values():
        _check_step(definition, step)
    _check_order(definition)


def wrong(what: str) -> Exception:
    """SageMaker's refusal of a definition."""
    return invalid(f"Unable to parse pipeline definition. {what[:1].upper()}{what[1:]}.")


def values(definition: Definition, given: list[Row]) -> dict[str, Any]:
    """Every parameter's typed value from what StartPipelineExecution was given and the defaults."""
    texts = {row["Name"]: row["Value"] for row in given}
    unknown = set(texts) - set(definition.parameters)
    if unknown:
        raise invalid(f"Parameters [{', '.join(sorted(unknown))}] are not defined in the pipeline definition.")
    typed = {name: _typed(row, texts[name]) for name, row in definition.parameters.items() if name in texts}
    defaults = {name: row["DefaultValue"] for name, row in definition.parameters.items() if "DefaultValue" in row}
    missing = set(definition.parameters) - set(typed) - set(defaults)
    if missing:
        raise invalid(f"Parameters [{', '.join(sorted(missing))}] do not have default values and are not given.")
    return {**defaults, **typed}


def _typed(row: Row, text: str) -> Any:
    kind, name = row["Type"], row["Name"]
    try:
        value: Any = {"true": True, "false": False}[text.lower()] if kind == "Boolean" else PARAMETER_TYPES[kind](text)
    except (KeyError, ValueError):
        raise invalid(f"Parameter [{name}] is of type {kind}, and {text!r} is not.") from None
    if row.get("EnumValues") and value not in row["EnumValues"]:
        raise invalid(f"Parameter [{name}] must be one of {row['EnumValues']}, and {text!r} is not.")
    return value


def _flatten(rows: list[Row], parent: tuple[str, bool] | None) -> Iterator[tuple[Row, tuple[str, bool] | None]]:
    for row in rows:
        yield row, parent
        if row["Type"] == "Condition":
            yield from _flatten(row["Arguments"].get("IfSteps") or [], (row["Name"], True))
            yield from _flatten(row["Arguments"].get("ElseSteps") or [], (row["Name"], False))


def _step(row: Row, parent: tuple[str, bool] | None) -> Step:
    content = row.get("Arguments", {})
    if row["Type"] == "Condition":
        content = content["Conditions"]
    paths = [tokens(path) for path in found([content, row.get("FunctionArn")])]
    referred = {str(path[1]) for path in paths if path[0] == "Steps" and len(path) > 1}
    return Step(row["Name"], row["Type"], row, parent, frozenset(referred | set(row.get("DependsOn") or [])))


def _check_parameters(parameters: Mapping[str, Row]) -> None:
    for name, row in parameters.items():
        kind = PARAMETER_TYPES.get(row.get("Type", ""))
        if kind is None:
            raise wrong(f"parameter {name}: type {row.get('Type')} is none of {', '.join(PARAMETER_TYPES)}")
        default = row.get("DefaultValue")
        if default is not None and not _is_of(kind, default):
            raise wrong(f"parameter {name}: its default {default!r} is not of type {row['Type']}")


def _is_of(kind: type, value: Any) -> bool:
    if isinstance(value, bool) or kind is bool:
        return kind is bool and isinstance(value, bool)
    return isinstance(value, int | float if kind is float else kind)


def _check_step(definition: Definition, step: Step) -> None:
    if step.type not in STEP_TYPES:
        raise invalid(
            f"Step {step.name}: localcloud does not implement steps of type {step.type}; "
            f"it implements {', '.join(STEP_TYPES)}."
        )
    absent = step.needs - set(definition.steps)
    if absent or step.name in step.needs:
        raise wrong(f"step {step.name} refers to {', '.join(sorted(absent)) or 'itself'}, which is no earlier step")
    _check_arguments(step)
    for path in found([step.row.get("Arguments"), step.row.get("FunctionArn")]):
        _check_reference(definition, step, path)


def _check_arguments(step: Step) -> None:
    arguments = step.row.get("Arguments")
    if step.type in CALLS:
        unknown = set(arguments or {}) - members(CALLS[step.type])
        if unknown:
            raise wrong(f"step {step.name}: {CALLS[step.type]} has no member {', '.join(sorted(unknown))}")
    if step.type == "Condition" and arguments:
        for condition in arguments["Conditions"]:
            if condition.get("Type") not in conditions.TYPES:
                raise wrong(f"step {step.name}: there is no condition {condition.get('Type')}")
    try:
        duration(str((step.row.get("CacheConfig") or {}).get("ExpireAfter") or ""))
        retries.check(step.row.get("RetryPolicies") or [])
    except ValueError as error:
        raise wrong(f"step {step.name}: {error}") from error
    if step.type == "Lambda" and not step.row.get("FunctionArn"):
        raise wrong(f"step {step.name} has no FunctionArn")


def _check_reference(definition: Definition, step: Step, path: str) -> None:
    try:
        parts = tokens(path)
    except ResolutionError as error:
        raise wrong(f"step {step.name}: {error}") from error
    root, name = parts[0], str(parts[1]) if len(parts) > 1 else ""
    known = {"Parameters": definition.parameters, "Execution": EXECUTION_VARIABLES, "Steps": definition.steps}
    if name not in known.get(str(root), ()):
        raise wrong(f"step {step.name} refers to {path}, which does not exist")
    if root == "Steps" and parts[2:3] == ["PropertyFiles"]:
        files = [row["PropertyFileName"] for row in definition.steps[name].row.get("PropertyFiles") or []]
        if parts[3:] != [] and parts[3] not in files:
            raise wrong(f"step {step.name} refers to {path}, and step {name} has no such property file")


def _check_order(definition: Definition) -> None:
    """Refuse circles; a step that waits for a condition step waits for what is inside it."""
    edges: dict[str, set[str]] = {}
    for step in definition.steps.values():
        edges[step.name] = set(step.needs) | ({step.parent[0]} if step.parent else set())
        for need in step.needs:
            edges[step.name] |= {*definition.inside(need, True), *definition.inside(need, False)} - {step.name}
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        raise wrong(f"the steps wait for each other: {' -> '.join(error.args[1])}") from error
