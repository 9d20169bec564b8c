"""The champion: what production serves at this commit. Read from its deploy file; git is the truth."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import documents
from pipelines.errors import ProjectError

ARCHIVE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/([A-Za-z0-9_./=-]+)/model\.tar\.gz")
RELEASE_ID = re.compile(r"[a-z][a-z0-9-]{0,60}")


@dataclass(frozen=True)
class Champion:
    """A release: its id, and the bucket and key of its archive."""

    name: str
    bucket: str
    key: str

    @property
    def folder(self) -> str:
        """The S3 prefix that holds model.tar.gz."""
        return f"s3://{self.bucket}/{self.key.removesuffix('model.tar.gz')}"


def read(root: Path, environment: str, model: str) -> Champion | None:
    """The release in deploy/<environment>/<model>.yml; None when nothing is deployed there yet.

    Raises ProjectError when the release names no archive.
    """
    path = root / "deploy" / environment / f"{model}.yml"
    if not path.is_file():
        return None
    release: Any = documents.load(path).get("release")
    if release is None:
        return None
    if not isinstance(release, dict):
        raise ProjectError(f"{path}: release: not a mapping; write null or the release block of a promotion")
    name, archive = release.get("id"), release.get("archive_uri")
    if not isinstance(name, str) or not RELEASE_ID.fullmatch(name):
        raise ProjectError(f"{path}: release.id: {name!r} is wrong; write <model>-<12 digits of the run>")
    found = ARCHIVE.fullmatch(archive) if isinstance(archive, str) else None
    if found is None:
        raise ProjectError(f"{path}: release.archive_uri: {archive!r} is wrong; write s3://.../model.tar.gz")
    return Champion(name, found[1], f"{found[2]}/model.tar.gz")
