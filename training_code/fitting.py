"""The training loop: slices of one shuffled tensor instead of a DataLoader, negatives for a whole epoch at once."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import progress
import snapshot
import torch
from checkpoints import Slot
from dataset import Dataset, TrainingError
from networks import Network
from run import Run, seed_of
from samples import Samples, samples
from settings import Settings
from torch.nn import functional
from validation import Score, Watch


@dataclass
class State:
    """All that one epoch leaves to the next: what a checkpoint holds (snapshot.py), and where it runs."""

    network: Network
    optimiser: torch.optim.Optimizer
    generator: np.random.Generator
    epoch: int = 0
    best: dict[str, Any] = field(default_factory=dict)  # the weights of the best epoch so far
    run: Run = field(default_factory=Run)


def train(
    network: Network, data: Dataset, settings: Settings, watch: Watch, frozen: Callable[[Network], Score]
) -> Network:
    """Train the network, and give it back with the weights of its best epoch; epoch 0 is what it came with.

    Equal data, settings and machine give equal weights. Raises TrainingError at the first loss that is not finite.
    """
    torch.use_deterministic_algorithms(True)
    state = begin(network, settings, watch.run)
    draw = samples(data, settings, watch.run)
    slot = next(watch.run.slots)
    left = watch.run.resumed(slot)
    if left:
        snapshot.restore(left, state, watch)
        print(f"{slot.name}: goes on after epoch {state.epoch}", flush=True)
    else:
        judge(state, slot, watch, frozen(network), None)
    while state.epoch < settings.epochs and not watch.ended:
        loss = run_epoch(state, draw, settings)
        judge(state, slot, watch, frozen(network), loss)
    network.load_state_dict(state.best)
    return network


def begin(network: Network, settings: Settings, run: Run | None = None) -> State:
    """The state before the first epoch, the same on all ranks."""
    run = run or Run()
    network.to(run.machine.device)
    with torch.no_grad():
        run.group.agree(list(network.parameters()))
    groups = [{"params": [network.bias], "weight_decay": 0.0}, {"params": network.parts.parameters()}]
    optimiser = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.reg, fused=True)
    return State(network, optimiser, np.random.default_rng(settings.seed), run=run)


def judge(state: State, slot: Slot, watch: Watch, score: Score, loss: float | None) -> None:
    """Let the watch judge the epoch, keep its weights if they are the best, and leave a checkpoint."""
    if watch(state.epoch, score, loss):
        state.best = copy.deepcopy(state.network.state_dict())
    if slot.folder is not None:
        slot.write(snapshot.taken(state, watch))


def run_epoch(state: State, draw: Samples, settings: Settings) -> float:
    """One pass over the positives, each with num_ng negatives drawn for this epoch; returns the mean loss."""
    run = state.run
    users, items = draw(state.generator, state.epoch)
    if not run.plain:  # what dropout draws; alone on the CPU it goes on from the epoch before
        torch.manual_seed(seed_of(settings.seed, state.epoch, run.group.rank))
    state.network.train()
    # batch_size counts samples, as in LotteON's code, and those of all ranks
    rows = max(1, settings.batch_size // items.shape[1] // run.group.size)
    total = 0.0
    for start in range(0, len(users), rows):
        progress.show(f"epoch {state.epoch + 1}", start / len(users))
        batch = slice(start, start + rows)
        total += step(state, users[batch], items[batch], settings) * len(users[batch])
    state.epoch += 1
    progress.show(f"epoch {state.epoch}", 1.0)
    return total / len(users)


def step(state: State, users: torch.Tensor, items: torch.Tensor, settings: Settings) -> float:
    """Learn from users [b] with items [b, 1 + num_ng], the positive first; returns the loss."""
    network, run = state.network, state.run
    target = torch.zeros(items.shape, device=items.device)
    target[:, 0] = 1.0
    with run.machine.autocast():
        logits = network(users, items)
    loss = functional.binary_cross_entropy_with_logits(logits.float(), target)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    shown = loss.detach()
    run.group.average([shown, *(one.grad for one in network.parameters() if one.grad is not None)])
    value = float(shown)
    if not math.isfinite(value):  # on one rank is on all of them, by the average
        raise TrainingError(f"the loss became {value}; a smaller lr than {settings.lr:g} would be right")
    state.optimiser.step()
    return value
