"""A model's files within reach: the platform's folder as it is, or a .tar.gz unpacked into a folder of our own."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from .archive import ArchiveError
from .opening import open_model
from .recommender import Recommender
from .trust import Trust
from .unpack import unpack

# what an open model takes beside its files: 90 kB were measured, and 200 for one that needs ONNX Runtime
OVERHEAD = 2**18


@dataclass
class ModelFiles:
    """A folder with a model's files, and what it takes to have them open, in bytes."""

    folder: Path
    size: int
    trust: Trust
    private: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> Recommender:
        """The model. Raises ArchiveError."""
        return open_model(self.folder, self.trust)

    def close(self) -> None:
        """Remove what was unpacked; a platform's folder is the platform's to remove."""
        if self.private is not None:
            self.private.cleanup()


def fetch(url: str, trust: Trust, most: int) -> ModelFiles:
    """The files of a folder, or of a .tar.gz of at most `most` bytes. Raises ArchiveError."""
    path = Path(url)
    try:
        if path.is_absolute() and (path / "manifest.json").is_file():
            return ModelFiles(path, size_of(path), trust)
        if path.is_absolute() and path.is_file():
            return unpacked(path, trust, most)
    except OSError as error:
        raise ArchiveError(f"{url[:200]}: {error}") from error
    raise ArchiveError(f"{url[:200]}: no model; right is the absolute path of a model's folder or .tar.gz")


def unpacked(path: Path, trust: Trust, most: int) -> ModelFiles:
    """A .tar.gz's files in a new folder that nobody else reads, below TMPDIR."""
    private = tempfile.TemporaryDirectory(prefix="model-")
    try:
        unpack(path, Path(private.name), most)
        return ModelFiles(Path(private.name), size_of(Path(private.name)), trust, private)
    except BaseException:
        private.cleanup()
        raise


def size_of(folder: Path) -> int:
    """What a folder's model takes once it is open."""
    return OVERHEAD + sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
