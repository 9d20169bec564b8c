"""One HTTP request as the routes see it, and the answer they give."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from .errors import RequestError

MAX_BODY = 1_000_000
MAX_TEXT = 256

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Reply(NamedTuple):
    """An answer before it is sent."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Request:
    """A request whose body may still be on its way."""

    __slots__ = ("_receive", "headers", "method", "path", "read_whole", "request_id", "scope", "started")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.started = time.perf_counter()
        self.scope = scope
        self.method: str = scope["method"]
        self.path: bytes = scope["raw_path"]  # still percent-encoded
        self.headers: dict[bytes, bytes] = dict(scope["headers"])  # names are in lower case
        self.request_id = self.text(b"x-amzn-requestid") or os.urandom(16).hex()
        self.read_whole = False
        self._receive = receive

    def text(self, name: bytes) -> str:
        """A header as short printable text, since it may go into an answer or a log line; empty if it is not there."""
        value = self.headers.get(name)
        return printable(value) if value else ""

    def query(self) -> dict[str, str]:
        """What follows the question mark."""
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), max_num_fields=20))

    async def body(self, seconds: float) -> bytes:
        """The whole body. Raises RequestError as soon as it is known to be too large, or if it takes too long."""
        length = self.headers.get(b"content-length", b"0")
        if len(length) > 18 or int(length) > MAX_BODY:
            raise too_large()
        message = {}
        try:
            async with asyncio.timeout(seconds):
                message = await self._receive()
                if message.get("more_body"):
                    message = {"body": await self._rest(message)}
        except TimeoutError:
            raise RequestError(408, "RequestTimeout", f"the body took longer than {seconds} seconds") from None
        self.read_whole = True
        body: bytes = message.get("body", b"")  # none if the caller has gone; then nobody reads the answer either
        if len(body) > MAX_BODY:
            raise too_large()
        return body

    async def _rest(self, message: dict[str, Any]) -> bytes:
        parts = [message["body"]]
        size = len(parts[0])
        while message.get("more_body") and size <= MAX_BODY:
            message = await self._receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        return b"".join(parts)

    def must_close(self, status: int) -> bool:
        """Whether what the caller still sends could be taken for its next request, or takes too long."""
        return not self.read_whole and (status == 408 or b"expect" in self.headers)


def printable(value: bytes) -> str:
    """At most 256 printable ASCII characters."""
    text = value.decode("latin-1")
    if len(text) <= MAX_TEXT and text.isascii() and text.isprintable():
        return text
    return re.sub(r"[^\x20-\x7e]", "", text)[:MAX_TEXT]


def too_large() -> RequestError:
    """The error for size."""
    return RequestError(413, "PayloadTooLarge", f"the body is larger than {MAX_BODY} bytes")


async def send_reply(request: Request, reply: Reply, send: Send) -> None:
    """Send an answer with the headers that every answer has."""
    headers = [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
    if attributes := request.headers.get(b"x-amzn-sagemaker-custom-attributes"):
        headers.append((b"x-amzn-sagemaker-custom-attributes", attributes))
    if reply.status >= 400 and request.must_close(reply.status):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
