"""Many models behind one process, as SageMaker's multi-model endpoints ask for them: /models and what is below it."""

import asyncio
import base64
import binascii
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .answers import dump
from .archive import ArchiveError
from .desk import Desk
from .errors import RequestError
from .exchange import Reply, Request
from .formats import parse_json
from .model_files import ModelFiles, fetch
from .recommender import Recommender
from .routes import Named, Routes, checked_name
from .settings import Settings
from .shelf import AlreadyLoadedError, ChangedError, NoRoomError, NotLoadedError, Place, Shelf

LOADERS = 4
PAGE = 100
MOST_OF_A_PAGE = 1000

Found = TypeVar("Found")
# what the shelf says, and how HTTP says it
ANSWERS: dict[type[Exception], tuple[int, str, str]] = {
    NotLoadedError: (404, "ModelNotFound", "no model of this name is loaded: {}"),
    AlreadyLoadedError: (409, "ModelAlreadyLoaded", "a model of this name is loaded already: {}"),
    NoRoomError: (507, "InsufficientMemory", "{}"),
    ChangedError: (503, "ModelNotReady", "{}"),
    ArchiveError: (400, "InvalidModel", "{}"),
}


class MultiModel:
    """The models of a multi-model endpoint. It is ready without any."""

    def __init__(self, settings: Settings) -> None:
        self._desk = Desk(settings)
        self._loaders = ThreadPoolExecutor(LOADERS, thread_name_prefix="loader")
        self._body_seconds = settings.body_seconds

        def fetch_model(url: str) -> ModelFiles:
            return fetch(url, settings.trust, settings.cache_bytes)

        self._shelf = Shelf[Recommender](fetch_model, lambda model: model.archive.sha256, settings.cache_bytes)
        exact = {b"/ping": {"GET": self.ping}, b"/models": {"GET": self.list, "POST": self.load}}
        named = {
            "GET": Named(b"", self.describe),
            "DELETE": Named(b"", self.unload),
            "POST": Named(b"/invoke", self.invoke),
        }
        self.routes = Routes(exact, named)

    def start(self) -> bool:
        """Nothing is loaded before it is asked for."""
        return True

    def close(self) -> None:
        """Wait for what is being computed, and remove what was unpacked."""
        self._loaders.shutdown()
        self._desk.close()
        for name, _ in self._shelf.listed():
            self._shelf.unload(name)

    async def ping(self, request: Request) -> Reply:
        """Ready, with however many models."""
        return Reply(200, dump({"models": len(self._shelf.listed())}))

    async def load(self, request: Request) -> Reply:
        """POST /models {model_name, url}: 409 if it is there, 507 if there is no room, 400 if it is no model."""
        with self._desk:
            asked = parse_json(await request.body(self._body_seconds))
            name, url = (asked.get("model_name"), asked.get("url")) if isinstance(asked, dict) else (None, None)
            if not isinstance(url, str) or not url:
                raise RequestError(400, "BadRequest", "url is not the path of a folder or a .tar.gz", "url")
            await self._in_thread(self._shelf.load, checked_name(name), url)
            return Reply(200, dump(described(checked_name(name), url)))

    async def list(self, request: Request) -> Reply:
        """GET /models?limit=&next_page_token=: what is loaded, by name."""
        query = request.query()
        limit = query.get("limit", str(PAGE))
        if not (limit.isascii() and limit.isdigit() and len(limit) < 10 and int(limit) > 0):
            raise RequestError(400, "BadRequest", "limit is not a whole number above zero", "limit")
        after = name_of(query.get("next_page_token") or query.get("nextPageToken") or "")
        rest = [one for one in self._shelf.listed() if one[0] > after]
        page = rest[: min(int(limit), MOST_OF_A_PAGE)]
        found: dict[str, Any] = {"models": [described(name, url) for name, url in page]}
        return Reply(200, dump({**found, "nextPageToken": token_of(page[-1][0])} if len(page) < len(rest) else found))

    async def describe(self, request: Request, name: str) -> Reply:
        """GET /models/{name}."""
        return Reply(200, dump(described(name, told(self._shelf.url, name))))

    async def unload(self, request: Request, name: str) -> Reply:
        """DELETE /models/{name}: unknown at once; answered after the calls in flight."""
        await self._in_thread(self._shelf.unload, name)
        return Reply(200, dump({"modelName": name}))

    async def invoke(self, request: Request, name: str) -> Reply:
        """POST /models/{name}/invoke: as /invocations, by this model. One that had made way is opened again."""
        told(self._shelf.url, name)  # of a model that is not there, the body is not looked at
        with self._desk:
            question = await self._desk.read(request)
            place = told(self._shelf.take, name)
            if place is None:
                place = await self._in_thread(self._borrow, name)
            with self._shelf.using(place) as recommender:
                return await self._desk.answer(request, question, recommender)

    async def _in_thread(self, function: Callable[..., Found], *given: object) -> Found:
        """Run what may take long beside the calls. Raises RequestError for what the shelf refuses."""
        return await asyncio.get_running_loop().run_in_executor(self._loaders, told, function, *given)

    def _borrow(self, name: str) -> Place[Recommender]:
        try:
            return self._shelf.borrow(name)
        except ArchiveError as error:  # it could be opened once, so this is not what the caller did wrong
            raise ChangedError(str(error)) from error


def told(function: Callable[..., Found], *given: object) -> Found:
    """Ask the shelf. Raises RequestError for what it refuses."""
    try:
        return function(*given)
    except tuple(ANSWERS) as error:
        status, code, message = ANSWERS[type(error)]
        raise RequestError(status, code, message.format(error)) from error


def described(name: str, url: str) -> dict[str, str]:
    """A model as SageMaker lists it."""
    return {"modelName": name, "modelUrl": url}


def token_of(name: str) -> str:
    """A page's last name as a token for the next page."""
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode()


def name_of(token: str) -> str:
    """The name in a token. Raises RequestError."""
    try:
        return base64.b64decode(token, b"-_", validate=True).decode("utf-8", "surrogatepass")
    except (binascii.Error, ValueError):
        raise RequestError(400, "BadRequest", "next_page_token is not one that was given", "next_page_token") from None
