"""Payload format 2.0: from an HTTP request to the event of a function, and from its result to an HTTP answer. Pure.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

_TEXT = ("text/", "application/json", "application/javascript", "application/xml")


@dataclass(frozen=True)
class Incoming:
    """A request as it came in; `path` begins after the API's own address and is still encoded, as is `query`."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    source: str
    protocol: str = "HTTP/1.1"


@dataclass(frozen=True)
class Taken:
    """Where a request goes."""

    account: str
    api: str
    region: str
    stage: str
    route: str
    parameters: Mapping[str, str]
    request_id: str
    at: datetime
    signer: Mapping[str, Any] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outgoing:
    """The answer to the client."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def event(request: Incoming, taken: Taken) -> dict[str, Any]:
    """The function's event."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    cookies = [part.strip() for part in headers.pop("cookie", "").split(";") if part.strip()]
    body, encoded = _body(request.body, headers.get("content-type", ""))
    path = unquote(request.path)
    found: dict[str, Any] = {
        "version": "2.0",
        "routeKey": taken.route,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": _context(request, taken, path),
        "isBase64Encoded": encoded,
    }
    more = {
        "cookies": cookies,
        "queryStringParameters": _query(request.query),
        "pathParameters": dict(taken.parameters),
        "stageVariables": dict(taken.variables),
        "body": body,
    }
    return found | {name: value for name, value in more.items() if value}


def _context(request: Incoming, taken: Taken, path: str) -> dict[str, Any]:
    domain = f"{taken.api}.execute-api.{taken.region}.amazonaws.com"
    agent = next((value for name, value in request.headers.items() if name.lower() == "user-agent"), "")
    return {
        "accountId": taken.account,
        "apiId": taken.api,
        **({"authorizer": {"iam": dict(taken.signer)}} if taken.signer else {}),
        "domainName": domain,
        "domainPrefix": taken.api,
        "http": {
            "method": request.method,
            "path": path,
            "protocol": request.protocol,
            "sourceIp": request.source,
            "userAgent": agent,
        },
        "requestId": taken.request_id,
        "routeKey": taken.route,
        "stage": taken.stage,
        "time": f"{taken.at:%d/%b/%Y:%H:%M:%S %z}",
        "timeEpoch": int(taken.at.timestamp() * 1000),
    }


def _query(text: str) -> dict[str, str]:
    """Values of a repeated name are joined by commas."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _body(data: bytes, content_type: str) -> tuple[str, bool]:
    """(the body, whether it is base64): text stays text."""
    try:
        if not content_type or content_type.lower().startswith(_TEXT):
            return data.decode(), False
    except UnicodeDecodeError:
        pass
    return base64.b64encode(data).decode(), bool(data)


def answer(result: bytes) -> Outgoing:
    """The answer a function's result (JSON) asks for; ValueError if it is none."""
    found = json.loads(result)
    if not isinstance(found, dict) or "statusCode" not in found:  # the body alone: API Gateway adds the rest
        text = found if isinstance(found, str) else json.dumps(found)
        return Outgoing(200, [("content-type", "application/json")], text.encode())
    headers = {str(name).lower(): _scalar(value) for name, value in (found.get("headers") or {}).items()}
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    pairs = [*headers.items(), *(("set-cookie", str(cookie)) for cookie in found.get("cookies") or [])]
    body = "" if found.get("body") is None else found["body"]
    if not isinstance(body, str):
        raise ValueError("the body is not text")
    try:
        data = base64.b64decode(body, validate=True) if found.get("isBase64Encoded") else body.encode()
    except binascii.Error as error:
        raise ValueError("the body is not base64") from error
    return Outgoing(_status(found["statusCode"]), pairs, data)


def _status(value: Any) -> int:
    status = int(value)
    if not 100 <= status <= 599:
        raise ValueError(f"{status} is no status")
    return status


def _scalar(value: Any) -> str:
    if isinstance(value, dict | list):
        raise ValueError("a header's value is not text")
    return json.dumps(value) if isinstance(value, bool) else str(value)


def refusal(status: int, message: str) -> Outgoing:
    """An error of API Gateway's own."""
    return Outgoing(status, [("content-type", "application/json")], json.dumps({"message": message}).encode())
