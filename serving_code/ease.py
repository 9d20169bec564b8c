"""EASE: a user's scores are the weight rows of its items, added. What training_code/ease.py writes."""

import threading
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from .constants import Floats, Places, take
from .graph import Graph, Node
from .members import refuse_unless, refuse_unless_within

ROWS = 16  # weight rows that are added at a time: of a catalogue of 4,000 items a quarter of a megabyte
FLOAT_ONE = ("t", 1, (1,), np.float32(1).tobytes())
FLOAT_ZERO = ("t", 1, (1,), np.float32(0).tobytes())
NODES = [
    Node("Gather", ("offsets", "user"), "start"),
    Node("Add", ("user", "one"), "next"),
    Node("Gather", ("offsets", "next"), "end"),
    Node("Unsqueeze", ("start", "one"), "starts"),
    Node("Unsqueeze", ("end", "one"), "ends"),
    Node("Sub", ("ends", "starts"), "length"),
    Node("ReduceMax", ("length",), "longest", (("keepdims", ("i", 0, (), b"")),)),
    Node("Range", ("zero", "longest", "step"), "steps"),
    Node("Less", ("steps", "length"), "inside"),
    Node("Add", ("starts", "steps"), "place"),
    Node("Where", ("inside", "place", "zero"), "place_inside"),
    Node("Gather", ("items", "place_inside"), "item"),
    Node("Where", ("inside", "item", "padding"), "column"),
    Node("Shape", ("user",), "asked"),
    Node("Concat", ("asked", "width"), "shape", (("axis", ("i", 0, (), b"")),)),
    Node("Shape", ("column",), "cells"),
    Node("ConstantOfShape", ("cells",), "ones", (("value", FLOAT_ONE),)),
    Node("ConstantOfShape", ("shape",), "none", (("value", FLOAT_ZERO),)),
    Node("ScatterElements", ("none", "column", "ones"), "taken", (("axis", ("i", 1, (), b"")),)),
    Node("MatMul", ("taken", "weights"), "scores"),
]


@dataclass(frozen=True)
class EASE:
    """weights [I + 1, I] in place, history of user u: items[offsets[u] : offsets[u + 1]]."""

    weights: Floats
    offsets: Places
    items: Places
    scratch: threading.local = field(default_factory=threading.local)

    @classmethod
    def of(cls, graph: Graph, users: int, items: int) -> Self | None:
        """The score of such a graph; None for any other graph."""
        small: dict[str, int | list[int]] = {"one": [1], "zero": 0, "step": 1, "padding": items, "width": [items + 1]}
        if graph.nodes != NODES or not all(says(graph, name, value) for name, value in small.items()):
            return None
        weights = take(graph, "weights", "<f4", (items + 1, items))
        offsets = take(graph, "offsets", "<i8", (users + 1,))
        history = take(graph, "items", "<i8", (None,))
        if weights is None or offsets is None or history is None:
            return None
        offsets = np.array(offsets)
        right = offsets[0] == 0 and offsets[-1] == len(history) - 1 and bool((np.diff(offsets) >= 0).all())
        refuse_unless(right, "score.onnx's offsets do not divide its items by user")
        refuse_unless_within("score.onnx's items", graph.content, history, 0, items)
        return cls(weights, offsets, history)

    def row(self, user: int) -> Floats:
        found = np.zeros(self.weights.shape[1], dtype=np.float32)
        taken, rows = self._taken(user), self._rows()
        # as bytes, since numpy would first copy all of a float array that is not aligned
        weights, into = self.weights.view(np.uint8), rows.view(np.uint8)
        for start in range(0, len(taken), ROWS):
            part = taken[start : start + ROWS]
            np.take(weights, part, axis=0, out=into[: len(part)], mode="clip")
            found += np.add.reduce(rows[: len(part)], axis=0)
        return found

    def pairs(self, users: Places, items: Places) -> Floats:
        found = np.empty(len(users), dtype=np.float32)
        order = np.argsort(users, kind="stable")
        starts = np.flatnonzero(np.diff(users[order], prepend=-1))
        for own in np.split(order, starts[1:]) if len(order) else ():
            found[own] = self._some(int(users[own[0]]), items[own])
        return found

    def shown(self, values: Floats) -> Floats:
        return values

    def _some(self, user: int, asked: Places) -> Floats:
        if len(asked) * 8 > self.weights.shape[1]:  # as many single numbers cost more than whole rows
            return self.row(user)[asked]
        return np.asarray(self.weights[self._taken(user)[:, None], asked].sum(axis=0, dtype=np.float32))

    def _taken(self, user: int) -> Places:
        """A user's items, each once, as the graph counts them."""
        return np.flatnonzero(np.bincount(self.items[self.offsets[user] : self.offsets[user + 1]]))

    def _rows(self) -> Floats:
        rows: Floats | None = getattr(self.scratch, "rows", None)
        if rows is None:
            rows = self.scratch.rows = np.empty((ROWS, self.weights.shape[1]), dtype=np.float32)
        return rows


def says(graph: Graph, name: str, value: int | list[int]) -> bool:
    """Whether a small constant is there and has this value."""
    found = take(graph, name, "<i8", (1,) if isinstance(value, list) else ())
    return found is not None and bool((found == value).all())
