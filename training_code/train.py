"""Train a family of models on what prepare.py left, and write one archive of each.

Ships alone: imports only the standard library, this folder, its requirements.txt and torch (which the image brings).

    python train.py --train-dir train --model-dir model --models neumf,als --epochs 6

Under SageMaker the same script gets its folders from SM_CHANNEL_TRAIN and SM_MODEL_DIR and each hyperparameter as
`--name value`. Every epoch prints a line for the metric definitions: HR=0.3604; NDCG=0.2135; Loss=0.3704;
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

# Read when torch is loaded. Its threads otherwise spin while they wait for each other, and on a machine that has
# something else to do as well that made one training of 5 seconds take 34.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import archive
import folds
from dataset import Dataset, TrainingError, load
from models import MODELS, fit
from settings import Settings, add_arguments, checked, truth
from validation import Epoch


def parser() -> argparse.ArgumentParser:
    """The command line; hyperparameters have LotteON's names."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--train-dir", type=folder, default=os.environ.get("SM_CHANNEL_TRAIN"))
    arguments.add_argument("--model-dir", type=folder, default=os.environ.get("SM_MODEL_DIR"))
    arguments.add_argument("--models", type=names, default=("neumf",), help="comma separated: " + ", ".join(MODELS))
    arguments.add_argument("--output-dir", type=folder, default=os.environ.get("SM_OUTPUT_DATA_DIR"))
    arguments.add_argument(
        "--cross_validate", type=truth, default=False, help="true: write folds.csv and folds.json too"
    )
    add_arguments(arguments)
    return arguments


def folder(text: str) -> Path:
    """A folder's path; an empty one would be the working directory, which nobody means."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; name a folder")
    return Path(text)


def names(text: str) -> tuple[str, ...]:
    """Distinct names of models that exist."""
    found = tuple(text.split(","))
    unknown = [name for name in found if name not in MODELS]
    if unknown or len(set(found)) != len(found):
        raise argparse.ArgumentTypeError(f"{text!r} is wrong; right is each of {', '.join(MODELS)} at most once")
    return found


def train(argv: Sequence[str] | None = None) -> None:
    """The whole program. Raises TrainingError for what is wrong with the data or the arguments, or if no model fits."""
    arguments = parser().parse_args(argv)
    folders = {"train_dir": "SM_CHANNEL_TRAIN", "model_dir": "SM_MODEL_DIR"}
    if arguments.cross_validate:
        folders["output_dir"] = "SM_OUTPUT_DATA_DIR"
    for name, variable in folders.items():
        if getattr(arguments, name) is None:
            raise TrainingError(f"--{name.replace('_', '-')}: not given; name a folder here or in {variable}")
    settings = checked(vars(arguments))
    data = load(arguments.train_dir)
    print(f"training on {len(data.users)} users, {len(data.items)} items, {len(data.user)} interactions")
    if arguments.cross_validate:
        results = {name: folds.cross_validate(name, data, settings) for name in arguments.models}
        folds.write(arguments.output_dir, results, settings.top_k)
    train_all(arguments.models, data, settings, arguments.model_dir)


def train_all(models: Sequence[str], data: Dataset, settings: Settings, model_dir: Path) -> None:
    """Each model's archive, and failures.json for those that came to nothing. Raises TrainingError if all did."""
    failures = {}
    for name in models:
        try:
            train_one(name, data, settings, model_dir)
        except (TrainingError, RuntimeError, MemoryError) as error:  # torch has only RuntimeError for its own
            failures[name] = " ".join(str(error).split())
            print(f"failed {name}: {failures[name]}", file=sys.stderr)
    if len(failures) == len(models):
        raise TrainingError("; ".join(f"{name}: {reason}" for name, reason in failures.items()))
    if failures:
        archive.write_json(model_dir / "failures.json", failures)


def train_one(name: str, data: Dataset, settings: Settings, model_dir: Path) -> None:
    """Fit one model and write its archive."""
    fitted = fit(name, data, settings, lambda epoch: print_epoch(name, epoch))
    quality, depth = fitted.quality, settings.top_k
    facts = {
        "model": name,
        "epochs": fitted.epochs,
        "hyperparameters": asdict(settings),
        "validation": {
            f"hr@{depth}": quality.hr,
            f"ndcg@{depth}": quality.ndcg,
            f"sampled_hr@{depth}": quality.sampled_hr,
            f"sampled_ndcg@{depth}": quality.sampled_ndcg,
        },
    }
    archive.write(model_dir / f"{name}.tar.gz", data, fitted.model, facts)


def print_epoch(name: str, epoch: Epoch) -> None:
    """One line that people read and that SageMaker's metric definitions find: the sampled metrics, as LotteON's."""
    if epoch.number:
        quality = epoch.quality
        loss = "" if epoch.loss is None else f" Loss={epoch.loss:.4f};"
        line = f"HR={quality.sampled_hr:.4f}; NDCG={quality.sampled_ndcg:.4f};{loss}"
        print(f"{name} epoch {epoch.number}: {line} full catalogue: {quality.hr:.4f}, {quality.ndcg:.4f}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 1 with one line on stderr for what the user can put right."""
    try:
        train(argv)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
