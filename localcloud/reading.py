"""From an HTTP request to a validated value of botocore's input shape."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from botocore.model import Shape
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator, ValidationErrors
from moto.core.model import OperationModel
from moto.core.parse import QueryParser
from werkzeug.wrappers import Request

from .service import CloudError

_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def read(operation: OperationModel, request: Request, path_values: Mapping[str, str]) -> dict[str, Any]:
    """The operation's input; CloudError ValidationException names each member that is wrong."""
    shape = operation.input_shape
    if shape is None:
        return {}
    protocol = operation.service_model.resolved_protocol
    if protocol == "query":
        value = _query(operation, request)
    elif protocol == "json":
        value = read_json(shape, _body(request))
    else:
        value = _rest(shape, request, path_values)
    errors = Validator().validate(value, shape)
    if errors.has_errors():
        code = "ValidationError" if protocol == "query" else "ValidationException"
        raise CloudError(code, errors.generate_report())
    return dict(value)


class _Errors(ValidationErrors):  # type: ignore[misc]
    """botocore's list of errors, with room for a finished sentence."""

    def constraint(self, name: str, value: Any, constraint: str) -> None:
        """Report in the words the services use."""
        member = self._get_name(name)
        sentence = f"Value {str(value)[:200]!r} at {member!r} failed to satisfy constraint: {constraint}"
        self._errors.append(("constraint", name, {"sentence": sentence}))

    def _format_error(self, error: tuple[str, str, dict[str, Any]]) -> str:
        return str(error[2].get("sentence") or super()._format_error(error))


class Validator(ParamValidator):  # type: ignore[misc]
    """botocore's validator, which looks at types, presence and minima, with the services' own checks beside it."""

    def validate(self, params: Any, shape: Shape) -> _Errors:
        """Every error of `params`, not only the first."""
        errors = _Errors()
        self._validate(params, shape, errors, name="")
        return errors

    def _validate(self, params: Any, shape: Shape, errors: _Errors, name: str) -> None:
        super()._validate(params, shape, errors, name)
        if isinstance(params, str) and shape.type_name == "string":
            _check_string(params, shape, errors, name)
        size = _size(params)
        if size is not None and "max" in shape.metadata and size > shape.metadata["max"]:
            errors.constraint(name, params, f"Member must be at most {shape.metadata['max']}")


def _check_string(value: str, shape: Shape, errors: _Errors, name: str) -> None:
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        errors.constraint(name, value, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    try:
        pattern = re.compile(shape.metadata.get("pattern", ""))
    except re.error:  # some models use Java's own classes
        return
    if pattern.pattern and not pattern.fullmatch(value):
        errors.constraint(name, value, f"Member must satisfy regular expression pattern: {pattern.pattern}")


def _size(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    return len(value) if isinstance(value, str | list | bytes) else None


def read_json(shape: Shape, value: Any) -> Any:
    """A decoded JSON value as the shape's Python value; what does not fit is left for the validator to name."""
    if shape.type_name == "structure" and isinstance(value, dict) and not shape.is_document_type:
        return _structure(shape, value)
    if shape.type_name == "list" and isinstance(value, list):
        return [read_json(shape.member, item) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: read_json(shape.value, item) for key, item in value.items()}
    return _scalar(shape, value)


def _structure(shape: Shape, value: Mapping[str, Any]) -> dict[str, Any]:
    """Only the members the model knows: the services ignore others too."""
    found = {}
    for name, member in shape.members.items():
        item = value.get(member.serialization.get("name", name))
        if item is not None and "location" not in member.serialization:
            found[name] = read_json(member, item)
    return found


def _scalar(shape: Shape, value: Any) -> Any:
    try:
        if shape.type_name == "blob" and isinstance(value, str):
            return base64.b64decode(value, validate=True)
        if shape.type_name == "timestamp":
            return parse_timestamp(value)
    except ValueError:
        return value
    if shape.type_name in ("float", "double") and isinstance(value, str):
        return _FLOATS.get(value, value)
    return value


def _body(request: Request) -> Any:
    data = request.get_data()
    try:
        return json.loads(data) if data else {}
    except ValueError as error:
        raise CloudError("SerializationException", f"the request body is not JSON: {error}") from error


def _query(operation: OperationModel, request: Request) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = QueryParser(operation).parse({"values": request.values})
    except ValueError as error:
        raise CloudError("ValidationError", f"{operation.name}: {error}") from error
    return parsed


def _rest(shape: Shape, request: Request, path_values: Mapping[str, str]) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    if payload is None:
        body = _body(request) if _has_body(shape) else {}
        found = _structure(shape, body) if isinstance(body, dict) else body
    elif shape.members[payload].type_name in ("blob", "string"):
        data = request.get_data()
        found = {payload: data} if data else {}
    else:
        found = {payload: read_json(shape.members[payload], _body(request))}
    for name, member in shape.members.items():
        text = _located(name, member, request, path_values)
        if text is not None:
            found[name] = text
    return found


def _has_body(shape: Shape) -> bool:
    return any("location" not in member.serialization for member in shape.members.values())


def _located(name: str, member: Shape, request: Request, path_values: Mapping[str, str]) -> Any:
    """The member's value from path, query string or header; None if it does not live there or is absent."""
    location, key = member.serialization.get("location"), member.serialization.get("name", name)
    if location == "querystring" and member.type_name == "list":
        return request.args.getlist(key) or None
    if location == "headers":
        prefix = key.lower()
        return {k[len(prefix) :]: v for k, v in request.headers.items() if k.lower().startswith(prefix)}
    source = {"uri": path_values, "querystring": request.args, "header": request.headers}.get(location)
    text = source.get(key) if source is not None else None
    if text is None:
        return None
    return _from_text(member, unquote(text) if location == "uri" else text)


def _from_text(shape: Shape, text: str) -> Any:
    """A value that travelled as text, where JSON would have had a type."""
    try:
        if shape.type_name in ("integer", "long"):
            return int(text)
        if shape.type_name == "boolean":
            return {"true": True, "false": False}.get(text.lower(), text)
        if shape.type_name in ("float", "double"):
            return float(text)
    except ValueError:
        return text
    return _scalar(shape, text)
