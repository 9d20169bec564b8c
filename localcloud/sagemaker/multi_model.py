"""The models of one multi-model container: fetched and loaded when they are asked for, unloaded when room is needed.

https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html. A model keeps the archive it was loaded from:
one that is replaced in S3 under the same key is seen only after the model was unloaded.
"""

import hashlib
import itertools
import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..service import CloudError
from . import archives, transfers
from .exchange import Call, Reply

if TYPE_CHECKING:
    from ..cloud import Cloud

MOST = 1000
FULL_SECONDS = 30.0
NO_ROOM, LOADED_ALREADY, UNKNOWN = 507, 409, 404
Ask = Callable[[str, str, Call], Reply]
"""Method, path and what to send: the container's reply."""


@dataclass(eq=False)
class Model:
    """One model in the container. `name` is of this loading only, so that no other archive is ever meant by it."""

    name: str
    folder: Path
    users: int = 1
    waits: bool = False  # for room in the container
    ready: threading.Event = field(default_factory=threading.Event)
    failure: Reply | CloudError | None = None


class Models:
    """Those that are loaded, least recently used first. At most `most` stay loaded when nobody uses them."""

    def __init__(self, cloud: "Cloud", prefix: str, folder: Path, ask: Ask, most: int = MOST) -> None:
        self._cloud = cloud
        self._prefix = prefix.rstrip("/")
        self._folder = folder
        self._ask = ask
        self._most = most
        self._models: dict[str, Model] = {}
        self._numbers = itertools.count(1)
        self._idle = threading.Condition()

    def invoke(self, call: Call) -> Reply:
        """The target model's reply, or the container's own why it could not be loaded; CloudError if S3 is at fault.

        A container that has dropped a model by itself, or was started again, is given it once more.
        """
        check(call.target_model)
        loading: dict[str, float] = {}
        for _ in range(2):
            model = self._take(call.target_model, loading)
            try:
                reply = self._reply(model, call)
                if reply.status != UNKNOWN or self._holds(model):
                    break
                self._drop(call.target_model, model)
            finally:
                self._release(model)
        self._shrink(loading)
        return replace(reply, loading={**loading, "LoadedModelCount": float(len(self._models))})

    def _reply(self, model: Model, call: Call) -> Reply:
        if isinstance(model.failure, CloudError):
            raise model.failure
        return model.failure or self._ask("POST", f"/models/{model.name}/invoke", call)

    def _take(self, target: str, loading: dict[str, float]) -> Model:
        """The model, loaded or failed, with one user more. The first who asks loads it, the others wait."""
        started = time.perf_counter()
        with self._idle:
            model = self._models.pop(target, None)
            first = model is None
            if model is None:
                name = f"{hashlib.sha256(target.encode()).hexdigest()[:32]}-{next(self._numbers)}"
                model = Model(name, self._folder / name)
            else:
                model.users += 1
            self._models[target] = model  # now the most recently used
        loading["ModelCacheHit"] = float(model.ready.is_set())
        if first:
            self._load(target, model, loading)
        model.ready.wait()
        if not loading["ModelCacheHit"]:
            loading["ModelLoadingWaitTime"] = _since(started)
        return model

    def _load(self, target: str, model: Model, loading: dict[str, float]) -> None:
        try:
            self._shrink(loading)
            self._fetch(target, model, loading)
            reply = self._make_room(model, loading)
            if not reply.succeeded and reply.status != LOADED_ALREADY:
                model.failure = reply
        except CloudError as error:
            model.failure = error
        except Exception as error:
            model.failure = CloudError("InternalFailure", f"{type(error).__name__}: {error}", 500)
            raise
        finally:
            if model.failure:
                self._drop(target, model)
            model.ready.set()

    def _fetch(self, target: str, model: Model, loading: dict[str, float]) -> None:
        uri, started = f"{self._prefix}/{target}", time.perf_counter()
        packed = model.folder / "model.tar.gz"
        try:
            transfers.download_file(self._cloud, uri, packed)
            archives.unpack(packed, model.folder / "model")
        except transfers.TransferError as error:
            raise CloudError("ValidationError", _absent(uri)) from error
        except archives.ArchiveError as error:
            message = f"Failed to extract model data archive from {uri}: {error}. It must be a valid tar.gz archive."
            raise CloudError("ValidationError", message) from error
        packed.unlink()
        loading["ModelDownloadingTime"] = _since(started)

    def _make_room(self, model: Model, loading: dict[str, float]) -> Reply:
        """Load; for as long as the container has no room, unload the least recently used model and try again."""
        body = json.dumps({"model_name": model.name, "url": str(model.folder / "model")}).encode()
        request = Call(body, {"Content-Type": "application/json"})
        deadline = time.monotonic() + FULL_SECONDS
        while True:
            started = time.perf_counter()
            reply = self._ask("POST", "/models", request)
            loading["ModelLoadingTime"] = _since(started)
            if reply.status != NO_ROOM or not self._unload_one(model, loading, deadline):
                return reply

    def _unload_one(self, model: Model, loading: dict[str, float], deadline: float) -> bool:
        """Unload the least recently used of the others, waiting for one to be idle; False if there can be none."""
        with self._idle:
            model.waits = True
            while not (target := self._least_recent()):
                if all(other.waits for other in self._models.values()) or time.monotonic() > deadline:
                    return False
                self._idle.wait(0.5)
            model.waits = False
            idle = self._models.pop(target)
        self._unload(idle, loading)
        return True

    def _shrink(self, loading: dict[str, float]) -> None:
        while True:
            with self._idle:
                target = self._least_recent() if len(self._models) > self._most else None
                if not target:
                    return
                model = self._models.pop(target)
            self._unload(model, loading)

    def _least_recent(self) -> str | None:
        return next((target for target, model in self._models.items() if not model.users), None)

    def _unload(self, model: Model, loading: dict[str, float]) -> None:
        started = time.perf_counter()
        self._ask("DELETE", f"/models/{model.name}", Call(b"", {}))
        loading["ModelUnloadingTime"] = loading.get("ModelUnloadingTime", 0.0) + _since(started)
        shutil.rmtree(model.folder, ignore_errors=True)

    def _holds(self, model: Model) -> bool:
        """Whether the container knows the model: if so, a 404 is the model's own answer."""
        return model.failure is not None or self._ask("GET", f"/models/{model.name}", Call(b"", {})).status != UNKNOWN

    def _drop(self, target: str, model: Model) -> None:
        with self._idle:
            if self._models.get(target) is model:
                del self._models[target]
            self._idle.notify_all()
        shutil.rmtree(model.folder, ignore_errors=True)

    def _release(self, model: Model) -> None:
        with self._idle:
            model.users -= 1
            self._idle.notify_all()


def check(target: str) -> None:
    """ValidationError for a target that is no relative key below the prefix."""
    if not {"", ".", ".."}.isdisjoint(target.split("/")):
        message = f"Target model {target} is not a path relative to the endpoint's ModelDataUrl."
        raise CloudError("ValidationError", message)


def _absent(uri: str) -> str:
    bucket, key = transfers.split(uri)
    return (
        f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that there is an object located "
        "at the URL and that the role passed to CreateModel has permissions to download the object."
    )


def _since(started: float) -> float:
    """Microseconds."""
    return (time.perf_counter() - started) * 1e6
