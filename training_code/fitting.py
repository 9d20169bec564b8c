"""The training loop: slices of one shuffled tensor instead of a DataLoader, negatives for a whole epoch at once."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import progress
import torch
from dataset import Dataset, TrainingError
from networks import Network
from sampling import Negatives
from settings import Settings
from torch.nn import functional
from validation import Score, Watch


@dataclass
class State:
    """All that one epoch leaves to the next: what a checkpoint would hold."""

    network: Network
    optimiser: torch.optim.Optimizer
    generator: np.random.Generator
    epoch: int = 0
    best: dict[str, Any] = field(default_factory=dict)  # the weights of the best epoch so far


def train(
    network: Network, data: Dataset, settings: Settings, watch: Watch, frozen: Callable[[Network], Score]
) -> Network:
    """Train the network, and give it back with the weights of its best epoch; epoch 0 is what it came with.

    Equal data, settings and machine give equal weights. Raises TrainingError at the first loss that is not finite.
    """
    torch.use_deterministic_algorithms(True)
    state = begin(network, settings)
    negatives = Negatives(data, settings.sampling)
    loss = None
    while True:
        if watch(state.epoch, frozen(network), loss):
            state.best = copy.deepcopy(network.state_dict())
        if state.epoch == settings.epochs or watch.ended:
            network.load_state_dict(state.best)
            return network
        loss = run_epoch(state, data, negatives, settings)


def begin(network: Network, settings: Settings) -> State:
    """The state before the first epoch."""
    groups = [{"params": [network.bias], "weight_decay": 0.0}, {"params": network.parts.parameters()}]
    optimiser = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.reg, fused=True)
    return State(network, optimiser, np.random.default_rng(settings.seed))


def run_epoch(state: State, data: Dataset, negatives: Negatives, settings: Settings) -> float:
    """One pass over the positives, each with num_ng negatives drawn for this epoch; returns the mean loss."""
    order = state.generator.permutation(len(data.user))
    user, item = data.user[order], data.item[order]
    drawn = negatives(user, item, settings.num_ng, state.generator)
    items = torch.from_numpy(np.concatenate([item[:, None], drawn], axis=1))
    users = torch.from_numpy(user)
    state.network.train()
    rows = max(1, settings.batch_size // items.shape[1])  # batch_size counts samples, as in LotteON's code
    total = 0.0
    for start in range(0, len(user), rows):
        progress.show(f"epoch {state.epoch + 1}", start / len(user))
        batch = slice(start, start + rows)
        total += step(state, users[batch], items[batch], settings) * len(users[batch])
    state.epoch += 1
    progress.show(f"epoch {state.epoch}", 1.0)
    return total / len(user)


def step(state: State, users: torch.Tensor, items: torch.Tensor, settings: Settings) -> float:
    """Learn from users [b] with items [b, 1 + num_ng], the positive first; returns the loss."""
    target = torch.zeros(items.shape)
    target[:, 0] = 1.0
    loss = functional.binary_cross_entropy_with_logits(state.network(users, items), target)
    value = float(loss.item())
    if not math.isfinite(value):
        raise TrainingError(f"the loss became {value}; a smaller lr than {settings.lr:g} would be right")
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    state.optimiser.step()
    return value
