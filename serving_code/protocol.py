"""HTTP as uvicorn reads it, with errors of the protocol answered as JSON like all others."""

import os
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .answers import dump
from .errors import RequestError

HEAD_SECONDS = 10  # for the first request's headers to arrive


class HttpProtocol(HttpToolsProtocol):
    """Closes a connection on which no request arrives, and says in JSON what was wrong with one that is not HTTP."""

    def connection_made(self, transport: Any) -> None:
        """Give the caller a limited time to say what they want."""
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._close_unless_asked)

    def send_400_response(self, msg: str) -> None:
        """Answer what could not be read as HTTP; there is no telling where the next request begins, so it closes."""
        error = RequestError(400, "BadRequest", "the request is not HTTP/1.1")
        body = dump(error.body(os.urandom(16).hex()))
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()

    def _close_unless_asked(self) -> None:
        cycle: Any = self.cycle  # None until there was a request, whatever its type says
        if cycle is None and not self.transport.is_closing():
            self.transport.close()
