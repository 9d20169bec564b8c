"""Model archives of any size without training, the same for the same arguments: large catalogues, and many tiny ones.

    python -m benchmarks.catalogues FOLDER --users 1000000 --items 1000000 --kind als

Users share a few tastes: a user's vector is its taste's, so that the best items of every user, and with them the top-k
table, follow from scoring the catalogue once for each taste. The arrays are as large as those of a trained model, and
score.onnx is the graph that training_code writes.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import exit_code
from .options import at_least_one
from .ours import training

Array = npt.NDArray[Any]
DAY = "2026-01-01T00:00:00Z"
ITEMS_AT_ONCE = 2**16
FAVOURITES = 200  # half of what a user has seen is among its taste's best, so that leaving it out changes the answer
GOLDEN_USERS = 3


@dataclass(frozen=True)
class Size:
    """What to make: `factors` and `layers` as in NeuMF (ALS has factors * 2^layers), `table` items for each user."""

    users: int
    items: int
    kind: str = "neumf"
    factors: int = 8
    layers: int = 3
    seen: int = 20
    table: int = 50
    tastes: int = 64
    prefix: str = ""  # of every id: an answer then says which model gave it
    seed: int = 1


@dataclass(frozen=True)
class Made:
    """A model with its tastes' scores [tastes, items]; user u's taste is taste[u]."""

    model: Any
    taste: Array
    scores: Array


def write(folder: Path, size: Size) -> None:
    """Write an archive's members into a folder, the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = training("archive")
    random = np.random.default_rng(size.seed)
    made = KINDS[size.kind](size, random)
    best = best_first(made.scores, min(size.items, max(FAVOURITES, size.table + size.seen)))
    user, item = histories(size, made.taste, best, random)
    offsets = np.searchsorted(user, np.arange(size.users + 1)).astype(np.int64)
    popularity = np.bincount(item, minlength=size.items).astype(np.int64)
    users, items = ([f"{size.prefix}{letter}{n}" for n in range(count)] for letter, count in parts(size))
    (folder / "score.onnx").write_bytes(made.model.graph().SerializeToString(deterministic=True))
    archive.write_json(folder / "users.json", users)
    archive.write_json(folder / "items.json", items)
    arrays = {
        "popularity": popularity, "seen_offsets": offsets, "seen_items": item,
        "item_factors": archive.unit(made.model.item_vectors()), **table(size, made, best, (user, item)),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    lines = [archive.line(users[one], row, items) for one, row in golden_rows(made, offsets, item)]
    lines.append(archive.line("nobody", (popularity / size.users).astype(np.float32), items))
    (folder / "golden.jsonl").write_text("".join(archive.json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    manifest = {
        "schema_version": 1, "dataset": "synthetic", "data_from": DAY, "data_through": DAY, "model": size.kind,
        "counts": {"users": size.users, "items": size.items, "interactions": len(item)},
        "files": {path.name: archive.describe(path) for path in sorted(folder.iterdir())},
    }  # fmt: skip
    archive.write_json(folder / "manifest.json", manifest, indent=2)


def parts(size: Size) -> list[tuple[str, int]]:
    """Users and items with the letter of their ids."""
    return [("u", size.users), ("i", size.items)]


def als(size: Size, random: np.random.Generator) -> Made:
    """score = user . item."""
    width = size.factors * 2**size.layers
    tastes, items = normal(random, size.tastes, width), normal(random, size.items, width)
    taste = random.integers(size.tastes, size=size.users)
    return Made(training("als").ImplicitALS(tastes[taste], items), taste, tastes @ items.T)


def neumf(size: Size, random: np.random.Generator) -> Made:
    """GMF and a tower over the first layer, as training_code's NeuMF keeps them."""
    width = size.factors * 2 ** (size.layers - 1)
    widths = [width // 2**level for level in range(size.layers)] + [1]
    tower = tuple(
        (normal(random, into, out) * np.float32(2 / into**0.5), normal(random, out) * np.float32(0.1))
        for into, out in pairwise(widths)
    )
    gmf_tastes, gmf_items = normal(random, size.tastes, size.factors), normal(random, size.items, size.factors)
    mlp_tastes, mlp_items = normal(random, size.tastes, width), normal(random, size.items, width)
    bias = normal(random, size.items) * np.float32(0.5) - np.float32(2)
    taste = random.integers(size.tastes, size=size.users)
    scale = np.float32(0.5 / size.factors**0.5)
    arrays = {"bias": bias, "gmf_items": gmf_items * scale, "mlp_items": mlp_items, "tower": tower}
    one = training("ncf").NeuMF(gmf_users=gmf_tastes, mlp_users=mlp_tastes, **arrays)
    return Made(
        training("ncf").NeuMF(gmf_users=gmf_tastes[taste], mlp_users=mlp_tastes[taste], **arrays),
        taste,
        np.stack([one.score(np.array([place]))[0] for place in range(size.tastes)]),
    )


# a new kind of model is one function and one line here
KINDS: Mapping[str, Callable[[Size, np.random.Generator], Made]] = {"als": als, "neumf": neumf}


def normal(random: np.random.Generator, *shape: int) -> Array:
    """Normal float32 numbers."""
    return random.standard_normal(shape, dtype=np.float32)


def best_first(scores: Array, count: int) -> Array:
    """The `count` best items of each row, best first; among equals the lower position."""
    found = np.empty((len(scores), count), dtype=np.int32)
    for row, best in zip(scores, found, strict=True):
        candidates = np.sort(np.argpartition(-row, count - 1)[:count])
        best[:] = candidates[np.argsort(-row[candidates], kind="stable")]
    return found


def histories(size: Size, taste: Array, best: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Distinct pairs of users and items they have seen, in order: popular ones, and their taste's favourites."""
    user = np.repeat(np.arange(size.users), size.seen)
    item = (size.items * random.random(len(user), dtype=np.float32) ** 3).astype(np.int64).clip(0, size.items - 1)
    liked = random.random(len(user), dtype=np.float32) < 0.5
    place = random.integers(min(FAVOURITES, best.shape[1]), size=int(liked.sum()))
    item[liked] = best[taste[user[liked]], place]
    pairs = np.unique(user * size.items + item)
    return pairs // size.items, (pairs % size.items).astype(np.int32)


def table(size: Size, made: Made, best: Array, seen: tuple[Array, Array]) -> dict[str, Array]:
    """top_items and top_scores [U, table]: each user's unseen items, best first, -1 and 0 where there are no more."""
    if not size.table:
        return {}
    user, item = seen
    best = best[:, : size.table + size.seen]
    places = np.full(made.scores.shape, -1, dtype=np.int32)
    np.put_along_axis(places, best, np.arange(best.shape[1], dtype=np.int32)[None, :], axis=1)
    place = places[made.taste[user], item]
    taken = np.zeros((size.users, best.shape[1]), dtype=np.bool_)
    taken[user[place >= 0], place[place >= 0]] = True
    order = np.argsort(taken, axis=1, kind="stable")[:, : size.table]
    none = np.take_along_axis(taken, order, axis=1)
    items = best[made.taste[:, None], order]
    scores = made.scores[made.taste[:, None], items].astype(np.float32)
    return {"top_items": np.where(none, -1, items).astype(np.int32), "top_scores": np.where(none, 0, scores)}


def golden_rows(made: Made, offsets: Array, items: Array) -> list[tuple[int, Array]]:
    """A few users with their scores, what they have seen left out."""
    chosen = sorted(set(np.linspace(0, len(made.taste) - 1, GOLDEN_USERS).astype(int).tolist()))
    rows = [(user, made.scores[made.taste[user]].copy()) for user in chosen]
    for user, row in rows:
        row[items[offsets[user] : offsets[user + 1]]] = -np.inf
    return rows


def tiny(folder: Path, number: int) -> None:
    """One of many tiny archives, all different: every id names the model."""
    prefix = f"m{number}-"
    write(folder, Size(8, 24, factors=2, layers=2, seen=3, table=10, tastes=4, prefix=prefix, seed=number))


def command(argv: Sequence[str] | None = None) -> None:
    """Write one archive."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=Path)
    words.add_argument("--users", type=at_least_one, default=1_000_000)
    words.add_argument("--items", type=at_least_one, default=100_000)
    words.add_argument("--kind", choices=sorted(KINDS), default="neumf")
    words.add_argument("--table", type=int, default=50, help="items of the top-k table for each user; 0: none")
    given = words.parse_args(argv)
    write(given.folder, Size(given.users, given.items, given.kind, table=given.table))


if __name__ == "__main__":
    sys.exit(exit_code(command))
