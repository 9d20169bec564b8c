"""The ASGI application: start, end, and errors as JSON. Which path is answered how: single_model.py, multi_model.py."""

import asyncio
import traceback
from collections.abc import Callable
from typing import Protocol

from .answers import dump
from .errors import RequestError
from .exchange import Receive, Reply, Request, Scope, Send, send_reply
from .logbook import log
from .routes import Routes


class Service(Protocol):
    """One model or many."""

    routes: Routes

    def start(self) -> bool:
        """Load what is there from the start; whether the service is ready. Runs in a thread."""

    def close(self) -> None:
        """Wait for what is being computed, and let go."""


class Application:
    """Answers HTTP by a service. It takes calls at once, so that the reason for not being ready can be asked for."""

    def __init__(self, service: Service, variant: str, on_ready: Callable[[], None], loaded: bool) -> None:
        self._service = service
        self._variant = variant
        self._on_ready = on_ready
        self._loaded = loaded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "http":
            request = Request(scope, receive)
            reply = await self.reply(request)
            await send_reply(request, reply, send)
            if b"x-amzn-sagemaker-inference-id" in request.headers:
                log(request, reply.status, self._variant)
        elif scope["type"] == "lifespan":
            await self.live(receive, send)

    async def live(self, receive: Receive, send: Send) -> None:
        """Start loading at start-up; end the threads at shutdown."""
        await receive()
        loading = asyncio.get_running_loop().run_in_executor(None, self.load)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await loading
        self._service.close()
        await send({"type": "lifespan.shutdown.complete"})

    def load(self) -> None:
        """Load what is not loaded yet, and tell that it is."""
        if self._loaded or self._service.start():
            self._on_ready()

    async def reply(self, request: Request) -> Reply:
        """Answer one request; what goes wrong inside is logged, and the caller gets no stack trace."""
        try:
            return await self._service.routes.answer(request)
        except RequestError as error:
            return Reply(error.status, dump(error.body(request.request_id)), headers=error.headers)
        except Exception:  # noqa: BLE001 - the last resort keeps the worker alive
            traceback.print_exc()
            failed = RequestError(500, "InternalError", "the model failed on this request; its log says why")
            return Reply(500, dump(failed.body(request.request_id)))
