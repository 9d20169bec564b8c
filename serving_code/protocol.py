"""HTTP as uvicorn reads it, with errors of the protocol answered as JSON like all others."""

import asyncio
import os
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .answers import dump
from .errors import RequestError

HEAD_SECONDS = 10  # for the first request's headers to arrive


class OneWrite:
    """A transport that sends the head of an answer together with its body.

    uvicorn writes one after the other: two system calls and two packets, which took a third of a quick answer's time.
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, content: bytes) -> None:
        """Hold a head back, and send anything else behind what was held."""
        if self._head:
            content, self._head = self._head + content, b""
        elif content.endswith(b"\r\n\r\n") and not content.startswith(b"HTTP/1.1 100"):
            self._head = content
            return
        self._transport.write(content)

    def flush(self) -> None:
        """Send a head that no body has followed."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Close once all is sent."""
        self.flush()
        self._transport.close()


class HttpProtocol(HttpToolsProtocol):
    """Closes a connection on which no request arrives, and says in JSON what was wrong with one that is not HTTP."""

    def connection_made(self, transport: Any) -> None:
        """Give the caller a limited time to say what they want."""
        super().connection_made(OneWrite(transport))  # type: ignore[arg-type]  # it has all that uvicorn asks of one
        self.loop.call_later(HEAD_SECONDS, self._close_unless_asked)

    def send_400_response(self, msg: str) -> None:
        """Answer what could not be read as HTTP; there is no telling where the next request begins, so it closes."""
        error = RequestError(400, "BadRequest", "the request is not HTTP/1.1")
        body = dump(error.body(os.urandom(16).hex()))
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()

    def on_response_complete(self) -> None:
        """An answer without a body, to HEAD, is sent too."""
        self.transport.flush()  # type: ignore[attr-defined]  # it is a OneWrite
        super().on_response_complete()

    def _close_unless_asked(self) -> None:
        cycle: Any = self.cycle  # None until there was a request, whatever its type says
        if cycle is None and not self.transport.is_closing():
            self.transport.close()
