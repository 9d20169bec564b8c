"""One model, loaded while the process already listens: /ping and /invocations."""

import gc
import sys
from datetime import UTC, datetime

from .answers import dump
from .archive import ArchiveError
from .desk import Desk
from .errors import RequestError
from .exchange import Reply, Request
from .opening import open_model
from .recommender import Recommender
from .routes import Routes
from .settings import Settings


class SingleModel:
    """The model of `settings.model_dir`. Until it is loaded, every call is answered with 503 and the reason."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._desk = Desk(settings)
        self._recommender: Recommender | None = None
        self._pong = b""
        self._trouble = "the model is being loaded"
        self.routes = Routes({b"/ping": {"GET": self.ping}, b"/invocations": {"POST": self.invoke}})

    def start(self) -> bool:
        """Load the model, warm it up, and let it answer its golden requests; whether it is ready."""
        try:
            recommender = open_model(self._settings.model_dir, self._settings.trust)
        except ArchiveError as error:
            self._trouble = str(error)
            print(f"error: model not loaded: {error}", file=sys.stderr, flush=True)
            return False
        loaded_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        found = {
            "model_version": self._settings.model_version,
            "run_id": self._settings.run_id,
            "sha256": recommender.archive.sha256,
            "loaded_at": loaded_at,
        }
        gc.collect()
        gc.freeze()  # what is loaded stays: looking through it again and again would delay single answers
        self._pong = dump(found)
        self._recommender = recommender
        return True

    def close(self) -> None:
        """Wait for what is being computed."""
        self._desk.close()

    async def ping(self, request: Request) -> Reply:
        """Ready, and with which model."""
        self.ready()
        return Reply(200, self._pong)

    async def invoke(self, request: Request) -> Reply:
        """Answer a body in the format that its content type names."""
        recommender = self.ready()
        with self._desk:
            question = await self._desk.read(request)
            return await self._desk.answer(request, question, recommender)

    def ready(self) -> Recommender:
        """The model, or 503 with the reason why there is none."""
        if self._recommender is None:
            raise RequestError(503, "ModelNotReady", self._trouble)
        return self._recommender
