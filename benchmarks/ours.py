"""This project's own models, through training_code's registry: what the training job runs, with a clock beside it."""

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as training_code/train.py sets it, before torch is loaded

from .arrays import load
from .protocol import Scorer, measure

TRAINING_CODE = Path(__file__).resolve().parent.parent / "training_code"


def training(module: str) -> Any:
    """A module of training_code, which ships alone and imports its own by bare names."""
    if str(TRAINING_CODE) not in sys.path:
        sys.path.insert(0, str(TRAINING_CODE))
    return importlib.import_module(module)


def settings_of(given: Mapping[str, Any]) -> Any:
    """training_code's Settings from those of the given that it knows."""
    kind = training("settings").Settings
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in given.items() if name in known})


class Clock:
    """Stands in for training's Watch: notes each epoch's seconds and HR@10, and never ends early."""

    ended = False
    best = None

    def __init__(self, measured: Any) -> None:
        self.measured = measured
        self.run = training("run").Run()
        self.seconds: list[float] = []
        self.hits: list[float] = []
        self.began = time.perf_counter()

    def __call__(self, number: int, score: Any, loss: float | None = None) -> bool:
        """Note an epoch; what is spent in here is no training. Epoch 0 is what the network came with."""
        if number:
            self.seconds.append(time.perf_counter() - self.began)
            self.hits.append(float(self.measured(score)))
            print(f"epoch {number}: HR={self.hits[-1]:.4f}; {self.seconds[-1]:.1f} s", flush=True)
        self.began = time.perf_counter()
        return True


def train(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds and sampled HR@10 of each epoch of settings["model"]."""
    arrays = load(folder)
    data = training("dataset").load(folder / "train")
    clock = Clock(lambda score: measure(score, arrays)["sampled_hr@10"].mean())
    training("models").MODELS[settings["model"]].fit(data, settings_of(settings), clock)
    return {"seconds": clock.seconds, "hr@10": clock.hits}


def fitted(folder: Path, settings: Mapping[str, Any]) -> tuple[Scorer, float]:
    """settings["model"] as the training job fits it: its scores, and NDCG@10 on the job's own validation split."""
    data = training("dataset").load(folder / "train")
    found = training("models").fit(settings["model"], data, settings_of(settings), print)
    return found.model.score, found.quality.ndcg


class Enough(Exception):  # noqa: N818 - nothing is wrong
    """So many steps were timed."""


class Counted:
    """An optimiser that ends an epoch after so many steps: a few hundred say how fast the rest would be."""

    def __init__(self, optimiser: Any, steps: int) -> None:
        self.optimiser, self.steps = optimiser, steps
        self.moments: list[float] = []

    def step(self) -> None:
        self.optimiser.step()
        self.moments.append(time.perf_counter())
        if len(self.moments) >= self.steps:
            raise Enough

    def __getattr__(self, name: str) -> Any:
        return getattr(self.optimiser, name)


def scale(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read a training channel and run the first steps of an epoch over it, which is drawn whole as in training."""
    fitting, own = training("fitting"), settings_of(settings)
    began = time.perf_counter()
    data = training("dataset").load(folder / "train")
    loaded = time.perf_counter()
    network = training("models").MODELS[settings["model"]].start(data, own, None)
    state = fitting.begin(network, own)
    state.optimiser = counted = Counted(state.optimiser, settings["steps"])
    draw = training("samples").samples(data, own, state.run)
    with contextlib.suppress(Enough):
        fitting.run_epoch(state, draw, own)
    moments = counted.moments
    rows = max(1, own.batch_size // (1 + own.num_ng)) * (1 + own.num_ng)
    return {
        "interactions": len(data.user), "users": len(data.users), "items": len(data.items), "steps": len(moments),
        "parameters": sum(value.numel() for value in network.parameters()),
        "load_seconds": loaded - began, "draw_seconds": moments[0] - loaded,
        "samples_per_second": rows * (len(moments) - 1) / (moments[-1] - moments[0]),
    }  # fmt: skip
