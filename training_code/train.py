"""Train a family of models on what prepare.py left, and write one archive of each.

Ships alone: imports only the standard library, this folder, its requirements.txt and torch (which the image brings).

    python train.py --train-dir train --model-dir model --models neumf,als --epochs 6

Under SageMaker the same script gets its folders from SM_CHANNEL_TRAIN and SM_MODEL_DIR and each hyperparameter as
`--name value`. Every epoch prints a line for the metric definitions: HR=0.3604; NDCG=0.2135; Loss=0.3704;
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

# Read when torch is loaded. Its threads otherwise spin while they wait for each other, and on a machine that has
# something else to do as well that made one training of 5 seconds take 34.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it a GPU's products are not deterministic
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # of a lost connection one line is enough, group.py's own

import archive
import cross_validation
from checkpoints import Checkpoints, data_digest, default_folder, opened
from dataset import Dataset, TrainingError, load
from device import DEVICES, chosen
from group import Group, joined, place
from models import MODELS, Fitted, fit, in_epochs
from run import Run
from settings import Settings, add_arguments, checked, truth
from signing import Sign, signer
from validation import Epoch


def parser() -> argparse.ArgumentParser:
    """The command line; hyperparameters have LotteON's names."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--train-dir", type=folder, default=os.environ.get("SM_CHANNEL_TRAIN"))
    arguments.add_argument("--model-dir", type=folder, default=os.environ.get("SM_MODEL_DIR"))
    arguments.add_argument("--checkpoint-dir", type=folder, default=default_folder(), help="where it may go on from")
    arguments.add_argument(
        "--signing-dir",
        type=folder,
        default=os.environ.get("SM_CHANNEL_SIGNING"),
        help="of ed25519.pem; unset: not signed",
    )
    arguments.add_argument("--device", choices=DEVICES, default="auto", help="auto: the GPU if there is one")
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
    settings, machine = checked(vars(arguments)), chosen(arguments.device)
    sign = signer(arguments.signing_dir)
    with joined(place(os.environ), machine.device) as group:
        data = load(arguments.train_dir)
        print(f"training on {len(data.users)} users, {len(data.items)} items, {len(data.user)} interactions")
        if not group.alone:
            group.refuse_unless_equal(data_digest(data), machine.device)
        folder = arguments.checkpoint_dir if group.rank == 0 else None  # rank 0's is everybody's
        checkpoints = opened(folder, data, settings, f"{group.size} x {machine}")
        if arguments.cross_validate:
            cross_validation.folds_of(data)  # before any work
        job = Job(data, settings, arguments.model_dir, Run(machine, group), checkpoints, sign)
        trained = train_family(arguments.models, job)
        if arguments.cross_validate and group.rank == 0:  # last, as it has no checkpoints
            results = {name: cross_validation.cross_validate(name, data, settings) for name in trained}
            cross_validation.write(arguments.output_dir, results, settings.top_k)


@dataclass(frozen=True)
class Job:
    """What all models of a family have in common."""

    data: Dataset
    settings: Settings
    model_dir: Path
    run: Run
    checkpoints: Checkpoints
    sign: Sign | None


def train_family(models: Sequence[str], job: Job) -> list[str]:
    """Train the models in turn; the names of those that came to something. One that fails is listed in failures.json.

    Raises TrainingError if all of them do.
    """
    failures = {}
    for name in models:
        try:
            train_one(name, job)
        except (TrainingError, RuntimeError, MemoryError) as error:  # torch has only RuntimeError for its own
            if not job.run.group.alone and not isinstance(error, TrainingError):
                raise  # the other machines cannot know of it, and would wait
            failures[name] = " ".join(str(error).split())
            print(f"failed {name}: {failures[name]}", file=sys.stderr)
    if len(failures) == len(models):
        raise TrainingError("; ".join(f"{name}: {reason}" for name, reason in failures.items()))
    if failures and job.run.group.rank == 0:
        archive.write_json(job.model_dir / "failures.json", failures)
    return [name for name in models if name not in failures]


def train_one(name: str, job: Job) -> None:
    """Fit one model and write its archive, or write the one that a job before this one has finished."""
    path, run = job.model_dir / f"{name}.tar.gz", replace(job.run, slots=job.checkpoints.trainings(name))
    finished = run.resumed(job.checkpoints.archive(name))
    first = run.group.rank == 0
    if finished:
        print(f"{name}: was finished before")
        if first:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(finished)
            print_validation(name, archive.manifest(path)["validation"])
    elif first or in_epochs(name):
        run = run if in_epochs(name) else replace(run, group=Group())
        report = (lambda epoch: print_epoch(name, epoch)) if first else (lambda epoch: None)
        fitted = fit(name, job.data, job.settings, report, run)
        if first:
            known = facts(name, fitted, job.settings)
            archive.write(path, job.data, fitted.model, known, job.sign)
            print_validation(name, known["validation"])
            job.checkpoints.finish(name, path.read_bytes())


def facts(name: str, fitted: Fitted, settings: Settings) -> dict[str, Any]:
    """What a manifest says of how its model came to be."""
    quality, depth = fitted.quality, settings.top_k
    validation = {
        f"hr@{depth}": quality.hr,
        f"ndcg@{depth}": quality.ndcg,
        f"sampled_hr@{depth}": quality.sampled_hr,
        f"sampled_ndcg@{depth}": quality.sampled_ndcg,
    }
    found = {"model": name, "epochs": fitted.epochs, "hyperparameters": asdict(settings), "validation": validation}
    if fitted.curves:
        found["curves"] = fitted.curves
    return {**found, "blend_below": settings.blend_below} if settings.blend_below else found


def print_validation(name: str, validation: Mapping[str, float]) -> None:
    """Of the epoch that was kept, which a search is judged by: the last one need not be it."""
    print(f"{name} validation:", *(f"{metric}={value:.6f};" for metric, value in validation.items()), flush=True)


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
    except (TrainingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
