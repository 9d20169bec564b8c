"""Live top-10 of every item for one user on one thread, without HTTP: the network as trained, score.onnx, and ours."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # these are read when the libraries are loaded
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..errors import BenchmarkError
from .subjects import RESULTS, endpoint

PLAIN, GRAPH, OURS = "plain ONNX", "score.onnx in onnxruntime", "this project"
Way = Callable[[int], Sequence[float]]  # from a user's position to the best scores, best first
TOLERANCE = 1e-4


def compare(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The task: so many users, each scored in every way in turn; milliseconds, and how often each is faster than plain.

    Ratios are of the pair on the same user. Raises BenchmarkError if the ways' scores differ.
    """
    ways = {
        PLAIN: by_graph(folder / "plain.onnx"),
        GRAPH: by_graph(folder / "model" / "score.onnx"),
        OURS: ours(folder),
    }
    users = np.random.default_rng(1).integers(users_of(folder), size=settings["users"]).tolist()
    for user in users[:20]:  # also the warm-up
        refuse_unless_equal({name: way(user) for name, way in ways.items()}, user)
    took: dict[str, list[float]] = {name: [] for name in ways}
    cpu, began = time.process_time(), time.perf_counter()
    for turn, user in enumerate(users):
        for name in rotated(list(ways), turn):
            start = time.perf_counter()
            ways[name](user)
            took[name].append(time.perf_counter() - start)
    busy = (time.process_time() - cpu) / (time.perf_counter() - began)
    ratios = {name: statistics.median(map(ratio, took[PLAIN], own)) for name, own in took.items()}
    return {
        "ms": {name: round(statistics.median(own) * 1e3, 4) for name, own in took.items()},
        "best_ms": {name: round(min(own) * 1e3, 4) for name, own in took.items()},
        "times_faster": {name: round(value, 2) for name, value in ratios.items()},
        "threads_busy": round(busy, 2), "users": len(users),
    }  # fmt: skip


def ratio(plain: float, own: float) -> float:
    """How many times faster."""
    return plain / own


def rotated(names: list[str], turn: int) -> list[str]:
    """Everyone comes first equally often."""
    start = turn % len(names)
    return names[start:] + names[:start]


def users_of(folder: Path) -> int:
    """How many users the archive has."""
    return len(np.load(folder / "model" / "seen_offsets.npy", mmap_mode="r")) - 1


def by_graph(path: Path) -> Way:
    """A graph in onnxruntime on one thread, and the ten best without sorting the rest."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def way(user: int) -> Sequence[float]:
        scores: Any = session.run(None, {"user": np.array([user], dtype=np.int64)})[0][0]
        best = np.argpartition(-scores, RESULTS)[:RESULTS]
        return [float(scores[one]) for one in best[np.argsort(-scores[best])]]

    return way


def ours(folder: Path) -> Way:
    """The endpoint's own recommender, asked for what no table holds: seen items may come again."""
    archive, recommender, filters = map(endpoint, ("archive", "recommender", "filters"))
    users = json.loads((folder / "model" / "users.json").read_text(encoding="utf-8"))
    model, everything = recommender.Recommender(archive.load(folder / "model")), filters.Filter(exclude_seen=False)

    def way(user: int) -> Sequence[float]:
        found: Sequence[float] = model.recommend(users[user], RESULTS, everything).scores
        return found

    return way


def refuse_unless_equal(scores: Mapping[str, Sequence[float]], user: int) -> None:
    """Raise BenchmarkError unless all ways give the same scores."""
    if not all(np.allclose(own, scores[PLAIN], atol=TOLERANCE) for own in scores.values()):
        raise BenchmarkError(f"scoring: user {user} gets {dict(scores)}; the ways must agree within {TOLERANCE}")
