"""The reference: NeuMF trained as the papers' public PyTorch code (guoyang9/NCF) trains it.

Written here from how that code behaves: every sample is a Python object that a DataLoader's workers fetch and collate
one by one; negatives are drawn one by one; batch 256; dense Adam at its defaults; NeuMF with factor 32 and 3 layers,
its embeddings normal with deviation .01, its layers Xavier uniform. Where that code asks a scipy dok_matrix whether a
pair was seen, this asks a set, which is faster.
"""

import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from .arrays import Arrays, load
from .protocol import sampled_hit_rate

PAIRS_AT_ONCE = 2**16


class Samples(Dataset):
    """Positives and their drawn negatives, each a pair of Python numbers with its label."""

    def __init__(self, arrays: Arrays, negatives: int, seed: int) -> None:
        self.positives = list(zip(arrays.user.tolist(), arrays.item.tolist(), strict=True))
        self.seen = set(self.positives)
        self.items, self.negatives = arrays.items, negatives
        self.random = np.random.RandomState(seed)
        self.pairs: list[tuple[int, int]] = []
        self.labels: list[float] = []

    def redraw(self) -> None:
        """Draw this epoch's negatives, one after the other."""
        drawn = [(user, self.unseen(user)) for user, _ in self.positives for _ in range(self.negatives)]
        self.pairs = self.positives + drawn
        self.labels = [1.0] * len(self.positives) + [0.0] * len(drawn)

    def unseen(self, user: int) -> int:
        """An item this user never took."""
        item = int(self.random.randint(self.items))
        while (user, item) in self.seen:
            item = int(self.random.randint(self.items))
        return item

    def __len__(self) -> int:
        return len(self.positives) * (1 + self.negatives)

    def __getitem__(self, place: int) -> tuple[int, int, float]:
        user, item = self.pairs[place]
        return user, item, self.labels[place]


class NeuMF(nn.Module):
    """He et al. 2017, figure 3: GMF and MLP with embeddings of their own, joined by one layer."""

    def __init__(self, users: int, items: int, factors: int, layers: int) -> None:
        super().__init__()
        width = factors * 2 ** (layers - 1)
        self.gmf_user, self.gmf_item = nn.Embedding(users, factors), nn.Embedding(items, factors)
        self.mlp_user, self.mlp_item = nn.Embedding(users, width), nn.Embedding(items, width)
        sizes = [factors * 2 ** (layers - level) for level in range(layers + 1)]
        steps = [(nn.Linear(into, out), nn.ReLU()) for into, out in pairwise(sizes)]
        self.tower = nn.Sequential(*(part for step in steps for part in step))
        self.predict = nn.Linear(2 * factors, 1)
        for table in (self.gmf_user, self.gmf_item, self.mlp_user, self.mlp_item):
            nn.init.normal_(table.weight, std=0.01)
        for linear, _ in steps:
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        nn.init.kaiming_uniform_(self.predict.weight, a=1, nonlinearity="sigmoid")
        nn.init.zeros_(self.predict.bias)

    def forward(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """Logits [b] of items [b] for users [b]."""
        product = self.gmf_user(user) * self.gmf_item(item)
        deep = self.tower(torch.cat((self.mlp_user(user), self.mlp_item(item)), -1))
        return self.predict(torch.cat((product, deep), -1)).view(-1)


def train(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds and sampled HR@10 of each epoch; with settings["steps"], an epoch's time extrapolated from so many."""
    torch.manual_seed(settings["seed"])
    arrays = load(folder)
    samples = Samples(arrays, settings["negatives"], settings["seed"])
    network = NeuMF(arrays.users, arrays.items, settings["factors"], settings["layers"])
    optimiser = torch.optim.Adam(network.parameters(), lr=settings["lr"])
    loader = DataLoader(samples, batch_size=settings["batch"], shuffle=True, num_workers=settings["workers"])
    if steps := settings.get("steps"):
        return {"seconds": [timed_epoch(samples, loader, network, optimiser, steps)], "extrapolated_from_steps": steps}
    seconds, hits = [], []
    for number in range(1, settings["epochs"] + 1):
        seconds.append(timed_epoch(samples, loader, network, optimiser, len(loader)))
        hits.append(sampled_hit_rate(lambda user, item: score(network, user, item), arrays))
        print(f"epoch {number}: HR={hits[-1]:.4f}; {seconds[-1]:.1f} s", flush=True)
    return {"seconds": seconds, "hr@10": hits}


def timed_epoch(
    samples: Samples, loader: DataLoader[Any], network: NeuMF, optimiser: torch.optim.Optimizer, steps: int
) -> float:
    """Seconds of an epoch: drawing, the loader's start, and its steps as fast as the first `steps` of them."""
    began = time.perf_counter()
    samples.redraw()
    batches = iter(loader)
    first = next(batches)
    ready = time.perf_counter()
    network.train()
    batch, done = first, 0
    while True:
        step(network, optimiser, batch)
        done += 1
        if done % 1000 == 0:
            print(f"step {done} of {steps}", flush=True)
        if done >= steps or (batch := next(batches, None)) is None:
            break
    per_step = (time.perf_counter() - ready) / done
    return ready - began + per_step * len(loader)


def step(network: NeuMF, optimiser: torch.optim.Optimizer, batch: list[torch.Tensor]) -> None:
    """One batch: users, items and labels."""
    user, item, label = batch
    network.zero_grad()
    loss = nn.functional.binary_cross_entropy_with_logits(network(user, item), label.float())
    loss.backward()
    optimiser.step()


def score(network: nn.Module, user: np.ndarray[Any, Any], item: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A network's logits of pairs, many at a time."""
    network.eval()
    with torch.no_grad():
        parts = [
            network(
                torch.from_numpy(user[start : start + PAIRS_AT_ONCE]),
                torch.from_numpy(item[start : start + PAIRS_AT_ONCE]),
            )
            for start in range(0, len(user), PAIRS_AT_ONCE)
        ]
    return np.asarray(torch.cat(parts).numpy())
