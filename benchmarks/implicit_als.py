"""The peer implicit: alternating least squares (Hu, Koren and Volinsky 2008), compiled and threaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import implicit
import numpy as np
import scipy.sparse
from implicit.als import AlternatingLeastSquares

from .arrays import Arrays, load
from .protocol import Floats, Scorer, sampled_hit_rate


def train(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds and sampled HR@10 of each iteration, which is what this peer has for an epoch."""
    arrays = load(folder)
    model = build(settings)
    seconds: list[float] = []
    hits: list[float] = []

    def note(_iteration: int, elapsed: float, _loss: float) -> None:
        seconds.append(elapsed)
        hits.append(sampled_hit_rate(lambda user, item: pair_scores(model, user, item), arrays))

    model.fit(matrix(arrays), show_progress=False, callback=note)
    return {"seconds": seconds, "hr@10": hits, "version": implicit.__version__}


def build(settings: Mapping[str, Any]) -> AlternatingLeastSquares:
    """A model to be fitted; settings are factors, regularization, alpha, epochs (iterations) and seed."""
    return AlternatingLeastSquares(
        factors=settings["factors"], regularization=settings["regularization"], alpha=settings["alpha"],
        iterations=settings["epochs"], random_state=settings["seed"], use_gpu=False,
    )  # fmt: skip


def matrix(arrays: Arrays) -> scipy.sparse.csr_matrix:
    """Who took what."""
    ones = np.ones(len(arrays.user), dtype=np.float32)
    return scipy.sparse.csr_matrix((ones, (arrays.user, arrays.item)), shape=(arrays.users, arrays.items))


def pair_scores(model: AlternatingLeastSquares, user: Any, item: Any) -> Floats:
    """Scores of pairs, users [n] and items [n]."""
    return np.asarray(np.einsum("nf,nf->n", model.user_factors[user], model.item_factors[item]))


def fitted(arrays: Arrays, settings: Mapping[str, Any]) -> Scorer:
    """Scores of a model fitted on all of the arrays."""
    model = build(settings)
    model.fit(matrix(arrays), show_progress=False)
    return lambda users: np.asarray(model.user_factors[users] @ model.item_factors.T)
