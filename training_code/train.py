"""Train NCF on what prepare.py left, and write the model archive.

Ships alone: imports only the standard library, this folder, its requirements.txt and torch (which the image brings).

    python train.py --train-dir train --model-dir model --models neumf --epochs 6

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
from dataset import TrainingError, load
from fitting import Epoch, Settings, fit
from networks import NETWORKS


def parser() -> argparse.ArgumentParser:
    """The command line; hyperparameters have LotteON's names."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--train-dir", type=folder, default=os.environ.get("SM_CHANNEL_TRAIN"))
    arguments.add_argument("--model-dir", type=folder, default=os.environ.get("SM_MODEL_DIR"))
    arguments.add_argument("--models", choices=sorted(NETWORKS), default="neumf", help="which network")
    arguments.add_argument("--epochs", type=positive, default=10)
    arguments.add_argument("--lr", type=float, default=0.001)
    arguments.add_argument("--batch_size", type=positive, default=10240, help="samples, negatives included")
    arguments.add_argument(
        "--dropout", type=float, default=0.0, help="0.3 in the paper's code; no gain, three times slower"
    )
    arguments.add_argument("--factor_num", type=positive, default=32)
    arguments.add_argument("--num_layers", type=positive, default=3)
    arguments.add_argument("--num_ng", type=positive, default=4, help="negatives for each positive when fitting")
    arguments.add_argument(
        "--test_num_ng", type=positive, default=99, help="negatives for each positive when validating"
    )
    arguments.add_argument("--top_k", type=positive, default=10)
    arguments.add_argument("--seed", type=int, default=1)
    return arguments


def folder(text: str) -> Path:
    """A folder's path; an empty one would be the working directory, which nobody means."""
    if not text:
        raise argparse.ArgumentTypeError("is empty; name a folder")
    return Path(text)


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return number


def train(argv: Sequence[str] | None = None) -> None:
    """The whole program. Raises TrainingError for what is wrong with the data or the arguments."""
    arguments = parser().parse_args(argv)
    settings = checked(arguments)
    data = load(arguments.train_dir)
    print(f"training {settings.model}: {len(data.users)} users, {len(data.items)} items, {len(data.user)} interactions")
    network, last = fit(data, settings, print_epoch)
    hyperparameters = asdict(settings)
    facts = {
        "model": hyperparameters.pop("model"),
        "hyperparameters": hyperparameters,
        "validation": {f"hr@{settings.top_k}": last.hr, f"ndcg@{settings.top_k}": last.ndcg, "loss": last.loss},
    }
    archive.write(arguments.model_dir, data, network.weights(), facts)


def checked(arguments: argparse.Namespace) -> Settings:
    """The settings, or a TrainingError that names the argument and what would be right."""
    for name, variable in (("train_dir", "SM_CHANNEL_TRAIN"), ("model_dir", "SM_MODEL_DIR")):
        if getattr(arguments, name) is None:
            raise TrainingError(f"--{name.replace('_', '-')}: not given; name a folder here or in {variable}")
    if not 0 < arguments.lr < 1:
        raise TrainingError(f"--lr: is {arguments.lr:g}; right is between 0 and 1")
    if not 0 <= arguments.dropout < 1:
        raise TrainingError(f"--dropout: is {arguments.dropout:g}; right is from 0 to below 1")
    if arguments.factor_num * 2 ** (arguments.num_layers - 1) > 4096:
        raise TrainingError("--num_layers: factor_num * 2^(num_layers - 1) is over 4096; fewer layers would be right")
    given = {name: value for name, value in vars(arguments).items() if name not in {"train_dir", "model_dir", "models"}}
    return Settings(model=arguments.models, **given)


def print_epoch(number: int, epoch: Epoch) -> None:
    """One line that people read and that SageMaker's metric definitions find."""
    print(f"epoch {number}: HR={epoch.hr:.4f}; NDCG={epoch.ndcg:.4f}; Loss={epoch.loss:.4f};", flush=True)


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
