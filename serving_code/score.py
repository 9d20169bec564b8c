"""A model's score: score.onnx's own constants where the graph is one that training writes, else ONNX Runtime.

A graph counts as known only if all its nodes, names and shapes are those that training_code gives it; the golden
requests then prove at load that the short way gives the answers which training wrote.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from . import graph
from .dot_product import DotProduct
from .ease import EASE
from .members import Content
from .ncf import NCF

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

OPSET = (("", 17),)


class Score(Protocol):
    """The score of U users and I items. Its methods may run in several threads."""

    def row(self, user: int) -> Floats:
        """A new array [I] that orders the items for a user: the scores, or what grows with them."""

    def pairs(self, users: Places, items: Places) -> Floats:
        """The same for pairs [n] of a user and an item, without scoring anything else."""

    def shown(self, values: Floats) -> Floats:
        """The scores of what `row` or `pairs` gave."""


# a new form is a file and one line here
FORMS: tuple[Any, ...] = (DotProduct, NCF, EASE)


def read_score(content: Content, users: int, items: int) -> Score:
    """The score in a file score.onnx. Raises ArchiveError."""
    found = graph.read(content)
    known = found.opset == OPSET and found.inputs == ("user",) and found.outputs == ("scores",)
    for form in FORMS if known else ():
        score: Score | None = form.of(found, users, items)
        if score is not None:
            return score
    from .onnx_session import Session  # 40 MB and 0.1 s that no model of ours needs

    return Session(bytes(content), items)
