"""What a job leaves for the job that goes on after it, should its machine be taken away.

SageMaker copies the folder to S3 while a job runs and back before it is started again. A file is one line of JSON, by
which it is checked, and the content: arrays (snapshot.py) or a finished archive. Nothing in it is executed when read.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from dataset import Dataset
from settings import Settings

SUFFIX = ".checkpoint"


@dataclass(frozen=True)
class Slot:
    """One content's place in the folder. Without a folder it stays empty."""

    name: str = ""
    folder: Path | None = None
    origin: Mapping[str, str] | None = None  # what the content depends on -> its digest

    def read(self) -> bytes:
        """What was written; empty if nothing was, or if it is damaged or of another origin, which a line says."""
        if self.folder is None or not (path := self.folder / (self.name + SUFFIX)).is_file():
            return b""
        head, _, content = path.read_bytes().partition(b"\n")
        wrong = unusable(head, content, self.origin or {})
        if not wrong:
            return content
        print(f"{path}: {wrong}; {self.name} starts anew", file=sys.stderr)
        return b""

    def write(self, content: bytes) -> None:
        """Replace the content at once: whoever is killed while writing leaves the one before."""
        if self.folder is None:
            return
        path = self.folder / (self.name + SUFFIX)
        head = {"sha256": hashlib.sha256(content).hexdigest(), "origin": self.origin}
        half = path.with_name(path.name + ".part")
        half.write_bytes(json.dumps(head, sort_keys=True).encode() + b"\n" + content)
        half.replace(path)


@dataclass(frozen=True)
class Checkpoints:
    """The folder, for a job of this origin. Raises OSError where it cannot be written."""

    folder: Path | None = None
    origin: Mapping[str, str] | None = None

    def trainings(self, model: str) -> Iterator[Slot]:
        """A slot for each network that a model trains, in that order: a pretrained one may train several."""
        return (Slot(f"{model}.{number}", self.folder, self.origin) for number in count())

    def archive(self, model: str) -> Slot:
        """The slot for a model's finished archive."""
        return Slot(f"{model}.archive", self.folder, self.origin)

    def finish(self, model: str, archive: bytes) -> None:
        """Keep the finished archive, and only then drop what led to it."""
        self.archive(model).write(archive)
        if self.folder is not None:
            for path in self.folder.glob(f"{model}.[0-9]*{SUFFIX}*"):
                path.unlink()


def opened(folder: Path | None, data: Dataset, settings: Settings, machines: str) -> Checkpoints:
    """The checkpoints in a folder, which is made if need be; `machines` says what kind of and how many compute."""
    if folder is None:
        return Checkpoints()
    folder.mkdir(parents=True, exist_ok=True)
    origin = {
        "data": data_digest(data),
        "settings": digest(json.dumps(asdict(settings), sort_keys=True).encode()),
        "code": code_digest(Path(__file__).parent),
        "libraries": f"torch {torch.__version__}, numpy {np.__version__}",
        "machines": machines,
    }
    return Checkpoints(folder, origin)


def default_folder() -> Path | None:
    """SageMaker's checkpoint folder, if this is a job that has one."""
    folder = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "checkpoints"
    return folder if folder.is_dir() and os.access(folder, os.W_OK) else None


def unusable(head: bytes, content: bytes, origin: Mapping[str, str]) -> str:
    """Why a content cannot be gone on from; empty if it can."""
    try:
        said = json.loads(head)
        sha256, given = str(said["sha256"]), dict(said["origin"])
    except (ValueError, KeyError, TypeError):
        return "is not a checkpoint"
    if sha256 != hashlib.sha256(content).hexdigest():
        return "is damaged"
    other = [name for name in origin if given.get(name) != origin[name]]
    return f"is of other {' and '.join(other)}" if other else ""


def code_digest(folder: Path) -> str:
    """Identity of the modules in a folder."""
    paths = sorted(folder.glob("*.py"))
    return digest(*(part for path in paths for part in (path.name.encode(), path.read_bytes())))


def data_digest(data: Dataset) -> str:
    """Identity of all that is in a data set."""
    columns = (data.user, data.item, data.time, data.events, data.fold)
    arrays = [b"" if column is None else column.tobytes() for column in columns]
    return digest(json.dumps([data.users, data.items, data.category, data.available]).encode(), *arrays)


def digest(*parts: bytes) -> str:
    """SHA-256 of some parts, each with its length, so that no two lists of parts are alike."""
    made = hashlib.sha256()
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return made.hexdigest()
