"""The Lambda function behind the HTTP API (payload format 2.0): `api_code.api.handler`.

Logs one line of JSON a request, and never whom it was about: no id of a user or an item, no query, no body.
"""

import json
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from . import feedback, recommendations
from .clients import Outside, outside
from .errors import ApiError

Answer = Callable[[Mapping[str, Any], str, Outside], dict[str, Any]]
# a new route is one function, one line here and one route in infra/serving.yml
ROUTES: dict[str, Answer] = {
    "GET /recommendations/{userId}": recommendations.get,
    "POST /events": feedback.post,
}


def handler(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    return respond(event, outside())


def respond(event: Mapping[str, Any], world: Outside) -> dict[str, Any]:
    """The response to one request of API Gateway: always JSON, always with a requestId."""
    started = time.monotonic()
    request_id, route = event["requestContext"]["requestId"], event["routeKey"]
    note: dict[str, Any] = {"requestId": request_id, "route": route}
    try:
        found = ROUTES[route](event, request_id, world)
        status, body = found["statusCode"], found["body"]
        note |= {name: body[name] for name in ("variant", "strategy", "duplicate") if name in body}
    except ApiError as error:
        status, body = error.status, error.body(request_id)
        note["code"] = error.code
    except Exception as error:  # noqa: BLE001 our fault: the caller gets the requestId, the log gets the place
        status, body = 500, ApiError(500, "InternalError", "something went wrong here").body(request_id)
        # not the message, which may hold what the caller sent
        frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        note |= {"code": "InternalError", "type": type(error).__name__, "frames": frames}
    print(json.dumps({**note, "status": status, "milliseconds": round((time.monotonic() - started) * 1000, 1)}))
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body, ensure_ascii=False)}
