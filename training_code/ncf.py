"""The NCF family as models: GMF, MLP, NeuMF, and NeuMF that starts from a model fitted before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from als import ImplicitALS
from dataset import Dataset, Floats, Integers
from ease import EASE
from fitting import train
from graph import Builder, proto
from model import Constants
from networks import Generalised, Network, Perceptron, Shape
from onnx import ModelProto
from settings import Settings
from torch import nn
from validation import Epoch, Watch, nothing_held
from warm_start import blended, from_linear, from_parts

Layers = tuple[tuple[Floats, Floats], ...]


@dataclass(frozen=True)
class NCF:
    """score = sigmoid(bias + gmf_user . gmf_item + tower(mlp_user + mlp_item)); parts that are not there are None.

    `tower` holds (weight [in, out], bias [out]) after the first layer; every layer but the last is followed by a
    ReLU, as is the first one.
    """

    bias: Floats
    gmf_users: Floats | None = None
    gmf_items: Floats | None = None
    mlp_users: Floats | None = None
    mlp_items: Floats | None = None
    tower: Layers = ()
    parts: ClassVar[Sequence[type[nn.Module]]] = ()

    @classmethod
    def start(cls, data: Dataset, settings: Settings, watch: Watch) -> Network:
        """The network before its first epoch."""
        shape = shape_of(data, settings)
        return Network(log_odds(data, settings.num_ng), [part(shape) for part in cls.parts])

    @classmethod
    def trained(cls, data: Dataset, settings: Settings, watch: Watch) -> Network:
        """The network after its best epoch."""
        torch.manual_seed(settings.seed)
        network = cls.start(data, settings, watch)
        return train(network, data, cls.pace(settings), watch, lambda network: cls(**network.arrays()).score)

    @classmethod
    def pace(cls, settings: Settings) -> Settings:
        """The settings that its epochs run with."""
        return settings

    @classmethod
    def fit(cls, data: Dataset, settings: Settings, watch: Watch) -> Self:
        """Train until the epochs are over or validation says so; the best epoch counts."""
        return cls(**cls.trained(data, settings, watch).arrays())

    def score(self, users: Integers) -> Floats:
        logits = torch.from_numpy(self.bias).repeat(len(users), 1)
        if self.gmf_users is not None and self.gmf_items is not None:
            logits.addmm_(torch.from_numpy(self.gmf_users[users]), torch.from_numpy(self.gmf_items).T)
        if self.mlp_users is not None and self.mlp_items is not None:
            layers = [(torch.from_numpy(weight), torch.from_numpy(bias)) for weight, bias in self.tower]
            items = torch.from_numpy(self.mlp_items)
            for row, user in zip(logits, torch.from_numpy(self.mlp_users[users]), strict=True):
                row.add_(climb(user, items, layers))
        return np.asarray(logits.sigmoid_().numpy())

    def graph(self) -> ModelProto:
        """The MLP's first layer is already multiplied out for each user and item.

        It needs n * items * width floats while it runs: callers pass few users at a time.
        """
        build = Builder()
        logits = build.constant("bias", self.bias[None, :])
        if self.gmf_users is not None and self.gmf_items is not None:
            user = build.node("Gather", [build.constant("gmf_users", self.gmf_users), "user"], "gmf_user")
            item = build.constant("gmf_items", np.ascontiguousarray(self.gmf_items.T))
            logits = build.node("Add", [logits, build.node("MatMul", [user, item], "gmf")], "logits_gmf")
        if self.mlp_users is not None and self.mlp_items is not None:
            mlp = tower(build, self.mlp_users, self.mlp_items, self.tower)
            logits = build.node("Add", [logits, mlp], "logits_mlp")
        build.node("Sigmoid", [logits], "scores")
        return proto(build, len(self.bias))

    @classmethod
    def from_constants(cls, constants: Constants) -> Self:
        found: dict[str, Any] = {"bias": constants["bias"][0]}
        if "gmf_users" in constants:
            found |= {"gmf_users": constants["gmf_users"], "gmf_items": np.ascontiguousarray(constants["gmf_items"].T)}
        if "mlp_users" in constants:
            levels = range(1, 1 + sum(name.endswith("_weight") for name in constants))
            layers = tuple((constants[f"mlp_{level}_weight"], constants[f"mlp_{level}_bias"]) for level in levels)
            found |= {"mlp_users": constants["mlp_users"], "mlp_items": constants["mlp_items"], "tower": layers}
        return cls(**found)

    def item_vectors(self) -> Floats:
        """Both parts, each about its mean, as what all items share says nothing, and weighing the same."""
        parts = [part - part.mean(axis=0) for part in (self.gmf_items, self.mlp_items) if part is not None]
        return np.concatenate([part / max(float(np.linalg.norm(part)), 1e-12) for part in parts], axis=1)


class GMF(NCF):
    """Generalised matrix factorisation."""

    parts = (Generalised,)


class MLP(NCF):
    """A multi-layer perceptron on both embeddings."""

    parts = (Perceptron,)


class NeuMF(NCF):
    """GMF and MLP, added."""

    parts = (Generalised, Perceptron)


class PretrainedNeuMF(NeuMF):
    """NeuMF that starts from implicit ALS, or as in the paper from a GMF and an MLP fitted before it."""

    @classmethod
    def pace(cls, settings: Settings) -> Settings:
        return replace(settings, lr=settings.tune_lr)

    @classmethod
    def start(cls, data: Dataset, settings: Settings, watch: Watch) -> Network:
        """What `pretrain` names, fitted on the same data."""
        if settings.pretrain != "parts":
            linear = ImplicitALS.fit(data, settings, watch)
            if settings.pretrain == "blend":
                linear = blended(linear, EASE.fit(data, settings, watch), settings.ease_factors)
            return from_linear(data, shape_of(data, settings), settings, linear)
        alone = replace(settings, epochs=settings.pretrain_epochs, patience=0)
        watches = [Watch(nothing_held(data), alone, quiet, watch.run) for _ in (GMF, MLP)]
        return from_parts(*(part.trained(data, alone, one) for part, one in zip((GMF, MLP), watches, strict=True)))


def quiet(epoch: Epoch) -> None:
    """What a model is made of is not reported."""


def shape_of(data: Dataset, settings: Settings) -> Shape:
    """How large a network for this data is."""
    sizes = (settings.factor_num, settings.num_layers, settings.dropout)
    return Shape(len(data.users), len(data.items), *sizes)


def log_odds(data: Dataset, negatives: int) -> torch.Tensor:
    """For each item the log odds that a taken one beats its drawn negatives: where a bias starts."""
    counts = np.bincount(data.item, minlength=len(data.items)) + 1.0
    return torch.from_numpy(np.log(counts / counts.sum() * len(data.items) / negatives)).float()


def climb(user: torch.Tensor, items: torch.Tensor, layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """The MLP's part of one user's logits [items]; one user at a time stays in a core's cache."""
    hidden = user + items
    for weight, bias in layers:
        hidden = torch.addmm(bias, hidden.relu_(), weight)
    return hidden[:, 0]


def tower(build: Builder, users: Floats, items: Floats, layers: Layers) -> str:
    """The MLP's part of the logits [n, items]."""
    user = build.node("Gather", [build.constant("mlp_users", users), "user"], "mlp_user")
    rows = build.node("Unsqueeze", [user, build.constant("middle", np.array([1]))], "mlp_rows")
    hidden = build.node("Add", [rows, build.constant("mlp_items", items)], "mlp_0")
    for level, (weight, bias) in enumerate(layers, start=1):
        hidden = build.node("Relu", [hidden], f"mlp_{level}_relu")
        product = build.node("MatMul", [hidden, build.constant(f"mlp_{level}_weight", weight)], f"mlp_{level}_product")
        hidden = build.node("Add", [product, build.constant(f"mlp_{level}_bias", bias)], f"mlp_{level}")
    return build.node("Squeeze", [hidden, build.constant("deep", np.array([2]))], "mlp")
