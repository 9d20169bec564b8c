"""The files of an archive: which there may be, their digests, and their bytes in place.

Nothing is parsed before its digest is the manifest's. A large file is hashed by reading it in pieces and then mapped:
its pages are shared between processes, and only those that are used become resident.
"""

import hashlib
import io
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ArchiveError
from .json_text import parse

Content = bytes | mmap.mmap

MANIFEST = "manifest.json"
MAX_MANIFEST = 2**20
MAX_MEMBERS = 64
MAX_BYTES = 2**33  # of a member
MAX_TEXT = 2**28  # of a member that is parsed: 268 MB
MAP_FROM = 2**20  # a mapped file costs a descriptor, of which a process with a thousand small models has too few
PIECE = 2**20
NPY_HEADER = 4096


def read_file(folder: Path, name: str, most: int) -> bytes:
    """A small file's bytes. Raises ArchiveError."""
    with opened(folder, name, most) as file:
        return file.read(most)


def parse_manifest(text: bytes) -> dict[str, Any]:
    """What manifest.json says. Raises ArchiveError."""
    found = parse(text)
    refuse_unless(isinstance(found, dict) and isinstance(found.get("files"), dict), "manifest.json lists no files")
    refuse_unless(len(found["files"]) <= MAX_MEMBERS, f"manifest.json lists more than {MAX_MEMBERS} files")
    return dict(found)


def read_members(folder: Path, listed: Mapping[str, Any]) -> dict[str, Content]:
    """The listed files, each as its digest and size say; a file that is not listed is never opened."""
    return {name: read_member(folder, name, said) for name, said in listed.items()}


def read_member(folder: Path, name: str, said: Any) -> Content:
    """One file's bytes, in memory if it is small and mapped if it is large."""
    refuse_unless(name not in {"", ".", ".."} and Path(name).name == name, f"{name!r} is not a plain file name")
    refuse_unless(isinstance(said, dict), f"manifest.json describes {name} wrongly")
    with opened(folder, name, MAX_BYTES) as file:
        size = os.fstat(file.fileno()).st_size
        refuse_unless(said.get("bytes", size) == size, f"{name} has {size} bytes, not what manifest.json says")
        content: Content = file.read() if size < MAP_FROM else b""
        digest = hashlib.sha256(content) if content else hashlib.file_digest(file, "sha256")
        refuse_unless(digest.hexdigest() == said["sha256"], f"{name} differs from its digest in manifest.json")
        # a file of no bytes cannot be mapped, and a small one need not be
        return content if size < MAP_FROM else mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)


@contextmanager
def opened(folder: Path, name: str, most: int) -> Iterator[io.BufferedReader]:
    """A regular file of bounded size; a link could lead anywhere."""
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ArchiveError(f"{name} is not a regular file ({error.strerror})") from error
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        refuse_unless(stat.S_ISREG(about.st_mode), f"{name} is not a regular file")
        refuse_unless(about.st_size <= most, f"{name} is larger than {most} bytes")
        yield file


def text_of(members: Mapping[str, Content], name: str) -> bytes:
    """A member that will be parsed."""
    content = members[name]
    refuse_unless(len(content) <= MAX_TEXT, f"{name} is larger than {MAX_TEXT} bytes")
    return bytes(content)


def array_of(members: Mapping[str, Content], name: str, kind: str, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """An .npy member in place, if it is of this type (as "<f4") and shape (None = any length). Raises ArchiveError."""
    content = members[name]
    head = io.BytesIO(content[:NPY_HEADER])
    refuse_unless(np.lib.format.read_magic(head) == (1, 0), f"{name} is not npy 1.0")
    found, fortran, dtype = np.lib.format.read_array_header_1_0(head, max_header_size=NPY_HEADER)
    right = len(found) == len(shape) and all(one in {None, size} for one, size in zip(shape, found, strict=True))
    refuse_unless(dtype.str == kind and right, f"{name} is {dtype.str}{list(found)}, not {kind}{list(shape)}")
    count = int(np.prod(found, dtype=object))
    right = len(content) == head.tell() + count * dtype.itemsize
    refuse_unless(right and min(found) >= 0, f"{name} has not as many bytes as its shape {list(found)} says")
    return np.frombuffer(content, dtype, count, head.tell()).reshape(found, order="F" if fortran else "C")


def pieces(content: Content, array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """The numbers of an array in pieces; what was looked at does not stay resident."""
    flat = array.reshape(-1) if array.flags.c_contiguous else array.T.reshape(-1)
    for start in range(0, len(flat), PIECE):
        yield flat[start : start + PIECE]
        forget(content)


def forget(content: Content) -> None:
    """Let a mapped file's pages go; whoever reads them again gets them from the system's cache."""
    if isinstance(content, mmap.mmap):
        content.madvise(mmap.MADV_DONTNEED)


def refuse_unless(right: bool, what: str) -> None:
    """Raise ArchiveError unless the archive is right in this."""
    if not right:
        raise ArchiveError(what)


def refuse_unless_finite(name: str, content: Content, array: npt.NDArray[Any]) -> None:
    """Raise ArchiveError if a number is infinite or NaN: it could not be ranked, nor written as JSON."""
    right = all(bool(np.isfinite(piece).all()) for piece in pieces(content, array))
    refuse_unless(right, f"{name} has numbers that are not finite")


def refuse_unless_within(name: str, content: Content, array: npt.NDArray[Any], least: int, end: int) -> None:
    """Raise ArchiveError unless all numbers are from `least` to before `end`."""
    right = all(bool(least <= piece.min() and piece.max() < end) for piece in pieces(content, array))
    refuse_unless(right, f"{name} has numbers outside {least} to {end - 1}")
