"""The hyperparameters of one training job: names as in LotteON's params, one line each."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from dataset import TrainingError


def number(default: float, least: float, most: float, meaning: str) -> Any:
    """A hyperparameter from `least` to `most`; whole if its default is."""
    return field(default=default, metadata={"least": least, "most": most, "help": meaning})


def choice(default: str | bool, others: tuple[str | bool, ...], meaning: str) -> Any:
    """A hyperparameter that is one of a few words, or true or false."""
    return field(default=default, metadata={"choices": (default, *others), "help": meaning})


@dataclass(frozen=True)
class Settings:
    """Every model takes from these what it needs. A new one is one line here and one in pipelines/params.py."""

    epochs: int = number(10, 1, 10_000, "passes over the positives; fewer if validation stops them")
    lr: float = number(0.008, 1e-9, 1, "Adam's step")
    batch_size: int = number(10_240, 1, 2**20, "samples, negatives included")
    dropout: float = number(0.0, 0, 0.99, "0.3 in the paper's code; no gain, three times slower")
    factor_num: int = number(32, 1, 1024, "width of GMF, and of the MLP's last layer")
    num_layers: int = number(3, 1, 8, "layers of the MLP, each half as wide as the one before")
    num_ng: int = number(4, 1, 1000, "negatives drawn for each positive in each epoch")
    sampling: str = choice("global", ("class",), "negatives from all items, or from the positive's category")
    reg: float = number(0.0, 0, 1e6, "weight decay, of all but the bias")
    patience: int = number(3, 0, 10_000, "epochs without a better validation NDCG before it ends; 0 = never ends early")
    min_gain: float = number(0.0, 0, 1, "the share by which a better epoch must be better")
    refit: bool = choice(True, (False,), "once validation chose the epoch, fit again on what was held back too")
    validation_days: int = number(0, 0, 3650, "what validation holds back: so many last days; 0 = the last interaction")
    pretrain: str = choice(
        "als", ("blend", "parts"), "neumf_pretrained's start: ALS, ALS and EASE, or a GMF and an MLP"
    )
    tune_lr: float = number(0.0001, 1e-9, 1, "Adam's step for neumf_pretrained: gentle, as its start is good")
    pretrain_epochs: int = number(5, 1, 10_000, "epochs of the GMF and the MLP that neumf_pretrained starts from")
    als_factors: int = number(128, 1, 1024, "implicit ALS: width")
    als_reg: float = number(0.005, 0, 1e6, "implicit ALS: L2, for each pair that it holds back")
    als_nu: float = number(1.0, 0, 2, "implicit ALS: how the penalty grows with a user's or an item's pairs")
    als_alpha: float = number(0.3, 0, 1e6, "implicit ALS: weight of all pairs beside those taken")
    als_iterations: int = number(12, 1, 1000, "implicit ALS: how often both sides are solved for")
    ease_reg: float = number(500.0, 1e-6, 1e9, "EASE: L2")
    ease_factors: int = number(128, 1, 1024, "EASE's share of the width of a blend")
    top_k: int = number(10, 1, 1000, "depth of the validation metrics")
    test_num_ng: int = number(99, 1, 100_000, "sampled negatives of a validation user")
    blend_below: int = number(0, 0, 1000, "who has fewer interactions gets popular items blended in; 0 = nobody")
    seed: int = number(1, 0, 2**31 - 1, "equal seeds give equal archives")


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """One `--name value` for each hyperparameter, as SageMaker passes them."""
    for one in fields(Settings):
        kind = truth if isinstance(one.default, bool) else type(one.default)
        about = {"type": kind, "default": one.default, "help": one.metadata["help"]}
        arguments.add_argument(f"--{one.name}", choices=one.metadata.get("choices"), **about)


def truth(text: str) -> bool:
    """true or false; SageMaker's toolkit reads `true` and passes True on."""
    if text.lower() not in {"true", "false"}:
        raise ValueError
    return text.lower() == "true"


def checked(given: Mapping[str, Any]) -> Settings:
    """The settings, or a TrainingError that names the argument and what would be right."""
    for one in fields(Settings):
        if "least" not in one.metadata:
            continue
        value, least, most = given[one.name], one.metadata["least"], one.metadata["most"]
        if not (math.isfinite(value) and least <= value <= most):
            raise TrainingError(f"--{one.name}: is {value:g}; right is from {least:g} to {most:g}")
    found = Settings(**{one.name: given[one.name] for one in fields(Settings)})
    if found.factor_num * 2 ** (found.num_layers - 1) > 4096:
        raise TrainingError("--num_layers: factor_num * 2^(num_layers - 1) is over 4096; fewer layers would be right")
    return found
