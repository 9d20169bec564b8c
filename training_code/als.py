"""Implicit ALS: the linear challenger that is hardest to beat, and where NeuMF may start.

Minimises (Rendle et al. 2022, "Revisiting the performance of iALS") the sum over taken pairs of (1 - x_u . y_i)^2,
plus alpha times the sum over all pairs of (x_u . y_i)^2, plus reg times the sum over users of
(n_u + alpha I)^nu |x_u|^2 and likewise over items; n_u is how many of the I items the user took. Users and items are
solved for in turn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
import torch
from dataset import Dataset, Floats, Integers
from graph import Builder, proto
from model import Constants, refuse_unless_finite
from onnx import ModelProto
from settings import Settings
from torch.nn import functional
from validation import Watch

CELLS_AT_ONCE = 2**12  # taken pairs, padding included, that are gathered at a time: what a core's cache holds
CG_STEPS = 3
TINY = 1e-20
START = 0.01  # of the random vectors
LOSS = "als loss"  # what is minimised, for each taken pair; NeuMF that starts from it has a loss of its own


@dataclass(frozen=True)
class ImplicitALS:
    """score = user . item."""

    users: Floats  # [U, d]
    items: Floats  # [I, d]

    @classmethod
    def fit(cls, data: Dataset, settings: Settings, watch: Watch) -> Self:
        """Alternate from a random start. It has no epochs to watch, and notes what it minimises after each sweep."""
        generator = torch.Generator().manual_seed(settings.seed)
        sizes = len(data.users), len(data.items)
        sides = [torch.randn(size, settings.als_factors, generator=generator) * START for size in sizes]
        taken = [list(groups(data.user, data.item, sizes[0])), list(groups(data.item, data.user, sizes[1]))]
        for sweep in range(1, settings.als_iterations + 1):
            solve(sides[0], sides[1], taken[0], settings)
            left = solve(sides[1], sides[0], taken[1], settings)
            watch.curves.note(LOSS, sweep, 1 + (left + penalty(sides[0], data, settings)) / len(data.user))
        users, items = (side.numpy() for side in sides)
        refuse_unless_finite(users, items)
        return cls(users, items)

    def score(self, users: Integers) -> Floats:
        return np.asarray((torch.from_numpy(self.users[users]) @ torch.from_numpy(self.items).T).numpy())

    def graph(self) -> ModelProto:
        build = Builder()
        user = build.node("Gather", [build.constant("als_users", self.users), "user"], "als_user")
        items = build.constant("als_items", np.ascontiguousarray(self.items.T))
        build.node("MatMul", [user, items], "scores")
        return proto(build, len(self.items))

    @classmethod
    def from_constants(cls, constants: Constants) -> Self:
        return cls(constants["als_users"], np.ascontiguousarray(constants["als_items"].T))

    def item_vectors(self) -> Floats:
        return self.items


Group = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # rows [n], their others [n, m], 1 for those and 0 for padding


def groups(row: Integers, other: Integers, rows: int) -> Iterator[Group]:
    """Rows of like length together, longest first, so that little of a batch is padding."""
    other = other[np.argsort(row, kind="stable")]
    count = np.bincount(row, minlength=rows)
    start = np.cumsum(count) - count
    order = np.argsort(-count, kind="stable")
    order = order[: np.count_nonzero(count)]
    while len(order):
        width = int(count[order[0]])
        chosen, order = np.split(order, [max(1, CELLS_AT_ONCE // width)])
        mask = np.arange(width) < count[chosen][:, None]
        place = np.where(mask, start[chosen][:, None] + np.arange(width), 0)
        yield torch.from_numpy(chosen), torch.from_numpy(other[place]).int(), torch.from_numpy(mask).float()


def solve(side: torch.Tensor, other: torch.Tensor, taken: list[Group], settings: Settings) -> float:
    """Better vectors of one side for the other side's: a few conjugate-gradient steps from where they are.

    An exact solution costs five times as much, and the other side changes after it anyway (Takacs et al. 2011).
    Returns what is minimised, but for the number of pairs and the other side's penalty: with the normal equations
    A x = b and their residual r = b - A x it is the sum of x A x - 2 b x = -x (b + r), which costs next to nothing.
    """
    least = 0.0
    shared = settings.als_alpha * (other.T @ other)
    for rows, others, mask in taken:
        vectors = functional.embedding(others, other) * mask[:, :, None]
        size = mask.sum(dim=1, keepdim=True) + settings.als_alpha * len(other)
        normal = partial(left_side, vectors, shared, settings.als_reg * size**settings.als_nu)
        found = side[rows]
        wanted = vectors.sum(dim=1)
        residual = wanted - normal(found)
        direction, length = residual, residual.square().sum(dim=1, keepdim=True)
        for _ in range(CG_STEPS):
            image = normal(direction)
            step = length / (direction * image).sum(dim=1, keepdim=True).clamp_min(TINY)
            found = found + step * direction
            residual = residual - step * image
            before, length = length, residual.square().sum(dim=1, keepdim=True)
            direction = residual + length / before.clamp_min(TINY) * direction
        side[rows] = found
        least -= float((found * (wanted + residual)).sum(dim=1).numpy().sum(dtype=np.float64))
    return least


def penalty(users: torch.Tensor, data: Dataset, settings: Settings) -> float:
    """The users' part of the penalty."""
    size = np.bincount(data.user, minlength=len(users)) + settings.als_alpha * len(data.items)
    length = users.square().sum(dim=1).numpy().astype(np.float64)
    return float((settings.als_reg * size**settings.als_nu * length).sum())


def left_side(vectors: torch.Tensor, shared: torch.Tensor, reg: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """The normal equations' left side for found [n, d] with taken vectors [n, m, d]; no d x d matrix for each row."""
    scores = torch.bmm(vectors, found[:, :, None])
    return found @ shared + reg * found + torch.bmm(vectors.mT, scores)[:, :, 0]
