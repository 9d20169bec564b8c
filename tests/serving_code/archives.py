"""Small archives of a dot product, written by hand, and what the right answers to them are, found the slow way."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from serving_code.formats import FORMATS
from serving_code.operations import Call
from serving_code.recommender import Recommender
from serving_code.settings import Settings

USERS, ITEMS, WIDTH = 9, 50, 4
CATEGORIES = ["fruit", "bread", "wine", None]


@dataclass(frozen=True)
class World:
    """All that is known of an archive: scores [U, I], what each user took, each item's category and availability."""

    scores: np.ndarray
    seen: list[list[int]]
    popularity: np.ndarray
    categories: list[str | None] | None = None
    available: list[bool] | None = None
    blend_below: int = 0

    def answer(self, user: int | None, count: int, chosen: dict[str, Any]) -> list[tuple[str, float]]:
        """What getRecommendations must give: a sort of all items by score, after the filter."""
        row = self.popularity if user is None else self.scores[user]
        if user is not None and len(self.seen[user]) < self.blend_below:
            weight = np.float32(len(self.seen[user]) / self.blend_below)
            row = weight * row + (1 - weight) * self.popularity
        found = [item for item in range(ITEMS) if self.lets_in(user, item, chosen)]
        found.sort(key=lambda item: (-row[item], item))
        return [(f"i{item}", float(row[item])) for item in found[:count]]

    def lets_in(self, user: int | None, item: int, chosen: dict[str, Any]) -> bool:
        name = f"i{item}"
        if user is not None and chosen.get("excludeSeen", True) and item in self.seen[user]:
            return False
        if self.available and chosen.get("availableOnly", True) and not self.available[item]:
            return False
        category = self.categories[item] if self.categories else None
        if "categories" in chosen and category not in chosen["categories"]:
            return False
        if category in chosen.get("excludeCategories", []):
            return False
        return name not in chosen.get("excludeItemIds", []) and name in chosen.get("includeItemIds", [name])


def world(seed: int = 0, **more: Any) -> World:
    """Random vectors; the first user has taken one item, the next two, and so on."""
    random = np.random.default_rng(seed)
    users, items = (random.standard_normal((count, WIDTH)).astype(np.float32) for count in (USERS, ITEMS))
    seen = [sorted(random.choice(ITEMS, user + 1, replace=False).tolist()) for user in range(USERS)]
    counts = np.bincount(np.concatenate(seen), minlength=ITEMS)
    found = World(users @ items.T, seen, (counts / USERS).astype(np.float32), **more)
    object.__setattr__(found, "vectors", (users, items))
    return found


def labelled(**more: Any) -> World:
    """With categories, of which some items have none, and a quarter of the items not available."""
    categories = [CATEGORIES[item % 4] for item in range(ITEMS)]
    return world(categories=categories, available=[item % 5 != 0 for item in range(ITEMS)], **more)


def graph(users: np.ndarray, items: np.ndarray, *more: Any) -> bytes:
    """score.onnx as training writes it for ALS; `more` are nodes before the last one's output."""
    constants = [numpy_helper.from_array(users, "als_users"), numpy_helper.from_array(items.T.copy(), "als_items")]
    nodes = [
        helper.make_node("Gather", ["als_users", "user"], ["als_user"]),
        helper.make_node("MatMul", ["als_user", "als_items"], ["product" if more else "scores"]),
        *more,
    ]
    inputs = [helper.make_tensor_value_info("user", TensorProto.INT64, ["n"])]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(items)])]
    made = helper.make_model(
        helper.make_graph(nodes, "score", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 17)]
    )
    made.ir_version = 8
    return made.SerializeToString()


def members(found: World, table: int) -> dict[str, Any]:
    """The files of an archive: bytes, arrays, or what becomes JSON."""
    users, items = found.vectors
    files: dict[str, Any] = {
        "score.onnx": graph(users, items),
        "users.json": [f"u{user}" for user in range(USERS)],
        "items.json": [f"i{item}" for item in range(ITEMS)],
        "popularity.npy": np.bincount(np.concatenate(found.seen), minlength=ITEMS),
        "seen_offsets.npy": np.cumsum([0, *map(len, found.seen)]),
        "seen_items.npy": np.concatenate(found.seen).astype(np.int32),
        "item_factors.npy": items / np.linalg.norm(items, axis=1, keepdims=True),
    }
    if found.categories:
        files["categories.json"] = found.categories
    if found.available:
        files["available.npy"] = np.array(found.available)
    if table:
        rows = [found_row(found, user, table) for user in range(USERS)]
        files["top_items.npy"] = np.array([[item for item, _ in row] for row in rows], dtype=np.int32)
        files["top_scores.npy"] = np.array([[score for _, score in row] for row in rows], dtype=np.float32)
    lines = []
    for user in (*range(0, USERS, 3), None):
        best = found.answer(user, 5, {})
        request = {"userId": "nobody" if user is None else f"u{user}", "numResults": 5}
        lines.append({"request": request, "itemIds": [name for name, _ in best], "scores": [one for _, one in best]})
    files["golden.jsonl"] = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return files


def found_row(found: World, user: int, count: int) -> list[tuple[int, float]]:
    """A row of the table: no filter but what the user has taken, and never blended."""
    order = [item for item in np.argsort(-found.scores[user], kind="stable").tolist() if item not in found.seen[user]]
    row = [(item, float(found.scores[user, item])) for item in order[:count]]
    return row + [(-1, 0.0)] * (count - len(row))


def write(folder: Path, found: World, table: int = 20, **others: Any) -> Path:
    """Write an archive whose digests are right; `others` replace files, None leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {**members(found, table), **{name.replace("__", "."): content for name, content in others.items()}}
    for name, content in files.items():
        if isinstance(content, np.ndarray):
            np.save(folder / name, content, allow_pickle=content.dtype == object)
        elif content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    more = {"blend_below": found.blend_below} if found.blend_below else {}
    return listed(folder, {"schema_version": 1, "data_through": "2026-06-01T00:00:00Z", **more})


def listed(folder: Path, manifest: dict[str, Any]) -> Path:
    """The folder, its manifest saying of every other file what it is."""
    paths = [path for path in sorted(folder.iterdir()) if path.name != "manifest.json"]
    contents = {path.name: path.read_bytes() for path in paths}
    files = {name: {"sha256": hashlib.sha256(one).hexdigest(), "bytes": len(one)} for name, one in contents.items()}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
    return folder


def call(recommender: Recommender) -> Call:
    """A call of a model that is served."""
    return Call(recommender, Settings(Path(), 8080, "board", "3", "r1"), "request", "main")


def ask(recommender: Recommender, **body: Any) -> Any:
    """The answer to a request, after checking that the quick one, if there is one, is the same."""
    form, made = FORMATS["application/json"], call(recommender)
    request = form.read(json.dumps({"operation": "getRecommendations", **body}).encode())
    full, quick = json.loads(form.answer(request, made)), form.quick(request, made)
    if quick is not None:
        changing = {"recommendationId"}
        same = [{key: value for key, value in one.items() if key not in changing} for one in (full, json.loads(quick))]
        assert same[0] == same[1]
    return full
