"""The addresses of all HTTP APIs, a WSGI application below /_api: http://127.0.0.1:<port>/_api/<api id>/<path>."""

import json
import queue
import re
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from ..cloud import ACCOUNT
from ..lambda_functions.invocation import Result, invoke_now
from ..lambda_functions.state import find as find_function
from ..models import raw_path
from ..service import CloudError
from . import access_log, payload
from .matching import match
from .payload import Incoming, Outgoing, Taken, refusal
from .state import Api, Row, state
from .throttle import Bucket

if TYPE_CHECKING:
    from ..cloud import Cloud

PREFIX = "/_api"
BODY_LIMIT = 10 * 1024 * 1024
_BURST, _RATE = 5000.0, 10_000.0  # an account's own limits
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/[^/]+/execute-api/aws4_request")


class Door:
    """Answers requests to APIs as API Gateway does."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ, populate_request=False)
        request_id, began = str(uuid.uuid4()), time.monotonic()
        note: Row = {"requestId": request_id, "requestTimeEpoch": int(time.time() * 1000)}
        try:
            found = self._answer(request, note)
        except Exception:  # noqa: BLE001 a fault of ours: the client gets a 500, the log the traceback
            print(f"api gateway:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            found = refusal(500, "Internal Server Error")
        latency = round((time.monotonic() - began) * 1000)
        self._log(note | {"status": found.status, "responseLength": len(found.body), "responseLatency": latency})
        headers = [*found.headers, ("apigw-requestid", request_id)]
        response = Response(found.body, found.status, headers)
        answer: Iterable[bytes] = response(environ, start_response)
        return answer

    def _answer(self, request: Request, note: Row) -> Outgoing:
        identity, _, rest = raw_path(request).removeprefix(f"{PREFIX}/").partition("/")
        api = state(self._cloud).apis.get(identity)
        place = stage_of(api, f"/{rest}") if api else None
        if api is None or place is None:
            return refusal(404, "Not Found")
        stage, path = place
        note |= {"stage": stage, "api": api, "apiId": api.id, "accountId": self._cloud.account}
        note |= {"httpMethod": request.method, "path": unquote(path), "identity.sourceIp": request.remote_addr}
        routes = {row["RouteKey"]: row for row in list(api.parts["Route"].values())}
        found = match(routes, request.method, path)
        if found is None:
            return refusal(404, "Not Found")
        note["routeKey"] = found[0]
        return self._take(request, routes[found[0]], found[1], (path, note))

    def _take(self, request: Request, route: Row, parameters: dict[str, str], place: tuple[str, Row]) -> Outgoing:
        """The route's answer, or a refusal before its function is asked."""
        path, note = place
        api: Api = note["api"]
        signer = signed(request) if route["AuthorizationType"] == "AWS_IAM" else None
        if route["AuthorizationType"] == "AWS_IAM" and signer is None:
            return refusal(403, "Forbidden")
        settings = api.parts["Stage"][note["stage"]]
        if not self._bucket(api, note["stage"], settings).take():
            return refusal(429, "Too Many Requests")
        if int(request.content_length or 0) > BODY_LIMIT:
            return refusal(413, "Request Entity Too Large")
        text = str(request.environ.get("QUERY_STRING", ""))
        incoming = Incoming(
            request.method, path, text, dict(request.headers), request.get_data(), str(request.remote_addr)
        )
        taken = Taken(
            self._cloud.account, api.id, self._cloud.region, note["stage"], route["RouteKey"], parameters,
            note["requestId"], datetime.now(UTC), signer, settings.get("StageVariables", {}),
        )  # fmt: skip
        integration = api.parts["Integration"][route["Target"].removeprefix("integrations/")]
        return self._invoke(integration, payload.event(incoming, taken), note)

    def _bucket(self, api: Api, stage: str, settings: Row) -> Bucket:
        given = settings.get("DefaultRouteSettings", {})
        limits = given.get("ThrottlingBurstLimit", _BURST), given.get("ThrottlingRateLimit", _RATE)
        bucket = self._buckets.get((api.id, stage))
        if bucket is None or bucket.limits != limits:
            bucket = self._buckets[api.id, stage] = Bucket(*limits)
        return bucket

    def _invoke(self, integration: Row, event: Row, note: Row) -> Outgoing:
        """What the function answers; whatever goes wrong with it is a 500, and taking too long a 503."""
        name = integration["IntegrationUri"].partition("/functions/")[2].removesuffix("/invocations")
        name = name or integration["IntegrationUri"]
        box: queue.SimpleQueue[Result | CloudError] = queue.SimpleQueue()
        began = time.monotonic()

        def ask() -> None:
            try:
                box.put(invoke_now(self._cloud, find_function(self._cloud, name), json.dumps(event).encode()))
            except CloudError as error:
                box.put(error)

        self._cloud.spawn(ask, f"api-{note['requestId']}")
        try:
            result = box.get(timeout=integration["TimeoutInMillis"] / 1000)
        except queue.Empty:
            note["integrationErrorMessage"] = "the integration timed out"
            return refusal(503, "Service Unavailable")
        note["integrationLatency"] = round((time.monotonic() - began) * 1000)
        if isinstance(result, CloudError) or result.failed:
            note["integrationErrorMessage"] = str(result) if isinstance(result, CloudError) else "the function failed"
            return refusal(500, "Internal Server Error")
        try:
            found = payload.answer(result.payload)
        except (ValueError, TypeError, AttributeError) as error:
            note["integrationErrorMessage"] = f"the function's answer is not of payload format 2.0: {error}"
            return refusal(500, "Internal Server Error")
        note["integrationStatus"] = found.status
        return found

    def _log(self, note: Row) -> None:
        """A line in the stage's access log, if it has one; the client does not wait for it."""
        api: Api | None = note.get("api")
        settings = api.parts["Stage"].get(note["stage"], {}).get("AccessLogSettings") if api else None
        if not settings:
            return
        at = datetime.fromtimestamp(note["requestTimeEpoch"] / 1000, UTC)
        values = note | {"requestTime": f"{at:%d/%b/%Y:%H:%M:%S %z}", "protocol": "HTTP/1.1"}
        group = settings["DestinationArn"].partition(":log-group:")[2].removesuffix(":*")
        text = access_log.line(settings["Format"], values)
        self._cloud.spawn(lambda: self._cloud.log(group, f"{note['apiId']}-{note['stage']}", [text]), "access-log")


def stage_of(api: Api, path: str) -> tuple[str, str] | None:
    """(the stage, the path it sees): a first segment that is a stage's name, else $default, else None."""
    first, _, rest = path[1:].partition("/")
    if first in api.parts["Stage"]:
        return first, f"/{rest}"
    return ("$default", path) if "$default" in api.parts["Stage"] else None


def signed(request: Request) -> Row | None:
    """Who signed the request, for the function to see; None if nobody did. The signature is not verified."""
    found = _SIGNED.match(request.headers.get("Authorization", ""))
    key = found["key"] if found else request.args.get("X-Amz-Credential", "").partition("/")[0]
    if not key:
        return None
    return {
        "accessKey": key,
        "accountId": ACCOUNT,
        "callerId": key,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": f"arn:aws:iam::{ACCOUNT}:user/{key}",
        "userId": key,
    }
