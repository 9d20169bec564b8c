"""EASE (Steck 2019): the closed-form item-to-item model; items times items by nature, so only for small catalogues.

B = I - P / diag(P) with P = (X'X + reg I)^-1, its diagonal zero; a user's scores are the rows of B of its items, added.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

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


@dataclass(frozen=True)
class EASE:
    """score = sum of the weights of the user's items."""

    weights: Floats  # [I, I]
    offsets: Integers  # [U + 1]: user u took items[offsets[u] : offsets[u + 1]]
    items: Integers
    refits: ClassVar[bool] = True

    @classmethod
    def fit(cls, data: Dataset, settings: Settings, watch: Watch) -> Self:
        """Solve for the weights. Raises TrainingError for a catalogue that is too large. It has no epochs to watch."""
        count = len(data.items)
        if count > MAX_ITEMS:
            raise TrainingError(f"{count} items; at most {MAX_ITEMS} would be right, as it keeps items x items")
        gram = co_occurrence(data)
        gram.diagonal().add_(settings.ease_reg)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        weights = inverse.div_(-inverse.diagonal().clone()).fill_diagonal_(0.0).numpy()
        refuse_unless_finite(weights)
        return cls(weights, data.offsets(), data.item)

    def score(self, users: Integers) -> Floats:
        taken = np.zeros((len(users), len(self.weights)), dtype=np.float32)
        for row, user in zip(taken, users, strict=True):
            row[self.items[self.offsets[user] : self.offsets[user + 1]]] = 1.0
        return np.asarray(taken @ self.weights)

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
        """The weights seen from their strongest directions: as they are they would be items x items once more."""
        torch.manual_seed(0)
        left, strength, _ = torch.svd_lowrank(torch.from_numpy(self.weights), q=min(RELATED_WIDTH, len(self.weights)))
        return np.asarray((left * strength).numpy())


def co_occurrence(data: Dataset) -> torch.Tensor:
    """X'X [I, I]: how many users took both items. Users come some at a time, as dense rows."""
    count = len(data.items)
    gram, offsets = torch.zeros(count, count), data.offsets()
    for start in range(0, len(data.users), USERS_AT_ONCE):
        end = min(start + USERS_AT_ONCE, len(data.users))
        rows = torch.zeros(end - start, count)
        mine = slice(offsets[start], offsets[end])
        rows[torch.from_numpy(data.user[mine] - start), torch.from_numpy(data.item[mine])] = 1.0
        gram.addmm_(rows.T, rows)
    return gram
