"""Where bodies become answers: quick ones at once, the others in threads, and not more at a time than can be held."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from .errors import RequestError
from .exchange import Reply, Request
from .formats import FORMATS, Format
from .operations import Call
from .recommender import Recommender
from .settings import Settings

SHORT = 4096  # bytes that are looked at in the event loop; /ping would wait for a longer body

Found = TypeVar("Found")
BY_HEADER = {name.encode(): form for name, form in FORMATS.items()}


class Question(NamedTuple):
    """What was asked, parsed, and how to answer it."""

    form: Format
    request: Any
    short: bool
    variant: str


class Desk:
    """Counts the calls that are in: `with desk:` around a call refuses it with 429 if too many are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="model")
        self._inside = 0

    def __enter__(self) -> None:
        if self._inside >= self._settings.max_calls:
            message = f"{self._inside} calls are waiting; at most {self._settings.max_calls} may, so try again later"
            error = RequestError(429, "TooManyRequests", message)
            error.headers = ((b"retry-after", b"1"),)
            raise error
        self._inside += 1

    def __exit__(self, *_: object) -> None:
        self._inside -= 1

    async def run(self, function: Callable[..., Found], *given: object) -> Found:
        """Run in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *given)

    async def read(self, request: Request) -> Question:
        """Read and parse a body in the format that its content type names. Raises RequestError."""
        form = asked_format(request)
        check_accept(request, form)
        body = await request.body(self._settings.body_seconds)
        short = len(body) <= SHORT
        found = form.read(body) if short else await self.run(form.read, body)
        variant = request.text(b"x-amzn-sagemaker-target-variant") or self._settings.variant
        return Question(form, found, short, variant)

    async def answer(self, request: Request, question: Question, recommender: Recommender) -> Reply:
        """Answer with this model. Raises RequestError."""
        form = question.form
        call = Call(recommender, self._settings, request.request_id, question.variant)
        found = form.quick(question.request, call) if question.short else None
        if found is None:
            found = await self.run(form.answer, question.request, call)
        return Reply(200, found, form.content_type)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


def asked_format(request: Request) -> Format:
    """The format of the body, by its content type; parameters such as a character set are not looked at."""
    said = request.headers.get(b"content-type", b"")
    form = BY_HEADER.get(said)
    if form is None:
        form = BY_HEADER.get(said.partition(b";")[0].strip().lower())
    if form is None:
        kind, known = request.text(b"content-type"), ", ".join(FORMATS)
        raise RequestError(415, "UnsupportedMediaType", f"content type is {kind!r}; known are {known}")
    return form


def check_accept(request: Request, form: Format) -> None:
    """Refuse a call that could not use its answer. Quality values count only where they are zero."""
    accept = request.headers.get(b"accept")
    if not accept or accept in (b"*/*", form.content_type):
        return
    right = {b"*/*", form.content_type, form.content_type.partition(b"/")[0] + b"/*"}
    for one in accept.lower().split(b","):
        kind, *parameters = (part.strip() for part in one.split(b";"))
        if kind in right and not any(part.startswith(b"q=0") and not part[3:].strip(b".0") for part in parameters):
            return
    message = (
        f"the answer is {form.content_type.decode()}, which the Accept header {request.text(b'accept')!r} excludes"
    )
    raise RequestError(406, "NotAcceptable", message)
