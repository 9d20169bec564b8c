"""Constants of score.onnx as numpy can use them: protobuf puts them at any byte, and BLAS wants whole words."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .graph import Graph
from .members import refuse_unless_finite

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

COPY_UP_TO = 2**24  # bytes: a smaller constant that is not aligned is copied once, a larger one piece by piece
COLUMNS_OF = 2**18  # numbers of a piece: half of a core's second cache


def take(graph: Graph, name: str, kind: str, shape: tuple[int | None, ...]) -> npt.NDArray[Any] | None:
    """A constant of this type and shape (None = any length), all finite. None if the graph has no such constant."""
    found = graph.array(name)
    if found is None or found.dtype.str != kind or found.ndim != len(shape):
        return None
    if any(wanted not in {None, size} for wanted, size in zip(shape, found.shape, strict=True)):
        return None
    if kind == "<f4":
        refuse_unless_finite(f"score.onnx's {name}", graph.content, found)
    return found


def held(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array aligned, unless it is large."""
    return array if array.flags.aligned or array.nbytes > COPY_UP_TO else np.array(array)


def product(vector: Floats, matrix: Floats) -> Floats:
    """vector [d] @ matrix [d, n]. A matrix that is not aligned is brought into the cache piece by piece."""
    if matrix.flags.aligned:
        return np.asarray(vector @ matrix)
    found = np.empty(matrix.shape[1], dtype=np.float32)
    step = max(1, COLUMNS_OF // len(vector))
    for start in range(0, len(found), step):
        np.dot(vector, np.array(matrix[:, start : start + step]), out=found[start : start + step])
    return found


def paired(left: Floats, right: Floats, users: Places, items: Places) -> Floats:
    """Products of left [U, d] and right [d, I] for pairs [n]."""
    return np.asarray(np.einsum("nd,dn->n", left[users], right[:, items]))
