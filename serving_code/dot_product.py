"""score = user . item: what training_code/als.py writes."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from .constants import Floats, Places, held, paired, product, take
from .graph import Graph, Node

NODES = [Node("Gather", ("als_users", "user"), "als_user"), Node("MatMul", ("als_user", "als_items"), "scores")]


@dataclass(frozen=True)
class DotProduct:
    """users [U, d], items [d, I]."""

    users: Floats
    items: Floats

    @classmethod
    def of(cls, graph: Graph, users: int, items: int) -> Self | None:
        """The score of such a graph; None for any other graph."""
        if graph.nodes != NODES:
            return None
        left = take(graph, "als_users", "<f4", (users, None))
        right = take(graph, "als_items", "<f4", (None, items))
        if left is None or right is None or left.shape[1] != len(right):
            return None
        return cls(left, held(right))

    def row(self, user: int) -> Floats:
        return product(np.array(self.users[user]), self.items)

    def pairs(self, users: Places, items: Places) -> Floats:
        return paired(self.users, self.items, users, items)

    def shown(self, values: Floats) -> Floats:
        return values
