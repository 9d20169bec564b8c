"""Networks that start from models fitted before, instead of from nothing."""

from dataclasses import replace

import numpy as np
import torch
from als import ImplicitALS
from dataset import Dataset
from ease import EASE
from networks import Generalised, Network, Perceptron, Shape
from sampling import Negatives
from settings import Settings

CALIBRATION = 20_000  # positives
SPREAD_USERS = 256


def from_linear(data: Dataset, shape: Shape, settings: Settings, linear: ImplicitALS) -> Network:
    """GMF is the linear model, scaled so that its scores are log odds; the MLP begins as zero, a residual to learn."""
    gmf = Generalised(replace(shape, factor_num=linear.users.shape[1]))
    mlp = Perceptron(shape)
    scale, shift = calibrated(data, settings, linear)
    # a step of Adam is as long for each number: both sides of a factor get the same spread, so that neither is torn
    sides = (linear.users, linear.items)
    spreads = [np.maximum(np.linalg.norm(side, axis=0) / np.sqrt(len(side)), 1e-12) for side in sides]
    balance = np.sqrt(spreads[1] / spreads[0])
    with torch.no_grad():
        gmf.user.weight.copy_(torch.from_numpy(linear.users * balance * np.sqrt(scale)))
        gmf.item.weight.copy_(torch.from_numpy(linear.items / balance * np.sqrt(scale)))
        mlp.last.weight.zero_()
        mlp.last.bias.zero_()
    return Network(torch.full((shape.items,), float(shift)), [gmf, mlp])


def blended(als: ImplicitALS, ease: EASE, width: int) -> ImplicitALS:
    """Both models' scores added, each in units of its own spread, as one model: of EASE `width` directions are kept."""
    parts = [(als.users, als.items), ease.factors(width)]
    users = np.linspace(0, len(als.users) - 1, SPREAD_USERS).astype(np.int64)
    spreads = [max(float((own[users] @ items.T).std()), 1e-12) for own, items in parts]
    return ImplicitALS(
        np.concatenate(
            [own / spread for (own, _), spread in zip(parts, spreads, strict=True)], axis=1, dtype=np.float32
        ),
        np.concatenate([items for _, items in parts], axis=1, dtype=np.float32),
    )


def calibrated(data: Dataset, settings: Settings, linear: ImplicitALS) -> tuple[float, float]:
    """The scale and shift that make log odds of a model's scores of drawn samples (Platt 1999), by Newton's method."""
    generator = np.random.default_rng(settings.seed)
    chosen = generator.choice(len(data.user), min(CALIBRATION, len(data.user)), replace=False)
    user, item = data.user[chosen], data.item[chosen]
    drawn = Negatives(data, settings.sampling)(user, item, settings.num_ng, generator)
    items = np.concatenate([item[:, None], drawn], axis=1)
    score = np.stack([(linear.users[user] * linear.items[column]).sum(axis=1) for column in items.T], axis=1).ravel()
    taken = np.zeros(items.shape)
    taken[:, 0] = 1.0
    columns = np.stack([score, np.ones_like(score)], axis=1).astype(np.float64)
    found = np.zeros(2)
    for _ in range(20):
        likely = 1 / (1 + np.exp(-columns @ found))
        hessian = columns.T @ (columns * (likely * (1 - likely))[:, None]) + 1e-6 * np.eye(2)
        found += np.linalg.solve(hessian, columns.T @ (taken.ravel() - likely))
    return max(found[0], 1e-3), found[1]


def from_parts(gmf: Network, mlp: Network) -> Network:
    """The paper's start: both networks' parts, each counting half."""
    parts = [gmf.parts[0], mlp.parts[0]]
    with torch.no_grad():
        parts[0].weight.mul_(0.5)
        parts[1].last.weight.mul_(0.5)
        parts[1].last.bias.mul_(0.5)
    return Network((gmf.bias.detach() + mlp.bias.detach()) / 2, parts)
