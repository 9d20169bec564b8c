"""The NCF family: GMF, MLP and NeuMF, as training_code/ncf.py writes them.

score = sigmoid(bias + gmf_user . gmf_item + tower(relu(mlp_user + mlp_item))). The first layer of the MLP is already
multiplied out for every user and item, so a request adds and climbs.
"""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np

from .constants import Floats, Places, held, paired, product, take
from .graph import Graph, Node

# A block of items: its first product has at most as many multiplications as OpenBLAS does without packing (1,000,000,
# less a margin), and its layers stay in a core's cache. 96 items of a tower 128-64-32: measured best of 32 to 1024.
PRODUCT = 786_432
LEAST, MOST = 32, 512
PAIRS_AT_ONCE = 1024
STEEPEST = 80.0  # logits beyond it are as good as one or zero, and exp would overflow


@dataclass(frozen=True)
class Tower:
    """users [U, w], items [I, w], then layers (weight [in, out], bias [out]) with a ReLU before each."""

    users: Floats
    items: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    scratch: threading.local = field(default_factory=threading.local)

    @cached_property
    def _last(self) -> Floats:
        return np.ascontiguousarray(self.layers[-1][0][:, 0])

    def add(self, user: int, logits: Floats) -> None:
        """Add the tower's part to a user's logits [I].

        relu(z + c) = max(z, -c) + c, so each layer is one product and one maximum: what is constant, c, goes through
        the next layer's weights on its own.
        """
        blocks, thresholds = self._scratch()
        constant: Floats = np.array(self.users[user])
        for threshold, (weight, bias) in zip(thresholds, self.layers, strict=True):
            threshold[:] = -constant
            constant = constant @ weight + bias
        rows, found = len(blocks[0]), np.empty_like(logits)
        for start in range(0, len(logits), rows):
            hidden = self.items[start : start + rows]
            if len(hidden) < rows:  # the last block
                blocks = [block[: len(hidden)] for block in blocks]
                thresholds = [threshold[: len(hidden)] for threshold in thresholds]
            np.maximum(hidden, thresholds[0], out=blocks[0])
            for level in range(1, len(blocks)):
                block = blocks[level]
                np.dot(blocks[level - 1], self.layers[level - 1][0], out=block)
                np.maximum(block, thresholds[level], out=block)
            np.dot(blocks[-1], self._last, out=found[start : start + rows])
        logits += found
        logits += constant[0]

    def pairs(self, users: Places, items: Places) -> Floats:
        """The tower's part of the logits of pairs [n]."""
        found = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(found), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            hidden = self.users[users[part]] + self.items[items[part]]
            for weight, bias in self.layers:
                hidden = np.maximum(hidden, 0, out=hidden) @ weight + bias
            found[part] = hidden[:, 0]
        return found

    def _scratch(self) -> tuple[list[Floats], list[Floats]]:
        """A thread's own arrays: for each layer a block of its input, and of the thresholds as often as rows."""
        made: tuple[list[Floats], list[Floats]] | None = getattr(self.scratch, "made", None)
        if made is None:
            rows = min(MOST, max(LEAST, PRODUCT // self.layers[0][0].size // 32 * 32))
            sizes = [(rows, len(weight)) for weight, _ in self.layers]
            block, thresholds = ([np.empty(size, dtype=np.float32) for size in sizes] for _ in range(2))
            made = self.scratch.made = (block, thresholds)
        return made


@dataclass(frozen=True)
class NCF:
    """bias [I], gmf: users [U, d] and items [d, I], and a tower; at least one of the two."""

    bias: Floats
    gmf: tuple[Floats, Floats] | None
    tower: Tower | None

    @classmethod
    def of(cls, graph: Graph, users: int, items: int) -> Self | None:
        """The score of such a graph; None for any other graph."""
        levels = sum(name.endswith("_weight") for name in graph.constants)
        with_gmf, with_mlp = "gmf_users" in graph.constants, "mlp_users" in graph.constants
        if graph.nodes != nodes(with_gmf, levels if with_mlp else 0):
            return None
        bias = take(graph, "bias", "<f4", (1, items))
        gmf = read_gmf(graph, users, items) if with_gmf else None
        tower = read_tower(graph, users, items, levels) if with_mlp else None
        if bias is None or (with_gmf and gmf is None) or (with_mlp and tower is None):
            return None
        return cls(np.array(bias[0]), gmf, tower)

    def row(self, user: int) -> Floats:
        logits = self.bias.copy()
        if self.gmf:
            logits += product(np.array(self.gmf[0][user]), self.gmf[1])
        if self.tower:
            self.tower.add(user, logits)
        return logits

    def pairs(self, users: Places, items: Places) -> Floats:
        logits = self.bias[items]
        if self.gmf:
            logits += paired(*self.gmf, users, items)
        if self.tower:
            logits += self.tower.pairs(users, items)
        return logits

    def shown(self, values: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(-np.clip(values, -STEEPEST, STEEPEST))), dtype=np.float32)


def nodes(with_gmf: bool, levels: int) -> list[Node]:
    """The graph of training_code/ncf.py, with a tower of so many layers (0 = no MLP)."""
    found, logits = [], "bias"
    if with_gmf:
        found += [
            Node("Gather", ("gmf_users", "user"), "gmf_user"),
            Node("MatMul", ("gmf_user", "gmf_items"), "gmf"),
            Node("Add", ("bias", "gmf"), "logits_gmf"),
        ]
        logits = "logits_gmf"
    if levels:
        found += tower_nodes(levels)
        found.append(Node("Add", (logits, "mlp"), "logits_mlp"))
        logits = "logits_mlp"
    return [*found, Node("Sigmoid", (logits,), "scores")] if found else []


def tower_nodes(levels: int) -> list[Node]:
    """The MLP's part."""
    found = [
        Node("Gather", ("mlp_users", "user"), "mlp_user"),
        Node("Unsqueeze", ("mlp_user", "middle"), "mlp_rows"),
        Node("Add", ("mlp_rows", "mlp_items"), "mlp_0"),
    ]
    for level in range(1, levels + 1):
        found += [
            Node("Relu", (f"mlp_{level - 1}",), f"mlp_{level}_relu"),
            Node("MatMul", (f"mlp_{level}_relu", f"mlp_{level}_weight"), f"mlp_{level}_product"),
            Node("Add", (f"mlp_{level}_product", f"mlp_{level}_bias"), f"mlp_{level}"),
        ]
    return [*found, Node("Squeeze", (f"mlp_{levels}", "deep"), "mlp")]


def read_gmf(graph: Graph, users: int, items: int) -> tuple[Floats, Floats] | None:
    """GMF's two halves; None if they do not fit."""
    left, right = take(graph, "gmf_users", "<f4", (users, None)), take(graph, "gmf_items", "<f4", (None, items))
    if left is None or right is None or left.shape[1] != len(right):
        return None
    return left, held(right)


def read_tower(graph: Graph, users: int, items: int, levels: int) -> Tower | None:
    """The MLP's halves and its layers; None if they do not fit."""
    left = take(graph, "mlp_users", "<f4", (users, None))
    if left is None or any(not says_axis(graph, name, axis) for name, axis in (("middle", 1), ("deep", 2))):
        return None
    width = left.shape[1]
    right = take(graph, "mlp_items", "<f4", (items, width))
    layers = []
    for level in range(1, levels + 1):
        weight = take(graph, f"mlp_{level}_weight", "<f4", (width, 1 if level == levels else None))
        bias = None if weight is None else take(graph, f"mlp_{level}_bias", "<f4", (weight.shape[1],))
        if weight is None or bias is None:
            return None
        layers.append((np.array(weight), np.array(bias)))
        width = weight.shape[1]
    return None if right is None else Tower(left, held(right), tuple(layers))


def says_axis(graph: Graph, name: str, axis: int) -> bool:
    """Whether a constant is the axis that training writes."""
    found = take(graph, name, "<i8", (1,))
    return found is not None and int(found[0]) == axis
