"""An archive's golden requests, asked of its own score.onnx: what an endpoint will be held to before it is believed."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from model_archive import Floats, ModelArchive

TIE = 1e-4  # scores this close may change places, as when an endpoint is verified
SHOWN = 5


def check(archive: ModelArchive) -> dict[str, Any]:
    """How many were asked and which are wrong, in words; neither decides anything. An archive may have none."""
    lines = archive.golden.splitlines()
    wrong = []
    for number, line in enumerate(lines, start=1):
        try:
            why = mismatch(archive, json.loads(line))
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            why = f"is no golden request ({type(error).__name__})"
        wrong += [f"golden request {number}: {why}"] if why else []
    return {"asked": len(lines), "right": len(lines) - len(wrong), "wrong": wrong[:SHOWN]}


def mismatch(archive: ModelArchive, golden: Mapping[str, Any]) -> str:
    """What is wrong with a promised answer; empty if its scores are the graph's and no other item's is higher."""
    row = answer(archive, str(golden["request"]["userId"]))
    promised = np.array([archive.items.index(item) for item in golden["itemIds"]], dtype=np.int64)
    scores = np.array(golden["scores"], dtype=np.float64)
    if not len(promised) or len(set(promised.tolist())) != len(promised):
        return "promises no items, or one of them twice"
    if not np.allclose(row[promised], scores, rtol=0, atol=TIE):
        return "promises scores that are not the graph's"
    others = np.delete(row, promised)
    best = others.max() if len(others) else -np.inf
    return "leaves out an item that the graph has higher" if best > scores.min() + TIE else ""


def answer(archive: ModelArchive, user_id: str) -> Floats:
    """Every item's score for a user as serving gives it; -inf for what is seen or cannot be had.

    Who has fewer than the manifest's blend_below interactions w * score + (1 - w) * popularity, where w is the
    interactions over it; who is not known the popularity, which is the share of users who took an item.
    """
    popularity = (np.asarray(archive.popularity) / max(1, len(archive.users))).astype(np.float32)
    row, below = popularity.copy(), archive.manifest.get("blend_below", 0)
    if user_id in archive.users:
        place = archive.users.index(user_id)
        seen = archive.seen[1][archive.seen[0] == place]
        row = archive.run(np.array([place]))[0].astype(np.float32)
        if len(seen) < below:
            weight = np.float32(len(seen) / below)
            row = weight * row + (1 - weight) * popularity
        row[seen] = -np.inf
    if archive.available is not None:
        row[~archive.available] = -np.inf
    return row
