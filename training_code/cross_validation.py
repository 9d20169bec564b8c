"""Cross-validation on the folds that prepare.py made: each is held back once, from the choice of epochs too."""

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from dataset import Dataset, Integers, TrainingError
from models import fit
from settings import Settings
from validation import Quality, hold_back, measure

METRICS = ("hr", "ndcg", "sampled_hr", "sampled_ndcg")


def cross_validate(name: str, data: Dataset, settings: Settings) -> list[Quality]:
    """The model's quality on each fold, fitted on the others. Raises TrainingError for data without folds."""
    folds, found = folds_of(data), []
    for fold in np.unique(folds):
        parts = hold_back(data, folds == fold, settings)
        found.append(measure(fit(name, parts.train, settings).model.score, parts, settings.top_k))
    return found


def folds_of(data: Dataset) -> Integers:
    """The fold of each interaction. Raises TrainingError for data without any."""
    if data.fold is None:
        raise TrainingError("--cross_validate: the data has no folds; prepare it with two or more")
    return data.fold


def write(folder: Path, results: dict[str, list[Quality]], top_k: int) -> None:
    """folds.csv, a row for each model and fold; folds.json, the same with each model's mean and spread."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{metric}@{top_k}" for metric in METRICS]
    with (folder / "folds.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["model", "fold", *names])
        for model, found in results.items():
            rows.writerows([model, fold, *asdict(quality).values()] for fold, quality in enumerate(found))
    document = {}
    for model, found in results.items():
        values = np.array([list(asdict(quality).values()) for quality in found])
        document[model] = {
            "folds": [dict(zip(names, row, strict=True)) for row in values.tolist()],
            "mean": dict(zip(names, values.mean(axis=0).tolist(), strict=True)),
            "std": dict(zip(names, values.std(axis=0).tolist(), strict=True)),
        }
    (folder / "folds.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
