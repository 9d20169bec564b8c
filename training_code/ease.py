"""EASE (Steck 2019): the closed-form item-to-item model; items times items by nature, so only for small catalogues.

B = I - P / diag(P) with P = (X'X + reg I)^-1, its diagonal zero; a user's scores are the rows of B of its items, added.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from dataset import Dataset, Floats, Integers, TrainingError
from graph import Builder, proto
from model import Constants, refuse_unless_finite
from onnx import ModelProto
from settings import Settings
from validation import Watch

MAX_ITEMS = 10_000  # 400 MB of weights
RELATED_WIDTH = 64
USERS_AT_ONCE = 1024
SUBSPACE_STEPS = 6


@dataclass(frozen=True)
class EASE:
    """score = sum of the weights of the user's items."""

    weights: Floats  # [I, I]
    offsets: Integers  # [U + 1]: user u took items[offsets[u] : offsets[u + 1]]
    items: Integers

    @classmethod
    def fit(cls, data: Dataset, settings: Settings, watch: Watch) -> Self:
        """Solve for the weights. Raises TrainingError for a catalogue that is too large. It has no epochs to watch."""
        count = len(data.items)
        if count > MAX_ITEMS:
            raise TrainingError(f"{count} items; at most {MAX_ITEMS} would be right, as it keeps items x items")
        gram = co_occurrence(data.offsets(), data.item, count)
        gram.diagonal().add_(settings.ease_reg)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        weights = inverse.div_(-inverse.diagonal().clone()).fill_diagonal_(0.0).numpy()
        refuse_unless_finite(weights)
        return cls(weights, data.offsets(), data.item)

    def score(self, users: Integers) -> Floats:
        taken = np.zeros((len(users), len(self.weights)), dtype=np.float32)
        for row, user in zip(taken, users, strict=True):
            row[self.items[self.offsets[user] : self.offsets[user + 1]]] = 1.0
        return np.asarray((torch.from_numpy(taken) @ torch.from_numpy(self.weights)).numpy())

    def graph(self) -> ModelProto:
        """The history stays sparse: the asked users' items are scattered into rows, the rest of a row is padding."""
        build = Builder()
        offsets, one = build.constant("offsets", self.offsets), build.constant("one", np.array([1]))
        start = build.node("Gather", [offsets, "user"], "start")
        end = build.node("Gather", [offsets, build.node("Add", ["user", one], "next")], "end")
        start, end = (build.node("Unsqueeze", [name, one], f"{name}s") for name in (start, end))
        length = build.node("Sub", [end, start], "length")
        longest = build.node("ReduceMax", [length], "longest", keepdims=0)
        zero = build.constant("zero", np.array(0))
        step = build.node("Range", [zero, longest, build.constant("step", np.array(1))], "steps")
        inside = build.node("Less", [step, length], "inside")
        place = build.node("Where", [inside, build.node("Add", [start, step], "place"), zero], "place_inside")
        item = build.node("Gather", [build.constant("items", np.append(self.items, 0)), place], "item")
        padding = build.constant("padding", np.array(len(self.weights)))
        column = build.node("Where", [inside, item, padding], "column")
        width = build.constant("width", np.array([len(self.weights) + 1]))
        shape = build.node("Concat", [build.node("Shape", ["user"], "asked"), width], "shape", axis=0)
        ones = build.filled(build.node("Shape", [column], "cells"), 1.0, "ones")
        taken = build.node("ScatterElements", [build.filled(shape, 0.0, "none"), column, ones], "taken", axis=1)
        weights = np.pad(self.weights, ((0, 1), (0, 0)))  # padding weighs nothing
        build.node("MatMul", [taken, build.constant("weights", weights)], "scores")
        return proto(build, len(self.weights))

    @classmethod
    def from_constants(cls, constants: Constants) -> Self:
        return cls(constants["weights"][:-1], constants["offsets"], constants["items"][:-1])

    def item_vectors(self) -> Floats:
        """Items as the strongest directions of the scores see them."""
        users, items = self.factors(RELATED_WIDTH)
        return np.asarray(items * np.linalg.norm(users, axis=0, keepdims=True))

    def factors(self, width: int) -> tuple[Floats, Floats]:
        """Vectors of users and items whose products come closest to the scores X B, by subspace iteration."""
        weights, count = torch.from_numpy(self.weights), len(self.weights)
        gram = co_occurrence(self.offsets, self.items, count)
        basis = torch.randn(count, min(width, count), generator=torch.Generator().manual_seed(0))
        for _ in range(SUBSPACE_STEPS):
            basis = torch.linalg.qr(weights.T @ (gram @ (weights @ basis)))[0]
        history = (weights @ basis).numpy()
        users = np.zeros((len(self.offsets) - 1, history.shape[1]), dtype=np.float32)
        for row, start, end in zip(users, self.offsets, self.offsets[1:], strict=False):
            history[self.items[start:end]].sum(axis=0, out=row)
        return users, np.ascontiguousarray(basis.numpy())


def co_occurrence(offsets: Integers, items: Integers, count: int) -> torch.Tensor:
    """X'X [I, I]: how many users took both items. Users come some at a time, as dense rows."""
    gram = torch.zeros(count, count)
    for start in range(0, len(offsets) - 1, USERS_AT_ONCE):
        own = offsets[start : start + USERS_AT_ONCE + 1]
        rows = torch.zeros(len(own) - 1, count)
        user = np.repeat(np.arange(len(rows)), np.diff(own))
        rows[torch.from_numpy(user), torch.from_numpy(items[own[0] : own[-1]])] = 1.0
        gram.addmm_(rows.T, rows)
    return gram
