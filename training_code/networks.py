"""NCF's networks (He et al. 2017) in the shape that is fast on a CPU.

A batch is users [b] with items [b, m]: one positive and its negatives share the user, so the user's part is computed
once a row. The first layer of the MLP is W.[u;i] = Wu.u + Wi.i: the item half is computed once per item of the
catalogue and gathered, not once per sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from dataset import Floats, TrainingError
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """How large a network is; names as in LotteON's params."""

    users: int
    items: int
    factor_num: int
    num_layers: int
    dropout: float


class Generalised(nn.Module):  # type: ignore[misc]
    """GMF: an elementwise product of two embeddings, weighted."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.user = embedding(shape.users, shape.factor_num)
        self.item = embedding(shape.items, shape.factor_num)
        self.weight = nn.Parameter(torch.ones(shape.factor_num))

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        weighted = self.user(users) * self.weight
        return torch.einsum("bf,bmf->bm", weighted, self.item(items))

    def arrays(self) -> dict[str, Any]:
        return {"gmf_users": array(self.user.weight), "gmf_items": array(self.item.weight * self.weight)}


class Perceptron(nn.Module):  # type: ignore[misc]
    """MLP: embeddings of factor_num * 2^(num_layers - 1), then num_layers layers, each half as wide."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.factor_num * 2 ** (shape.num_layers - 1)
        self.user = embedding(shape.users, width)
        self.item = embedding(shape.items, width)
        self.user_half = nn.Linear(width, width)
        self.item_half = nn.Linear(width, width, bias=False)
        widths = [width // 2**level for level in range(shape.num_layers)]
        self.layers = nn.ModuleList(nn.Linear(into, out) for into, out in pairwise(widths))
        self.last = nn.Linear(widths[-1], 1)
        self.dropout = shape.dropout

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        whole = self.item_half(self.item.weight)  # [items, width]
        hidden = functional.relu(self.user_half(self.user(users))[:, None, :] + functional.embedding(items, whole))
        for layer in self.layers:
            hidden = functional.relu(layer(functional.dropout(hidden, self.dropout, self.training)))
        return self.last(hidden).squeeze(-1)

    def arrays(self) -> dict[str, Any]:
        return {
            "mlp_users": array(self.user_half(self.user.weight)),
            "mlp_items": array(self.item_half(self.item.weight)),
            "tower": tuple((array(step.weight.T), array(step.bias)) for step in [*self.layers, self.last]),
        }


class Network(nn.Module):  # type: ignore[misc]
    """An item bias plus its parts. With the bias at the items' log odds, epoch 0 is the popularity model."""

    def __init__(self, bias: torch.Tensor, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.bias = nn.Parameter(bias.clone())
        self.parts = nn.ModuleList(parts)

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Logits [b, m] of items [b, m] for users [b]."""
        logits = functional.embedding(items, self.bias[:, None]).squeeze(-1)
        for part in self.parts:
            logits = logits + part(users, items)
        return logits

    def arrays(self) -> dict[str, Any]:
        """The fitted network as arrays. Raises TrainingError if the last step made one of them infinite or NaN."""
        if not all(bool(torch.isfinite(value).all()) for value in self.parameters()):
            raise TrainingError("the fitted weights are not finite; a smaller lr would be right")
        found = {"bias": array(self.bias)}
        for part in self.parts:
            found |= part.arrays()
        return found


def embedding(count: int, width: int) -> nn.Embedding:
    """An embedding that starts small, as in the paper's code."""
    made = nn.Embedding(count, width)
    nn.init.normal_(made.weight, std=0.01)
    return made


def array(tensor: torch.Tensor) -> Floats:
    """A tensor's values as a contiguous float32 array of their own."""
    return np.array(tensor.detach().cpu().numpy(), dtype=np.float32, order="C")
