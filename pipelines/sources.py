"""Code folders as content-addressed archives: the same files give the same bytes on every machine."""

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ProjectError

PROCESSING = "processing_code"
TRAINING = "training_code"
BLOCK = 0xFFFF  # the longest stored block of a deflate stream


@dataclass(frozen=True)
class Sources:
    """What a pipeline is built from, by content: sha256 of each packed code folder and of the data lock."""

    processing: str
    training: str
    lock: str


def load(root: Path, lock: str) -> Sources:
    """The digests of the code folders below a project's root, beside the data lock's.

    Raises ProjectError for a missing folder.
    """
    return Sources(processing=digest(pack(root / PROCESSING)), training=digest(pack(root / TRAINING)), lock=lock)


def digest(data: bytes) -> str:
    """sha256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name relative to the folder, path) of each file that ships, sorted; caches and hidden files stay behind.

    Raises ProjectError for a missing or empty folder and for links, which would ship what is not in the folder.
    """
    if not folder.is_dir():
        raise ProjectError(f"{folder}: no such folder; restore it from git")
    found = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*"))
    ships = [(name, path) for name, path in found if _ships(name)]
    for name, path in ships:
        if path.is_symlink():
            raise ProjectError(f"{folder}/{name}: a link; code that ships must be regular files")
    regular = [(name, path) for name, path in ships if path.is_file()]
    if not regular:
        raise ProjectError(f"{folder}: empty; restore it from git")
    yield from regular


def _ships(name: str) -> bool:
    parts = name.split("/")
    return not (name.endswith(".pyc") or any(part.startswith(".") or part == "__pycache__" for part in parts))


def pack(folder: Path, arcname: str = "") -> bytes:
    """A tar.gz of the folder (below `arcname` if given): sorted names, no times, no owners, no compression."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, path in files(folder):
            content = path.read_bytes()
            member = tarfile.TarInfo(f"{arcname}/{name}" if arcname else name)
            member.size = len(content)
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            archive.addfile(member, io.BytesIO(content))
    return stored_gzip(buffer.getvalue())


def stored_gzip(data: bytes) -> bytes:
    """gzip with stored blocks: zlib and zlib-ng compress to different bytes, these are the same everywhere."""
    stream = bytearray(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
    blocks = [data[start : start + BLOCK] for start in range(0, len(data), BLOCK)] or [b""]
    for index, block in enumerate(blocks):
        stream += struct.pack("<BHH", index == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block
    return bytes(stream + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
