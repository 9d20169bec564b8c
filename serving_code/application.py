"""The ASGI application: routes, limits, and errors as JSON. Models answer in threads, so /ping never waits for one."""

import asyncio
import re
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from .answers import dump
from .archive import load
from .errors import ArchiveError, RequestError
from .formats import FORMATS
from .operations import Call
from .recommender import Recommender
from .settings import Settings

MAX_BODY = 1_000_000
SHORT = 4096  # bytes that are parsed at once; /ping would wait for a longer body's parsing
THREADS = 2

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Reply:
    """An answer before it is sent."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"


class Application:
    """One model behind /ping and /invocations. It starts without the model and loads it while it already listens."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.recommender: Recommender | None = None
        self.loaded_at = ""
        self.trouble = "the model is being loaded"
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="model")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "lifespan":
            await self.live(receive, send)
        elif scope["type"] == "http":
            await self.respond(scope, receive, send)

    async def live(self, receive: Receive, send: Send) -> None:
        """Start loading at start-up; end the threads at shutdown."""
        await receive()
        loading = asyncio.get_running_loop().run_in_executor(self._threads, self.load)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await loading
        self._threads.shutdown()
        await send({"type": "lifespan.shutdown.complete"})

    def load(self) -> None:
        """Load the model, warm it up, and let it answer its golden requests; until then /ping says 503 and why."""
        try:
            recommender = Recommender(load(self.settings.model_dir))
            failure = recommender.golden_failure()
        except ArchiveError as error:
            failure = str(error)
        except Exception as error:  # noqa: BLE001 - a graph may load and still not run: a wrong model, no reason to die
            failure = f"the model does not run: {type(error).__name__}: {error}"
        if failure:
            self.trouble = failure
            print(f"error: model not loaded: {failure}", file=sys.stderr, flush=True)
            return
        self.loaded_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.recommender = recommender

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; what goes wrong inside is logged, and the caller gets no stack trace."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        request_id = header(headers, b"x-amzn-requestid") or uuid.uuid4().hex
        try:
            reply = await self.route(scope, headers, request_id, receive)
        except RequestError as error:
            reply = Reply(error.status, dump(error.body(request_id)))
        except Exception:  # noqa: BLE001 - the last resort keeps the worker alive
            traceback.print_exc()
            failed = RequestError(500, "InternalError", "the model failed on this request; its log says why")
            reply = Reply(500, dump(failed.body(request_id)))
        sent = [(b"content-type", reply.content_type), (b"content-length", str(len(reply.body)).encode())]
        if attributes := headers.get(b"x-amzn-sagemaker-custom-attributes"):
            sent.append((b"x-amzn-sagemaker-custom-attributes", attributes))
        await send({"type": "http.response.start", "status": reply.status, "headers": sent})
        await send({"type": "http.response.body", "body": reply.body})

    async def route(self, scope: Scope, headers: dict[bytes, bytes], request_id: str, receive: Receive) -> Reply:
        """The two routes that there are."""
        asked = (scope["method"], scope["path"])
        if asked == ("GET", "/ping"):
            return self.ping()
        if asked == ("POST", "/invocations"):
            return await self.invoke(headers, request_id, receive)
        message = f"no route {scope['method']} {scope['path'][:100]}; there are GET /ping and POST /invocations"
        raise RequestError(404, "NotFound", message)

    def ping(self) -> Reply:
        """Ready, and with which model."""
        recommender = self.ready()
        found = {
            "model_version": self.settings.model_version,
            "run_id": self.settings.run_id,
            "sha256": recommender.archive.sha256,
            "loaded_at": self.loaded_at,
        }
        return Reply(200, dump(found))

    async def invoke(self, headers: dict[bytes, bytes], request_id: str, receive: Receive) -> Reply:
        """Answer a body in the format that its content type names."""
        kind = header(headers, b"content-type").partition(";")[0].strip().lower()
        if kind not in FORMATS:
            raise RequestError(415, "UnsupportedMediaType", f"content type is {kind!r}; known are {', '.join(FORMATS)}")
        body = await read_body(headers, receive)
        variant = header(headers, b"x-amzn-sagemaker-target-variant") or "main"
        call = Call(self.ready(), self.settings, request_id, variant)
        form = FORMATS[kind]
        started = time.perf_counter()
        run = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        request = form.read(body) if len(body) <= SHORT else await run(form.read, body)
        found = form.quick(request, call)
        if found is None:
            found = await run(form.answer, request, call)
        log(headers, request_id, variant, time.perf_counter() - started)
        return Reply(200, found, form.content_type)

    def ready(self) -> Recommender:
        """The model, or 503 with the reason why there is none."""
        if self.recommender is None:
            raise RequestError(503, "ModelNotReady", self.trouble)
        return self.recommender


async def read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """The whole body, refused as soon as it is known to be too large."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > MAX_BODY:
        raise too_large()
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise too_large()
        more = message.get("more_body", False)
    return b"".join(parts)


def too_large() -> RequestError:
    """The error for size."""
    return RequestError(413, "PayloadTooLarge", f"the body is larger than {MAX_BODY} bytes")


def header(headers: dict[bytes, bytes], name: bytes) -> str:
    """A header as short printable text, since it may go into an answer or a log line."""
    return re.sub(r"[^\x20-\x7e]", "", headers.get(name, b"").decode("latin-1"))[:256]


def log(headers: dict[bytes, bytes], request_id: str, variant: str, seconds: float) -> None:
    """One line for a call that SageMaker marked with an inference id; no user id is ever logged."""
    if inference := header(headers, b"x-amzn-sagemaker-inference-id"):
        shown = {"requestId": request_id, "inferenceId": inference, "variant": variant, "ms": round(seconds * 1e3, 3)}
        print(dump(shown).decode(), flush=True)
