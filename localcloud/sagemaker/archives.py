"""Packs and safely unpacks the tar.gz files that SageMaker moves between containers and S3."""

import gzip
import tarfile
from pathlib import Path, PurePosixPath

MAX_MEMBERS = 100_000
MAX_BYTES = 20 * 1024**3


class ArchiveError(Exception):
    """An archive that is damaged, or holds something other than plain files below one folder."""


def pack(folder: Path, target: Path) -> None:
    """Write every file below `folder` to `target`, the same content always giving the same bytes."""
    with target.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed:  # noqa: SIM117
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    _add(archive, path, path.relative_to(folder).as_posix())


def unpack(source: Path, folder: Path) -> None:
    """Extract `source` below `folder`; ArchiveError before anything outside it could be written."""
    try:
        with tarfile.open(source, "r:*") as archive:
            members = archive.getmembers()
            _check(members)
            for member in members:
                if member.isfile():
                    _extract(archive, member, folder)
    except (tarfile.TarError, EOFError, OSError, RecursionError) as error:  # a thousand extensions of one header
        raise ArchiveError(f"{source.name}: not a readable tar.gz archive ({error})") from error


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = path.stat().st_size
    member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    with path.open("rb") as content:
        archive.addfile(member, content)


def _check(members: list[tarfile.TarInfo]) -> None:
    if len(members) > MAX_MEMBERS or sum(member.size for member in members) > MAX_BYTES:
        raise ArchiveError(f"more than {MAX_MEMBERS} files or {MAX_BYTES} bytes")
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise ArchiveError(f"{member.name}: a path outside the archive's folder")
        if not (member.isfile() or member.isdir()):
            raise ArchiveError(f"{member.name}: neither a file nor a folder")


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    if content is None:
        raise ArchiveError(f"{member.name}: has no content")
    with content, target.open("wb") as file:
        while block := content.read(1 << 20):
            file.write(block)
    if member.mode & 0o100:
        target.chmod(0o755)
