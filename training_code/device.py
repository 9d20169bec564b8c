"""What this process computes on: a GPU if there is one, where samples are drawn and stay, else the CPU."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from dataset import TrainingError

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Machine:
    """A device, the precision of its products, and whether the samples live on it (resident.py) or in numpy."""

    device: str = "cpu"
    precision: torch.dtype = torch.float32
    resident: bool = False

    def autocast(self) -> AbstractContextManager[Any]:
        """Products in `precision`, all else in float32. bfloat16 has float32's exponents: no GradScaler is needed."""
        whole = self.precision == torch.float32
        return nullcontext() if whole else torch.autocast(self.device, dtype=self.precision)

    def __str__(self) -> str:
        return f"{self.device} {str(self.precision).removeprefix('torch.')}"


def chosen(device: str) -> Machine:
    """The machine for `auto`, `cpu` or `cuda`. Raises TrainingError for a GPU that is not there."""
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return Machine()
    if not torch.cuda.is_available():
        raise TrainingError("--device: cuda, but there is no GPU here that torch can use; auto would be right")
    # the GPUs before Ampere only emulate bfloat16, which is slower than float32
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return Machine("cuda", torch.bfloat16 if native else torch.float32, resident=True)
