"""What changes for users: the candidate's lists beside the champion's, of the same users of the holdout.

overlap      the part of a user's first 10 items that both recommend, in the mean over the users
identical    the part of the users whose 10 items are the same, in the same order
first        the part of the users whose first item stays
examples     a user of whom much, one of whom as much as of most, and one of whom little changes

Ids are hashed with a key made of all users' ids: who does not have the data cannot try which id gives which hash.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from channels import Data
from model_archive import Integers
from ranking import Ranks

LENGTH = 10
EXAMPLES = (0.1, 0.5, 0.9)  # places among the users, by how much of their lists is kept


@dataclass(frozen=True)
class Turnover:
    """See the module. Examples: hashed user, list before, list after."""

    overlap: float
    identical: float
    first: float
    examples: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]

    def record(self, users: int) -> dict[str, Any]:
        """As JSON."""
        examples = [{"user": user, "before": list(old), "after": list(new)} for user, old, new in self.examples]
        return {
            "length": LENGTH, "users": users, "overlap": self.overlap, "identical": self.identical,
            "first": self.first, "examples": examples,
        }  # fmt: skip


def turnover(ours: Ranks, theirs: Ranks, data: Data) -> Turnover:
    """From the champion's lists (`theirs`) to the candidate's."""
    new, old = ours.top[:, :LENGTH], theirs.top[:, :LENGTH]
    kept = ((new[:, :, None] == old[:, None, :]) & (new >= 0)[:, :, None]).any(axis=2).sum(axis=1)
    share = kept / np.maximum(np.maximum((new >= 0).sum(axis=1), (old >= 0).sum(axis=1)), 1)
    same = (new == old).all(axis=1)
    order = np.argsort(share, kind="stable")
    chosen = dict.fromkeys(int(order[int(part * (len(order) - 1))]) for part in EXAMPLES)
    hashed = Hashed(data.train.users, data.train.items)
    examples = tuple(
        (hashed.user(int(data.holdout.users[row])), hashed.list(old[row]), hashed.list(new[row])) for row in chosen
    )
    return Turnover(float(share.mean()), float(same.mean()), float((new[:, 0] == old[:, 0]).mean()), examples)


class Hashed:
    """Short names for users and items that only who has the data can trace back."""

    def __init__(self, users: Sequence[str], items: Sequence[str]) -> None:
        self.users, self.items = users, items
        self.key = hashlib.sha256("\0".join(users).encode("utf-8", "surrogatepass")).digest()

    def user(self, position: int) -> str:
        """A user's."""
        return self._name("user", self.users[position])

    def list(self, positions: Integers) -> tuple[str, ...]:
        """The items of a list."""
        return tuple(self._name("item", self.items[position]) for position in positions if position >= 0)

    def _name(self, kind: str, identity: str) -> str:
        content = f"{kind}\0{identity}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(content, key=self.key, digest_size=4).hexdigest()
