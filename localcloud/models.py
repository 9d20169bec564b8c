"""botocore's service models: the names, shapes and paths everything is read and written by."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from botocore.exceptions import UnknownServiceError
from moto.core.model import OperationModel, ServiceModel
from moto.core.utils import get_service_model
from werkzeug.wrappers import Request

# the name in a request's signature is not always botocore's name of the service
_SIGNED_AS = {
    "apigateway": "apigatewayv2",  # the first version has no operation here
    "monitoring": "cloudwatch",
    "elasticmapreduce": "emr",
    "states": "stepfunctions",
    "email": "ses",
    "execute-api": "apigatewaymanagementapi",
    "elasticloadbalancing": "elbv2",
    "tagging": "resourcegroupstaggingapi",
}
_PLACEHOLDER = re.compile(r"\\{(\w+)(\\\+)?\\}")


@cache
def service_model(name: str) -> ServiceModel | None:
    """The model of a service under botocore's name; None if botocore knows no such service."""
    try:
        return get_service_model(name)
    except UnknownServiceError:
        return None


def service_name(scope: str) -> str:
    """botocore's name of the service whose requests are signed as `scope`."""
    return _SIGNED_AS.get(scope, scope)


def operation_model(service: str, operation: str) -> OperationModel | None:
    """The model of one operation, None if the service has none of that name."""
    model = service_model(service)
    if model is None or operation not in model.operation_names:
        return None
    return model.operation_model(operation)


@dataclass(frozen=True)
class _Route:
    """How one operation of a REST service is addressed; `query` must be in the query string."""

    operation: str
    method: str
    path: re.Pattern[str]
    query: frozenset[tuple[str, str]]
    literal: int  # characters that are no placeholder: the most literal of two fitting routes is meant


@cache
def _routes(service: str) -> list[_Route]:
    model = service_model(service)
    if model is None or not model.protocol.startswith("rest"):
        return []
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path, _, query = str(http["requestUri"]).partition("?")
        pattern = _PLACEHOLDER.sub(lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(path.rstrip("/")))
        literals = frozenset(parse_qsl(query, keep_blank_values=True)) - {("x-id", name)}
        literal = len(re.sub(r"\{.*?\}", "", path)) + 100 * len(literals)
        found.append(_Route(name, str(http["method"]), re.compile(f"{pattern}/?"), literals, literal))
    return sorted(found, key=lambda each: -each.literal)


def route(service: str, request: Request) -> tuple[str, dict[str, Any]] | None:
    """The operation of a REST request, and the placeholders of its (still encoded) path."""
    given = set(request.args.items(multi=True))
    for each in _routes(service):
        match = each.path.fullmatch(raw_path(request)) if each.method == request.method else None
        if match and each.query <= given:
            return each.operation, match.groupdict()
    return None


def raw_path(request: Request) -> str:
    """The path as it was sent, still percent-encoded: an ARN in a path holds encoded slashes."""
    return str(request.environ.get("RAW_URI") or request.path).split("?", 1)[0]
