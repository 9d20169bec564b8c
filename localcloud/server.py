"""A threaded HTTP/1.1 server on loopback with keep-alive.

werkzeug's own closes every connection, because an application may leave part of a body unread. Here the body is read
before the application runs (in memory, on disk above 8 MiB), and small answers leave in one packet.
"""

import itertools
import socketserver
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler

from .front import Application
from .service import CloudError

HOST = "127.0.0.1"
_SPOOL_BYTES = 8 * 1024 * 1024
_CHUNK = 1024 * 1024


class Handler(MotoRequestHandler):  # type: ignore[misc]
    """One connection: request after request until the client closes it."""

    disable_nagle_algorithm = True  # else a header and its body wait 40 ms for each other
    wbufsize = -1
    protocol_version = "HTTP/1.1"

    def handle_expect_100(self) -> bool:
        """Tell the client to go on, now: it waits a second for this line."""
        expected: bool = super().handle_expect_100()
        self.wfile.flush()
        return expected

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as body:
            self._receive(environ, body)
            answer = _Answer(self)
            result = self.server.app(environ, answer.start)
            try:
                answer.send(result, environ["REQUEST_METHOD"] == "HEAD")
            finally:
                close = getattr(result, "close", None)
                if close:
                    close()
        self.wfile.flush()

    def _receive(self, environ: dict[str, Any], body: Any) -> None:
        source = environ["wsgi.input"]
        if environ.pop("wsgi.input_terminated", False):
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            while data := source.read(_CHUNK):
                body.write(data)
            environ["CONTENT_LENGTH"] = str(body.tell())
        else:
            left = int(environ.get("CONTENT_LENGTH") or 0)
            while left and (data := source.read(min(left, _CHUNK))):
                body.write(data)
                left -= len(data)
        body.seek(0)
        environ["wsgi.input"] = body

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are not logged: services log what happens, and the log stays readable."""


class _Answer:
    """The response of one request, as WSGI's start_response collects it."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._status = ""
        self._headers: list[tuple[str, str]] = []

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        self._status, self._headers = status, headers
        return self._no_write

    def send(self, result: Iterable[bytes], head_only: bool) -> None:
        parts = iter(result)
        first = next(parts, b"")
        code, _, reason = self._status.partition(" ")
        names = {name.lower() for name, _ in self._headers}
        bodyless = head_only or int(code) in (204, 304)
        chunked = not bodyless and "content-length" not in names
        self._handler.send_response(int(code), reason)
        for name, value in self._headers:
            self._handler.send_header(name, value)
        if chunked:
            self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()
        if bodyless:
            return
        write = self._write_chunk if chunked else self._handler.wfile.write
        for data in itertools.chain([first], parts):
            write(data)
        if chunked:
            self._handler.wfile.write(b"0\r\n\r\n")

    def _write_chunk(self, data: bytes) -> None:
        if data:
            self._handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    @staticmethod
    def _no_write(_: bytes) -> None:
        raise NotImplementedError("WSGI's write() is not served here")


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on loopback only. The application is set once the port, and so the endpoint, is known."""

    allow_reuse_address = True
    request_queue_size = 512
    daemon_threads = True
    block_on_close = False
    # what werkzeug's handler asks of its server
    ssl_context = None
    multithread = True
    multiprocess = False
    _server_version = "localcloud"

    def __init__(self, port: int, app: Application | None = None) -> None:
        self.app = app or _not_ready
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            remedy = "choose another with --port, or --port 0 for any free one"
            raise CloudError("PortTaken", f"{HOST}:{port} cannot be used ({error.strerror}); {remedy}") from error

    @property
    def endpoint(self) -> str:
        """The address clients use."""
        return f"http://{HOST}:{self.server_address[1]}"


def _not_ready(_environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("503 Service Unavailable", [("Content-Length", "0")])
    return []
