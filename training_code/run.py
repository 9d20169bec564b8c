"""What surrounds a training and changes nothing in what is learned: machine, companions, and places for checkpoints."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
import torch
from checkpoints import Slot
from device import Machine
from group import Group

ORDER = 2**31 - 1  # stands for a rank where all ranks draw alike: the order of the positives


@dataclass(frozen=True)
class Run:
    """Alone on the CPU, unless told otherwise, and leaving nothing behind."""

    machine: Machine = field(default_factory=Machine)
    group: Group = field(default_factory=Group)
    slots: Iterator[Slot] = field(default_factory=lambda: repeat(Slot()))  # one for each network that is trained

    @property
    def plain(self) -> bool:
        """Whether one generator goes through all epochs: one process and numpy, the case that every laptop repeats."""
        return self.group.alone and not self.machine.resident

    def resumed(self, slot: Slot) -> bytes:
        """The content that rank 0 goes on from, and all with it: SageMaker's copies on the others may be of before."""
        return self.group.of_first(slot.read, self.machine.device)

    def judgement(self, measure: Callable[[], Sequence[float]]) -> list[float]:
        """What rank 0 measures, so that all decide alike: which epoch is the best one, and when to stop."""
        content = self.group.of_first(lambda: np.array(measure(), dtype=np.float64).tobytes(), self.machine.device)
        return [float(one) for one in np.frombuffer(content)]


def seed_of(seed: int, epoch: int, rank: int) -> int:
    """A seed for what a rank draws in an epoch, so that nothing of the epochs before need be kept for it."""
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])


def generator_of(seed: int, epoch: int, rank: int, device: str) -> torch.Generator:
    """The generator on a device with that seed."""
    return torch.Generator(device).manual_seed(seed_of(seed, epoch, rank))
