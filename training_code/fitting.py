"""The training loop: slices of one shuffled tensor instead of a DataLoader, negatives for a whole epoch at once."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from dataset import Dataset, TrainingError, Validation, draw_negatives, seen_bitmap, split
from networks import NETWORKS, Network, Shape
from torch.nn import functional


@dataclass(frozen=True)
class Settings:
    """Hyperparameters; names as in LotteON's params."""

    model: str
    epochs: int
    lr: float
    batch_size: int
    dropout: float
    factor_num: int
    num_layers: int
    num_ng: int
    top_k: int
    test_num_ng: int
    seed: int


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: hit rate and NDCG at top_k among sampled negatives, and the mean loss."""

    hr: float
    ndcg: float
    loss: float


def fit(data: Dataset, settings: Settings, report: Callable[[int, Epoch], None]) -> tuple[Network, Epoch]:
    """Fit a network; equal data, settings and machine give equal weights.

    Raises TrainingError at the first loss that is not finite: nothing is worth saving then.
    """
    torch.manual_seed(settings.seed)
    torch.use_deterministic_algorithms(True)
    generator = np.random.default_rng(settings.seed)
    kept, validation = split(data, settings.test_num_ng, generator)
    user, item, seen = data.user[kept], data.item[kept], seen_bitmap(data)
    network = build(data, settings, item)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.lr, fused=True)
    epoch = Epoch(0.0, 0.0, 0.0)
    for number in range(1, settings.epochs + 1):
        order = generator.permutation(len(user))
        negatives = draw_negatives(seen, user[order], settings.num_ng, generator)
        items = torch.from_numpy(np.concatenate([item[order][:, None], negatives], axis=1))
        loss = run_epoch(network, optimiser, torch.from_numpy(user[order]), items, settings)
        hr, ndcg = validate(network, validation, settings.top_k)
        epoch = Epoch(hr, ndcg, loss)
        report(number, epoch)
    return network, epoch


def build(data: Dataset, settings: Settings, item: np.ndarray) -> Network:
    """A network for this data; items start at the log odds that a positive beats its drawn negatives."""
    counts = np.bincount(item, minlength=len(data.items)) + 1.0
    odds = counts / counts.sum() * len(data.items) / settings.num_ng
    shape = Shape(len(data.users), len(data.items), settings.factor_num, settings.num_layers, settings.dropout)
    return Network(shape, NETWORKS[settings.model], torch.from_numpy(np.log(odds)).float())


def run_epoch(
    network: Network, optimiser: torch.optim.Optimizer, user: torch.Tensor, items: torch.Tensor, settings: Settings
) -> float:
    """One pass over the positives user [n] with items [n, 1 + num_ng], the positive first; returns the mean loss."""
    network.train()
    rows = max(1, settings.batch_size // items.shape[1])  # batch_size counts samples, as in LotteON's code
    target = torch.zeros(rows, items.shape[1])
    target[:, 0] = 1.0
    total = 0.0
    for start in range(0, len(user), rows):
        users, batch = user[start : start + rows], items[start : start + rows]
        loss = functional.binary_cross_entropy_with_logits(network(users, batch), target[: len(users)])
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(f"the loss became {value}; a smaller lr than {settings.lr:g} would be right")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += value * len(users)
    return total / len(user)


def validate(network: Network, validation: Validation, top_k: int) -> tuple[float, float]:
    """Hit rate and NDCG at top_k of the held back item among its sampled negatives; ties count against it."""
    if not len(validation.user):
        return 0.0, 0.0
    network.eval()
    items = torch.from_numpy(np.concatenate([validation.item[:, None], validation.negatives], axis=1))
    with torch.no_grad():
        logits = network(torch.from_numpy(validation.user), items).numpy()
    rank = (logits[:, 1:] >= logits[:, :1]).sum(axis=1)
    hit = rank < top_k
    return float(hit.mean()), float((hit / np.log2(rank + 2.0)).mean())
