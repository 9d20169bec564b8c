"""The tasks of the quality table: fit a model and judge it, choose its settings, and compare two that were judged."""

import importlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Arrays, load, validation
from .protocol import PerUser, Scorer, measure

DRAWS = 1000
LEVEL = 0.95
CHOSEN_BY = "ndcg@10"
# models that fit on arrays: module and function. All other names are those of training_code's registry.
ALONE: Mapping[str, tuple[str, str]] = {
    "implicit": ("implicit_als", "fitted"),
    "item_knn": ("baselines", "item_knn"),
    "popularity": ("baselines", "popularity"),
}


def judge(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Fit settings["model"] on all but the holdout; the metrics' means on the holdout.

    Each user's metrics stay in the folder under settings["label"], for compare(). "validation" is there only for
    training_code's models, which validate themselves while they are fitted.
    """
    arrays = load(folder)
    score, validated = fitted(folder, arrays, settings)
    metrics = measure(score, arrays)
    np.savez(folder / f"{settings['label']}.npz", allow_pickle=False, **metrics)
    means = {name: float(values.mean()) for name, values in metrics.items()}
    return {**means, "users": len(metrics[CHOSEN_BY]), "validation": validated}


def fitted(folder: Path, arrays: Arrays, settings: Mapping[str, Any]) -> tuple[Scorer, float | None]:
    """A fitted model's scores, and its NDCG@10 on training_code's own validation split if it has one."""
    if settings["model"] in ALONE:
        return alone(arrays, settings), None
    score, found = importlib.import_module("benchmarks.ours").fitted(folder, settings)
    return score, float(found)


def alone(arrays: Arrays, settings: Mapping[str, Any]) -> Scorer:
    """A model that fits on arrays."""
    module, function = ALONE[settings["model"]]
    score: Scorer = getattr(importlib.import_module(f"benchmarks.{module}"), function)(arrays, settings)
    return score


def tune(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Try every point of settings["grid"] {name: values} on validation data alone; the best one, and all of them."""
    points: list[dict[str, Any]] = []
    for point in grid(settings["grid"]):
        points.append({"settings": point, "validation": validate(folder, {**settings, **point})})
        print(f"{settings['model']} {point}: {points[-1]['validation']:.4f}", flush=True)
    return {"best": max(points, key=lambda one: one["validation"])["settings"], "points": points}


def grid(values: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of the values."""
    for chosen in itertools.product(*values.values()):
        yield dict(zip(values, chosen, strict=True))


def validate(folder: Path, settings: Mapping[str, Any]) -> float:
    """NDCG@10 over the full catalogue of what is held back of the training data; the holdout is not looked at."""
    if settings["model"] in ALONE:
        earlier = validation(load(folder), settings.get("validation_days", 0))
        return float(measure(alone(earlier, settings), earlier)[CHOSEN_BY].mean())
    return float(importlib.import_module("benchmarks.ours").fitted(folder, {**settings, "refit": False})[1])


def compare(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Paired bootstrap intervals (users drawn again) of one model's metrics minus another's, each over its seeds."""
    ours, theirs = (averaged(folder, settings[name]) for name in ("labels", "against"))
    differences = np.stack([ours[name] - theirs[name] for name in ours], axis=1)
    generator = np.random.default_rng(1)
    users = len(differences)
    means = np.array([differences[generator.integers(users, size=users)].mean(axis=0) for _ in range(DRAWS)])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    found = zip(ours, differences.mean(axis=0), low, high, strict=True)
    return {
        name: {"value": float(value), "low": float(least), "high": float(most)} for name, value, least, most in found
    }


def averaged(folder: Path, labels: list[str]) -> PerUser:
    """Each user's metrics, averaged over runs."""
    runs = [np.load(folder / f"{label}.npz", allow_pickle=False) for label in labels]
    return {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0].files}
