"""A release's archive: its digest checked, a few of its members read in place, nothing extracted."""

import hashlib
import tarfile
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.errors import GitopsError

MIB = 1024 * 1024


def members(s3: Any, uri: str, sha256: str, wanted: Collection[str], limit: int = 16 * MIB) -> dict[str, bytes]:
    """Those of the `wanted` members that are in the archive at `uri`, each of at most `limit` bytes.

    Raises GitopsError if the archive's bytes have another digest than `sha256`, or are no archive.
    """
    bucket, key = aws.split_uri(uri)
    with tempfile.TemporaryDirectory(prefix="archive-") as folder:
        archive = Path(folder) / "model.tar.gz"
        try:
            s3.download_file(bucket, key, str(archive))
        except ClientError as error:
            raise GitopsError(f"{uri}: cannot be read ({aws.sentence(error)}); propose one that can") from error
        digest = file_sha256(archive)
        if digest != sha256:
            raise GitopsError(f"{uri}: its sha256 is {digest}, the deploy file says {sha256}; it was changed since")
        return _read(archive, uri, wanted, limit)


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(archive: Path, uri: str, wanted: Collection[str], limit: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name not in wanted:
                    continue
                stream = tar.extractfile(member) if member.isfile() and member.size <= limit else None
                if stream is None or name in found:
                    raise GitopsError(
                        f"{uri}: {name} is not one regular file of at most {limit // MIB} MiB; train again"
                    )
                found[name] = stream.read()
    except (tarfile.TarError, EOFError, OSError, RecursionError) as error:  # a thousand extensions of one header
        raise GitopsError(f"{uri}: is not a readable tar.gz ({error}); train again") from error
    return found
