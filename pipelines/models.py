"""Strict pydantic models, and pydantic's findings as one line a person can act on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pipelines.errors import ProjectError, nearest

MEANINGS: dict[str, str] = {}  # pattern -> what to write, in words


def text(pattern: str, meaning: str) -> Any:
    """The pattern of a text; `meaning` tells a person what to write instead."""
    MEANINGS[pattern] = meaning
    return Field(pattern=pattern, description=meaning)


class Section(BaseModel):
    """A frozen mapping whose keys are all known and whose values are of the type that was written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)


Model = TypeVar("Model", bound=Section)


def parse(model: type[Model], path: Path, document: Mapping[str, Any]) -> Model:
    """The document as that model. Raises ProjectError `path: key: what is wrong; what would be right`."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        # an unknown key often is why another one is missing: say that first
        findings = sorted(error.errors(), key=lambda finding: finding["type"] != "extra_forbidden")
        first, more = findings[0], len(findings) - 1
        rest = f" (and {more} more)" if more else ""
        raise ProjectError(f"{path}: {_sentence(model, first)}{rest}") from error


def problem(model: type[Section], document: Mapping[str, Any]) -> str | None:
    """`key: what is wrong; what would be right` of the first thing that is wrong in the document, or None."""
    try:
        model.model_validate(document)
    except ValidationError as error:
        return _sentence(model, error.errors()[0])
    return None


def _sentence(model: type[BaseModel], finding: ErrorDetails) -> str:
    location = [part for part in finding["loc"] if part != "[key]"]
    key = _key(location)
    if finding["type"] == "extra_forbidden":
        names = _names(model, location[:-1])
        match = nearest(str(location[-1]), names)
        remedy = f"did you mean {match}?" if match else f"known keys: {', '.join(names)}"
        return f"{key}: unknown key; {remedy}"
    if finding["type"] == "missing":
        return f"{key}: missing; add it"
    if finding["type"] in {"value_error", "assertion_error"}:
        message = str(finding["ctx"]["error"])
        return f"{key}: {message}" if key else message
    value = finding["input"]
    return f"{key}: {'is empty' if value is None else _shown(value) + ' is wrong'}; {_remedy(finding)}"


def _key(location: list[Any]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _remedy(finding: ErrorDetails) -> str:
    """pydantic's own words, except for a pattern: a regular expression alone helps nobody."""
    pattern = finding.get("ctx", {}).get("pattern")
    if pattern in MEANINGS:
        return f"write {MEANINGS[pattern]}"
    if finding["type"] in {"too_short", "too_long"}:
        context = finding["ctx"]
        few = finding["type"] == "too_short"
        return f"give at least {context['min_length']}" if few else f"give at most {context['max_length']}"
    if finding["type"] in {"model_type", "dict_type"}:
        return "it must be a mapping"
    return (
        finding["msg"].replace("Input should", "it must").replace("String should", "it must").replace("tuple", "list")
    )


def _shown(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else f"a list of {len(value)}"
    if isinstance(value, bool):
        return str(value).lower()
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _names(model: type[BaseModel], location: list[Any]) -> list[str]:
    """The keys that exist at a location of the model."""
    current: Any = model
    for part in location:
        # an index or a key of a dict is passed over: _inner already looked inside
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = _inner(current.model_fields[part].annotation)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _inner(annotation: Any) -> Any:
    """The model inside tuple[Model, ...], dict[str, Model] or Model | None; otherwise the annotation itself."""
    arguments = getattr(annotation, "__args__", ())
    models = [item for item in arguments if isinstance(item, type) and issubclass(item, BaseModel)]
    return models[0] if models else annotation
