"""Which function answers a path and a method."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from .errors import RequestError
from .exchange import Reply, Request

MAX_NAME = 1024

Handler = Callable[[Request], Awaitable[Reply]]
NamedHandler = Callable[[Request, str], Awaitable[Reply]]


class Named(NamedTuple):
    """A route whose path is /models/, a name of any characters, and an end that depends on the method."""

    end: bytes
    handler: NamedHandler


class Routes:
    """A table of exact paths, and one of methods for the paths that hold a model's name."""

    def __init__(self, exact: Mapping[bytes, Mapping[str, Handler]], named: Mapping[str, Named] | None = None) -> None:
        self._exact = exact
        self._named = named or {}

    async def answer(self, request: Request) -> Reply:
        """Ask the function for this request. Raises RequestError 404 or 405."""
        methods = self._exact.get(request.path)
        if methods is None:
            return await self._answer_named(request)
        handler = methods.get(request.method) or (methods.get("GET") if request.method == "HEAD" else None)
        if handler is None:
            raise wrong_method(request, methods)
        return await handler(request)

    async def _answer_named(self, request: Request) -> Reply:
        if not self._named or not request.path.startswith(b"/models/"):
            raise no_route(request, self._exact)
        route = self._named.get("GET" if request.method == "HEAD" else request.method)
        if route is None or not request.path.endswith(route.end):
            raise wrong_method(request, self._named)
        return await route.handler(
            request, name_in(request.path[len(b"/models/") : len(request.path) - len(route.end)])
        )


def name_in(encoded: bytes) -> str:
    """A model's name as it was before it was percent-encoded into a path. Raises RequestError."""
    try:
        name = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise RequestError(400, "BadRequest", "the model's name in the path is not UTF-8", "model_name") from None
    return checked_name(name)


def checked_name(name: object) -> str:
    """A model's name: any text that is not too long. Raises RequestError."""
    if not isinstance(name, str) or not name or len(name) > MAX_NAME:
        raise RequestError(400, "BadRequest", f"model_name is not a text of 1 to {MAX_NAME} characters", "model_name")
    return name


def no_route(request: Request, exact: Mapping[bytes, Mapping[str, Handler]]) -> RequestError:
    """The error for an unknown path."""
    known = ", ".join(f"{method} {path.decode()}" for path, methods in exact.items() for method in methods)
    shown = request.path[:100].decode("ascii", "replace")
    return RequestError(404, "NotFound", f"no route {request.method[:20]} {shown}; there are {known}")


def wrong_method(request: Request, methods: Mapping[str, object]) -> RequestError:
    """The error for a known path and another method."""
    allowed = ", ".join(methods)
    error = RequestError(405, "MethodNotAllowed", f"{request.method[:20]} is not answered on this path; {allowed} is")
    error.headers = ((b"allow", allowed.encode()),)
    return error
