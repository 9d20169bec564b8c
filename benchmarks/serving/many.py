"""Many models behind one process with a bounded cache, asked for as customers ask: a few often, most seldom.

The client does the platform's part as SageMaker documents it: it invokes, loads a model that is not there, and unloads
another when there is no room. Every answer must come from the model that was asked, whose ids name it.
"""

import json
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from ..errors import BenchmarkError
from ..trials import Run, say, task
from .client import HOST, PATIENCE, built, complete, percentile
from .servers import running
from .subjects import OURS, SUBJECTS, endpoint, python_of

CACHED = 100  # models that the cache has room for
USERS = 8
MARGIN = 1.25  # around the cache's size, where the client cannot tell an open model from one opened again
KINDS = ("first load", "opened again", "warm")
COST = ("wall_seconds", "cpu_seconds", "peak_mib")


def measure(folder: Path, count: int, asked: int) -> tuple[Run, Run]:
    """A load of so many requests on so many models, and the process that answered them."""
    each = endpoint("model_files").size_of(folder / "0" / "model")
    bound = each * min(CACHED, max(1, count // 10))
    subject = SUBJECTS[OURS]
    more = {"SAGEMAKER_MULTI_MODEL": "true", "MODEL_CACHE_BYTES": str(bound)}
    environment = {**subject.environment, "SAGEMAKER_BASE_DIR": str(folder), **more}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        log = Path(scratch) / "log"
        with running([python_of(subject, None), "-m", *subject.words], environment, subject.ready, log) as server:
            empty = server.weigh()
            settings = {"port": server.port, "models": count, "asked": asked, "cached": bound // each}
            found = task("many_load", folder, settings)
            about = {"contender": OURS, "model": f"{count} tiny models", "round": 1}
            process = {**about, "start_seconds": round(server.start_seconds, 3), **server.weigh(), "empty": empty}
    say(f"{count} tiny models, {bound // each} of them in the cache: {found['hit_share']:.0%} warm")
    kept = {name: value for name, value in found.items() if name not in COST}
    return {**about, "cache_bytes": bound, "cached": bound // each, **kept}, process


class Platform:
    """What SageMaker does in front of the container, over one kept connection."""

    def __init__(self, port: int, folder: Path) -> None:
        self.folder = folder
        self.socket = socket.create_connection((HOST, port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.loaded: dict[int, None] = {}  # the one not asked for longest first
        self.counted: Counter[str] = Counter()

    def invoke(self, model: int, user: int) -> float:
        """Milliseconds until a model's answer, its loading included. Raises BenchmarkError for a wrong answer."""
        began = time.perf_counter()
        if model not in self.loaded:
            self.load(model)
        status, answer = self.ask("POST", f"/models/{model}/invoke", question(model, user))
        took = (time.perf_counter() - began) * 1e3
        if status != 200 or f'"itemId":"m{model}-i'.encode() not in answer:
            raise BenchmarkError(
                f"model {model} answers {status} {answer[-300:]!r}; 200 and its own items would be right"
            )
        self.loaded.pop(model, None)
        self.loaded[model] = None
        return took

    def load(self, model: int) -> None:
        """Load a model, unloading others while there is no room."""
        body = {"model_name": str(model), "url": str(self.folder / str(model) / "model")}
        status, answer = self.ask("POST", "/models", body)
        while status == 507 and self.loaded:
            oldest = next(iter(self.loaded))
            del self.loaded[oldest]
            self.counted["unloaded by the platform"] += 1
            self.ask("DELETE", f"/models/{oldest}")
            status, answer = self.ask("POST", "/models", body)
        if status != 200:
            raise BenchmarkError(f"POST /models: {status} {answer[-300:]!r}; 200 would be right")

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
        """One request and its whole answer."""
        self.socket.sendall(built(path, b"" if body is None else json.dumps(body).encode(), method))
        received = b""
        while not complete(received):
            more = self.socket.recv(1 << 18)
            if not more:
                raise BenchmarkError(f"{method} {path}: the connection was closed; an answer would be right")
            received += more
        return int(received[9:12]), received


def question(model: int, user: int) -> dict[str, Any]:
    """What is asked of a model."""
    return {"operation": "getRecommendations", "userId": f"m{model}-u{user}", "numResults": 5}


def load(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The task: load every model once in random order, then ask by Zipf's law.

    An invocation is warm if fewer different models were asked since its model's last than the cache holds, and the
    model was opened again if more were; those near the border are not counted.
    """
    random = Random(1)  # noqa: S311 - not a secret
    models = list(range(settings["models"]))
    random.shuffle(models)
    platform = Platform(settings["port"], folder)
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    took["first load"] = [platform.invoke(model, model % USERS) for model in models]
    hits = 0
    weights = [1 / rank for rank in range(1, len(models) + 1)]
    for model in random.choices(models, weights, k=settings["asked"]):
        since = distance(platform.loaded, model)
        own = platform.invoke(model, random.randrange(USERS))
        hits += since < settings["cached"]
        if since < settings["cached"] / MARGIN:
            took["warm"].append(own)
        elif since >= settings["cached"] * MARGIN:
            took["opened again"].append(own)
    misses = settings["asked"] - hits
    return {
        "hit_share": round(hits / settings["asked"], 4), "evictions": len(models) - settings["cached"] + misses,
        "unloaded_by_the_platform": platform.counted.total(), "asked": settings["asked"],
        "ms": {kind: points(own) for kind, own in took.items()},
    }  # fmt: skip


def distance(loaded: Mapping[int, None], model: int) -> int:
    """How many different models were asked since this one was."""
    for place, one in enumerate(reversed(list(loaded))):
        if one == model:
            return place
    return len(loaded)


def points(took: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds, and of how many."""
    ordered = sorted(round(one * 1e6) for one in took)
    shares = {"p50": 0.5, "p99": 0.99} if ordered else {}
    return {**{name: round(percentile(ordered, share) / 1e6, 4) for name, share in shares.items()}, "count": len(took)}
