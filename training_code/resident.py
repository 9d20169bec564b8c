"""Samples drawn where they are used: positives stay in the GPU's memory, and an epoch's negatives are drawn there.

The CPU can run it as well, which is how it is tested; there numpy (sampling.py) is faster.
"""

import numpy as np
import torch
from dataset import Dataset, TrainingError
from run import ORDER, Run, generator_of
from sampling import PATIENCE
from settings import Settings


class Resident:
    """The same samples in distribution as sampling.Negatives, though not the same ones: another generator draws."""

    def __init__(self, data: Dataset, settings: Settings, run: Run) -> None:
        self.run, self.settings, self.items = run, settings, len(data.items)
        self.device = run.machine.device
        self.user, self.item = (torch.from_numpy(column).to(self.device) for column in (data.user, data.item))
        self.pairs = torch.sort(self.user * self.items + self.item).values
        taken = np.bincount(data.user, minlength=len(data.users))
        self.complete = torch.from_numpy(taken >= self.items).to(self.device)
        self.shelves = None if settings.sampling == "global" else Shelves(data, self.device)

    def __call__(self, _: np.random.Generator, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Users [n] and items [n, 1 + num_ng] of this rank; equal seeds and epochs give equal ones."""
        group, seed = self.run.group, self.settings.seed
        order = torch.randperm(
            len(self.user), generator=generator_of(seed, epoch, ORDER, self.device), device=self.device
        )
        if not group.alone:
            order = order[torch.from_numpy(group.share(len(order))).to(self.device)]
        user, item = self.user[order], self.item[order]
        drawn = self.negatives(user, item, generator_of(seed, epoch, group.rank, self.device))
        return user, torch.cat([item[:, None], drawn], dim=1)

    def negatives(self, user: torch.Tensor, item: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Items that the users never took [n, num_ng]; only hits are drawn again."""
        count = self.settings.num_ng
        users, positives = user.repeat_interleave(count), item.repeat_interleave(count)
        drawn = self.draw(positives, generator, anywhere=False)
        wrong = torch.nonzero(self.taken(users, drawn) & ~self.complete[users]).squeeze(1)
        rounds = 0
        while len(wrong):
            drawn[wrong] = self.draw(positives[wrong], generator, anywhere=rounds >= PATIENCE)
            wrong = wrong[self.taken(users[wrong], drawn[wrong])]
            rounds += 1
        return drawn.view(-1, count)

    def draw(self, positives: torch.Tensor, generator: torch.Generator, *, anywhere: bool) -> torch.Tensor:
        """An item for each positive: any one, or one of the positive's category."""
        if self.shelves is None or anywhere:
            return torch.randint(self.items, positives.shape, generator=generator, device=self.device)
        return self.shelves.draw(positives, generator)

    def taken(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Whether each user took each item: a binary search in the sorted pairs."""
        asked = users * self.items + items
        found = torch.searchsorted(self.pairs, asked).clamp_max(len(self.pairs) - 1)
        return self.pairs[found] == asked


class Shelves:
    """The items by category, each category's together."""

    def __init__(self, data: Dataset, device: str) -> None:
        if data.category is None:
            raise TrainingError("--sampling: class needs items with a category; name one in params columns.category")
        _, category, count = np.unique(np.array(data.category, dtype=np.str_), return_inverse=True, return_counts=True)
        start = np.cumsum(count) - count
        columns = np.argsort(category, kind="stable"), start[category], count[category]
        self.members, self.start, self.count = (torch.from_numpy(column).to(device) for column in columns)

    def draw(self, positives: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """For each positive an item of its category. float64: a float32 cannot tell 2^24 places apart."""
        place = torch.rand(positives.shape, generator=generator, device=positives.device, dtype=torch.float64)
        return self.members[self.start[positives] + (place * self.count[positives]).long()]
