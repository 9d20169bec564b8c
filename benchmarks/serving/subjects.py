"""Who is measured, and what is asked of them. A new subject or a new kind of request is one line here."""

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

Asked = tuple[str, str]  # a request's body, and what its answer must hold
RESULTS = 10
RANKED = 50
REQUESTS = 2000


@dataclass(frozen=True)
class Ids:
    """The users and items of a model."""

    users: list[str]
    items: list[str]

    def user(self, random: Random) -> str:
        return random.choice(self.users)


def ids_of(folder: Path) -> Ids:
    """Of the archive in a model's folder."""
    return Ids(
        *(json.loads((folder / "model" / f"{name}.json").read_text(encoding="utf-8")) for name in ("users", "items"))
    )


def recommendations(user: str, **more: Any) -> Asked:
    """A request of this project's own API."""
    body = {"operation": "getRecommendations", "userId": user, "numResults": RESULTS, **more}
    return json.dumps(body), f'"userId":{json.dumps(user)}'


def known(ids: Ids, random: Random) -> Asked:
    return recommendations(ids.user(random))


def live(ids: Ids, random: Random) -> Asked:
    """What has been seen may come again: no table of unseen items can answer that."""
    return recommendations(ids.user(random), filter={"excludeSeen": False})


def unknown(_ids: Ids, random: Random) -> Asked:
    return recommendations(f"nobody-{random.randrange(10**6)}")


def ranking(ids: Ids, random: Random) -> Asked:
    user, items = ids.user(random), random.sample(ids.items, min(RANKED, len(ids.items)))
    body = {"operation": "getPersonalizedRanking", "userId": user, "inputList": items}
    return json.dumps(body), f'"userId":{json.dumps(user)}'


def instance(ids: Ids, random: Random) -> Asked:
    body = {"instances": [{"userId": ids.user(random), "itemId": random.choice(ids.items)}]}
    return json.dumps(body), '"known":true'


def related(ids: Ids, random: Random) -> Asked:
    item = random.choice(ids.items)
    body = {"operation": "getRelatedItems", "itemId": item, "numResults": RESULTS}
    return json.dumps(body), f'"itemId":{json.dumps(item)}'


Kinds = Mapping[str, Callable[[Ids, Random], Asked]]
OWN: Kinds = {
    "known user": known, "live-scored": live, "unknown user": unknown, "ranking of 50": ranking,
    "one instance": instance, "related items": related,
}  # fmt: skip


def simple(user: str) -> Asked:
    """What the peers are asked: the same users and as many results."""
    return json.dumps({"userId": user, "numResults": RESULTS}), json.dumps(user)


def as_frame(asked: Asked) -> Asked:
    """As MLflow wants it."""
    return json.dumps({"dataframe_records": [json.loads(asked[0])]}), asked[1]


PEER: Kinds = {
    "known user": lambda ids, random: simple(ids.user(random)),
    "unknown user": lambda _ids, random: simple(f"nobody-{random.randrange(10**6)}"),
}
MLFLOW: Kinds = {name: lambda ids, random, one=one: as_frame(one(ids, random)) for name, one in PEER.items()}  # type: ignore[misc]


@dataclass(frozen=True)
class Subject:
    """How a server is started for a model's folder, where it answers, and what it can be asked."""

    words: tuple[str, ...]
    kinds: Kinds
    environment: Mapping[str, str] = field(default_factory=dict)  # {folder} and {port} are filled in
    path: str = "/invocations"
    ready: str = "/ping"
    peer: bool = False


def endpoint(module: str) -> Any:
    """A module of serving_code, which ships alone."""
    return importlib.import_module(f"serving_code.{module}")


OURS = "this project"
ECHO = "asyncio echo"
NAIVE = {"NAIVE_DIR": "{folder}"}
SUBJECTS: Mapping[str, Subject] = {
    OURS: Subject(("serving_code", "serve"), OWN,
                  {"SAGEMAKER_BASE_DIR": "{folder}", "SAGEMAKER_BIND_TO_PORT": "{port}"}),
    "FastAPI": Subject(("benchmarks.serving.naive_fastapi", "{port}"), PEER, NAIVE, peer=True),
    "FastAPI (2 threads)": Subject(("benchmarks.serving.naive_fastapi", "{port}"), PEER,
                                                 {**NAIVE, "NAIVE_THREADS": "2"}, peer=True),
    "MLflow": Subject(("benchmarks.serving.naive_mlflow", "{port}"), MLFLOW, NAIVE, peer=True),
    "LitServe": Subject(("benchmarks.serving.naive_litserve", "{port}"), PEER, NAIVE,
                                     "/predict", "/health", peer=True),
    ECHO: Subject(("benchmarks.serving.echo", "{port}"), {"known user": PEER["known user"]}, ready="/"),
}  # fmt: skip


def requests(kind: Callable[[Ids, Random], Asked], ids: Ids) -> list[Asked]:
    """The same few thousand requests for the same model, in the same order."""
    random = Random(1)  # noqa: S311 - not a secret
    return [kind(ids, random) for _ in range(REQUESTS)]


def scores_in(answer: Any) -> list[float]:
    """The scores of an answer, whoever gave it, so that their work can be compared."""
    found = answer["predictions"][0] if "predictions" in answer else answer
    return [float(one["score"]) for one in found["itemList"]]


def equal_work(scores: Mapping[str, list[list[float]]]) -> bool:
    """Whether all answered the same users with lists of the same scores, within what float32 and a tie allow."""
    first, *others = scores.values()
    return all(
        len(own) == len(said) and np.allclose(own, said, atol=1e-4)
        for other in others
        for own, said in zip(other, first, strict=True)
    )


def python_of(subject: Subject, peers: Path | None) -> str:
    """The Python that it runs in."""
    return str(peers) if subject.peer else sys.executable
