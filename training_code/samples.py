"""One epoch's samples: every positive once in a new order, each with negatives drawn for this epoch."""

from collections.abc import Callable

import numpy as np
import torch
from dataset import Dataset
from resident import Resident
from run import ORDER, Run, seed_of
from sampling import Negatives
from settings import Settings

# (generator, epoch) -> users [n], items [n, 1 + num_ng] with the positive first, on the machine's device
Samples = Callable[[np.random.Generator, int], tuple[torch.Tensor, torch.Tensor]]


def samples(data: Dataset, settings: Settings, run: Run) -> Samples:
    """Draws epochs the way that fits the machine."""
    return Resident(data, settings, run) if run.machine.resident else Host(data, settings, run)


class Host:
    """Draws with numpy in memory of O(interactions)."""

    def __init__(self, data: Dataset, settings: Settings, run: Run) -> None:
        self.data, self.settings, self.run = data, settings, run
        self.negatives = Negatives(data, settings.sampling)

    def __call__(self, generator: np.random.Generator, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Alone all is drawn from the one generator; in a group the order is everybody's and the negatives a rank's."""
        data, group, seed = self.data, self.run.group, self.settings.seed
        ordering = generator if group.alone else np.random.default_rng(seed_of(seed, epoch, ORDER))
        drawing = generator if group.alone else np.random.default_rng(seed_of(seed, epoch, group.rank))
        order = ordering.permutation(len(data.user))
        if not group.alone:
            order = order[group.share(len(order))]
        user, item = data.user[order], data.item[order]
        drawn = self.negatives(user, item, self.settings.num_ng, drawing)
        return torch.from_numpy(user), torch.from_numpy(np.concatenate([item[:, None], drawn], axis=1))
