"""A model's archive: data only (ONNX, JSON, npy), the same bytes for the same model.

Nothing in it knows its run, commit or version, and nothing in it is a wall clock's.
"""

import gzip
import hashlib
import json
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from dataset import Dataset, Floats
from graph import scores
from model import Model
from onnx import ModelProto
from signing import SIGNATURE, Sign
from top_items import table

SCHEMA_VERSION = 1
GOLDEN_USERS = 4
GOLDEN_RESULTS = 10


def write(path: Path, data: Dataset, model: Model, facts: Mapping[str, Any], sign: Sign | None = None) -> None:
    """Write the archive; `facts` (model, hyperparameters, metrics) go into the manifest, which may be signed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        write_members(Path(scratch), data, model, facts)
        if sign is not None:
            Path(scratch, SIGNATURE).write_bytes(sign(Path(scratch, "manifest.json").read_bytes()))
        pack(Path(scratch), path)


def manifest(path: Path) -> Any:
    """What the manifest of an archive says."""
    with tarfile.open(path) as tar:
        member = tar.extractfile("manifest.json")
        return json.load(member) if member else {}


def pack(folder: Path, path: Path) -> None:
    """The folder's files as a .tar.gz of reproducible bytes: sorted names, no owner, no time."""
    half = path.with_name(path.name + ".part")
    with (
        half.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for member in sorted(folder.iterdir()):
            entry = tarfile.TarInfo(member.name)
            entry.size, entry.mode = member.stat().st_size, 0o644
            with member.open("rb") as content:
                tar.addfile(entry, content)
    half.replace(path)


def write_members(folder: Path, data: Dataset, model: Model, facts: Mapping[str, Any]) -> None:
    """Write the archive's files into an empty folder, the manifest last."""
    graph = model.graph()
    popularity = np.bincount(data.item, minlength=len(data.items)).astype(np.int64)
    (folder / "score.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    write_json(folder / "users.json", data.users)
    write_json(folder / "items.json", data.items)
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "popularity": popularity,
        "seen_offsets": data.offsets(),
        "seen_items": seen_items(data),
        "item_factors": unit(model.item_vectors()),
        **optional_arrays(data, model),
    }
    if data.category is not None:
        write_json(folder / "categories.json", data.category)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    lines = golden(data, graph, facts.get("blend_below", 0))
    (folder / "golden.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "dataset": data.name,
        "data_from": data.data_from,
        "data_through": data.data_through,
        "counts": {"users": len(data.users), "items": len(data.items), "interactions": len(data.user)},
        **facts,
        "files": {path.name: describe(path) for path in sorted(folder.iterdir())},
    }
    write_json(folder / "manifest.json", manifest, indent=2)


def optional_arrays(data: Dataset, model: Model) -> dict[str, np.ndarray[Any, Any]]:
    """What serving is faster or knows more with, and can do without."""
    found, top = {}, table(model, data)
    if top is not None:
        found = {"top_items": top[0], "top_scores": top[1]}
    if data.available is not None:
        found["available"] = np.array(data.available, dtype=np.bool_)
    return found


def describe(path: Path) -> dict[str, Any]:
    """A member's digest and size, by which every reader checks it."""
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Sorted keys and no NaN, so that equal content is equal bytes and every reader can read it."""
    text = json.dumps(content, indent=indent, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def seen_items(data: Dataset) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Every user's items in ascending order; user u's are at [seen_offsets[u], seen_offsets[u + 1])."""
    order = np.lexsort((data.item, data.user))
    return data.item[order].astype(np.int32)


def unit(vectors: Floats) -> Floats:
    """Rows scaled to length one, so that products say how related two items are; a zero row stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)


def golden(data: Dataset, graph: ModelProto, blend_below: int) -> list[dict[str, Any]]:
    """Requests with the answers any server of this archive must give, computed from score.onnx itself.

    A user with fewer than `blend_below` interactions is answered by w * score + (1 - w) * popularity, where w is the
    interactions over `blend_below`, and popularity the share of users who took an item.
    """
    chosen = sorted(set(np.linspace(0, len(data.users) - 1, GOLDEN_USERS).astype(int).tolist()))
    popularity = (np.bincount(data.item, minlength=len(data.items)) / len(data.users)).astype(np.float32)
    gone = np.zeros(len(data.items), dtype=np.bool_) if data.available is None else ~np.array(data.available)
    lines = []
    for user, row in zip(chosen, scores(graph, chosen), strict=True):
        taken = data.item[data.user == user]
        if len(taken) < blend_below:
            weight = np.float32(len(taken) / blend_below)
            row[:] = weight * row + (1 - weight) * popularity
        row[taken] = -np.inf
        row[gone] = -np.inf
        lines.append(line(data.users[user], row, data.items))
    unknown = "nobody"
    while unknown in data.users:
        unknown += "-else"
    popularity[gone] = -np.inf
    lines.append(line(unknown, popularity, data.items))
    return lines


def line(user_id: str, row: np.ndarray[Any, Any], items: list[str]) -> dict[str, Any]:
    """One golden request and its answer; among equal scores the item that comes first in `items` is first."""
    best = [item for item in np.argsort(-row, kind="stable")[:GOLDEN_RESULTS] if np.isfinite(row[item])]
    return {
        "request": {"operation": "getRecommendations", "userId": user_id, "numResults": GOLDEN_RESULTS},
        "itemIds": [items[item] for item in best],
        "scores": [round(float(row[item]), 6) for item in best],
    }
