"""What a competent team serves first: the network as it was trained, in onnxruntime, and a sort of all scores.

For the peers' Python: no other module of this project is imported. The folder is NAIVE_DIR (model/ and plain.onnx).
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

THREADS = 2


class Naive:
    """Scores every item for every request; a user the model does not know gets the most popular items."""

    def __init__(self) -> None:
        folder = Path(os.environ["NAIVE_DIR"])
        users, self.items = (json.loads((folder / "model" / f"{name}.json").read_text()) for name in ("users", "items"))
        self.users = {name: place for place, name in enumerate(users)}
        self.offsets, self.seen, popularity = (
            np.load(folder / "model" / f"{name}.npy") for name in ("seen_offsets", "seen_items", "popularity")
        )
        self.popular = (popularity / len(users)).astype(np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        self.session = onnxruntime.InferenceSession(folder / "plain.onnx", options, providers=["CPUExecutionProvider"])

    def recommend(self, user_id: str, count: int) -> dict[str, Any]:
        """The best items that the user has not seen."""
        user = self.users.get(user_id)
        if user is None:
            return answer(user_id, self.items, self.popular, count)
        scores = self.session.run(None, {"user": np.array([user], dtype=np.int64)})[0][0]
        scores[self.seen[self.offsets[user] : self.offsets[user + 1]]] = -np.inf
        return answer(user_id, self.items, scores, count)


def answer(user_id: str, items: list[str], scores: Any, count: int) -> dict[str, Any]:
    """The first of all items, sorted."""
    order = np.argsort(-scores, kind="stable")[:count]
    return {"userId": user_id, "itemList": [{"itemId": items[one], "score": float(scores[one])} for one in order]}
