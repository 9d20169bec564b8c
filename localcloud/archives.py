"""Unpacks zip archives that somebody else wrote."""

import shutil
import stat
import zipfile
from pathlib import Path

_MAX_BYTES = 4 * 1024**3
_MAX_MEMBERS = 200_000


def unpack_zip(archive: zipfile.ZipFile, target: Path) -> None:
    """Unpack files, folders and links into the new folder `target`, with permissions; ValueError if one leaves it."""
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS or sum(member.file_size for member in members) > _MAX_BYTES:
        raise ValueError("it is too large")
    target.mkdir(parents=True, exist_ok=True)
    target = target.resolve()
    links: set[Path] = set()
    folders = {target}
    for member in members:
        path = target / member.filename
        if not path.is_relative_to(target) or ".." in path.parts:
            raise ValueError(f"{member.filename} would be written outside the source folder")
        if links and not links.isdisjoint([path, *path.parents]):
            raise ValueError(f"{member.filename} would be written through a link")
        folder = path if member.is_dir() else path.parent
        if folder not in folders:
            folder.mkdir(parents=True, exist_ok=True)
            folders.add(folder)
        if stat.S_ISLNK(member.external_attr >> 16):
            path.symlink_to(archive.read(member).decode())
            links.add(path)
        elif not member.is_dir():
            _write(archive, member, path)


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    with archive.open(member) as reader, path.open("wb") as writer:
        shutil.copyfileobj(reader, writer)
    mode = member.external_attr >> 16
    if mode & 0o777:
        path.chmod(mode & 0o777)
