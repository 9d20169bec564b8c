"""What a model is: arrays and a score.

score.onnx is the one definition of that score. `save` writes it and `load` reads the arrays back from its constants,
so there is no second format, and nothing in it that could run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import onnx
from dataset import Dataset, Floats, Integers, TrainingError
from onnx import ModelProto, numpy_helper
from settings import Settings
from validation import Watch

Constants = Mapping[str, np.ndarray[Any, Any]]


@runtime_checkable
class Model(Protocol):
    """A fitted model of U users and I items."""

    @classmethod
    def fit(cls, data: Dataset, settings: Settings, watch: Watch) -> Self:
        """Learn from the data; one that learns in epochs shows each to `watch`. Raises TrainingError if it cannot."""

    def score(self, users: Integers) -> Floats:
        """Scores of every item [n, I] for users [n]: what the graph computes, for training's own use."""

    def graph(self) -> ModelProto:
        """The score as ONNX, from user int64[n] to float32[n, I]."""

    @classmethod
    def from_constants(cls, constants: Constants) -> Self:
        """The model whose graph has these constants."""

    def item_vectors(self) -> Floats:
        """A vector of each item [I, d]; the angle between two says how related they are."""


def save(model: Model, path: Path) -> None:
    """Write score.onnx: equal models are equal bytes."""
    path.write_bytes(model.graph().SerializeToString(deterministic=True))


def load(kind: type[Model], path: Path) -> Model:
    """The model of that kind that `save` wrote. Raises TrainingError for any other file."""
    try:
        graph = onnx.load_model_from_string(path.read_bytes()).graph
        return kind.from_constants({one.name: numpy_helper.to_array(one).copy() for one in graph.initializer})
    except Exception as error:  # protobuf has its own errors, and all of them mean the same
        raise TrainingError(f"{path}: not a {kind.__name__} ({error}); model.save writes one") from error


def refuse_unless_finite(*arrays: np.ndarray[Any, Any]) -> None:
    """Raise TrainingError unless all numbers are finite: nothing else is worth saving."""
    if not all(bool(np.isfinite(array).all()) for array in arrays):
        raise TrainingError("the fitted weights are not finite; a larger penalty or a smaller lr would be right")
