"""Unpacks a model's .tar.gz that may be hostile: every member is checked before anything is written."""

import gzip
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from .archive import ArchiveError
from .members import refuse_unless

MAX_MEMBERS = 64
MAX_READ = 2**20  # bytes at once: what tarfile wants more of, a header's extension, would all be held in memory


def unpack(path: Path, target: Path, most: int) -> None:
    """Write the files of a .tar.gz into the empty folder `target`, at most `most` bytes of them.

    Only regular files at the top level, each once, are let in. The whole archive is looked through first, so that of a
    wrong one nothing is written. Raises ArchiveError that says which member is wrong, and how.
    """
    try:
        with gzip.open(path) as unzipped:
            for _ in members(unzipped, most):
                pass
            unzipped.seek(0)
            # checked again: the file may be another one by now
            for member, tar in members(unzipped, most):
                content = tar.extractfile(member)
                with (target / plain_name(member)).open("xb") as file:
                    shutil.copyfileobj(content, file, MAX_READ)  # type: ignore[arg-type]  # a regular file has content
    # tarfile calls itself for a header's extension, and there may be a thousand of them before one member
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError, RecursionError) as error:
        raise ArchiveError(f"{path}: not a .tar.gz ({type(error).__name__}: {error})") from error


def members(unzipped: gzip.GzipFile, most: int) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """The members of a tar that may be written, with the tar itself. Raises ArchiveError at the first wrong one."""
    names: set[str] = set()
    left = most
    with tarfile.open(fileobj=Bounded(unzipped, most), mode="r:") as tar:  # type: ignore[call-overload]
        for member in tar:
            name = plain_name(member)
            if member.isdir() and name in {"", "."}:
                continue
            plain = member.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not member.issparse()
            refuse_unless(plain, f"member {name[:100]!r} is not a regular file")
            refuse_unless(name not in {"", ".", ".."} and not set(name) & set("/\\\0"),
                          f"member {name[:100]!r} is not a plain file name")  # fmt: skip
            refuse_unless(name not in names, f"member {name[:100]!r} is there twice")
            names.add(name)
            refuse_unless(len(names) <= MAX_MEMBERS, f"more than {MAX_MEMBERS} members")
            left -= member.size
            refuse_unless(left >= 0, f"larger than {most} bytes when unpacked")
            yield member, tar


def plain_name(member: tarfile.TarInfo) -> str:
    """A member's name; tar itself writes ./ before those of a folder's files."""
    return member.name.removeprefix("./")


class Bounded:
    """A file for tarfile that yields only so much, however much its compressed bytes would become."""

    def __init__(self, file: gzip.GzipFile, most: int) -> None:
        self._file = file
        self._most = most + MAX_MEMBERS * 8 * tarfile.BLOCKSIZE + tarfile.RECORDSIZE  # headers and padding

    def read(self, size: int) -> bytes:
        """At most `size` bytes, of which there may not be too many."""
        refuse_unless(size <= MAX_READ, f"a header of {size} bytes")
        refuse_unless(self._file.tell() + size <= self._most, f"larger than {self._most} bytes when unpacked")
        return self._file.read(size)

    def seek(self, position: int) -> int:
        """Go to a position; what lies before it has to be unpacked."""
        refuse_unless(position <= self._most, f"larger than {self._most} bytes when unpacked")
        return self._file.seek(position)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()
