"""Which container image runs as which process: data from `localcloud up --images FILE`.

```yaml
images:
  - image: "*.dkr.ecr.*/serving@sha256:*"
    source: "s3://bucket/images/serving/{digest}.tar.gz"
    command: [python, -m, serving_code]
  - {image: "*", source: environment}
```
The first pattern (fnmatch) that matches wins. `environment` is localcloud's own Python.
"""

import fnmatch
import hashlib
import re
import shutil
import tarfile
import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .service import CloudError

if TYPE_CHECKING:
    from .cloud import Cloud

ENVIRONMENT = "environment"
_DIGEST = re.compile(r"@sha256:([0-9a-f]{64})$")
_MAX_BYTES = 512 * 1024 * 1024
_unpacking = threading.Lock()


@dataclass(frozen=True)
class Image:
    """How one image runs. `source` is "environment" or the S3 address of its archive."""

    source: str
    command: tuple[str, ...] = ()
    digest: str | None = None

    def folder(self, cloud: "Cloud") -> Path | None:
        """Where the image's files are, fetched and checked once per digest; None for `environment`."""
        if self.source == ENVIRONMENT:
            return None
        target = cloud.directory / "images" / str(self.digest)
        with _unpacking:
            if not target.is_dir():
                _unpack(_fetch(cloud, self), target)
        return target


@dataclass(frozen=True)
class Rule:
    """One line of images.yml."""

    pattern: str
    source: str
    command: tuple[str, ...]


class Images:
    """The rules of images.yml, in order."""

    def __init__(self, rules: tuple[Rule, ...] = (Rule("*", ENVIRONMENT, ()),)) -> None:
        self._rules = rules

    @classmethod
    def load(cls, path: Path) -> "Images":
        """Read images.yml; CloudError names the file and the line that is wrong."""
        try:
            document = yaml.safe_load(path.read_text())
            return cls(tuple(_rule(entry) for entry in document["images"]))
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            raise CloudError(
                "InvalidImages",
                f"{path}: {error}; each entry of `images` is {{image: <pattern>, source: environment | s3://...}}",
            ) from error

    def find(self, uri: str) -> Image:
        """How the image `uri` runs; CloudError if no rule matches, or its archive has no digest to check."""
        rule = next((rule for rule in self._rules if fnmatch.fnmatchcase(uri, rule.pattern)), None)
        if rule is None:
            raise CloudError("ValidationException", f"no image can be run for {uri}; add a line to images.yml")
        if rule.source == ENVIRONMENT:
            return Image(ENVIRONMENT, rule.command)
        digest = _DIGEST.search(uri)
        if not digest:
            raise CloudError("ValidationException", f"{uri} names no digest; write it as <repository>@sha256:<digest>")
        return Image(rule.source.replace("{digest}", digest[1]), rule.command, digest[1])


def _rule(entry: dict[str, Any]) -> Rule:
    unknown = set(entry) - {"image", "source", "command"}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r}")
    source = str(entry["source"])
    if source != ENVIRONMENT and not source.startswith("s3://"):
        raise ValueError(f"source {source!r} is neither `environment` nor an s3:// address")
    return Rule(str(entry["image"]), source, tuple(str(word) for word in entry.get("command", ())))


def _fetch(cloud: "Cloud", image: Image) -> bytes:
    bucket, _, key = image.source.removeprefix("s3://").partition("/")
    client = cloud.client("s3")
    try:
        data: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except client.exceptions.ClientError as error:
        raise CloudError("ValidationException", f"image archive {image.source} cannot be read: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != image.digest:
        raise CloudError("ValidationException", f"{image.source} has sha256 {found}, the image says {image.digest}")
    return data


def _unpack(data: bytes, target: Path) -> None:
    """Unpack regular files and folders only; a half-unpacked folder never gets the final name."""
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=BytesIO(data), mode="r:gz") as archive:
            members = archive.getmembers()
            if sum(member.size for member in members) > _MAX_BYTES or not all(map(_is_plain, members)):
                raise CloudError("ValidationException", f"image archive {target.name} holds more than plain files")
            archive.extractall(partial, members=members, filter="data")
    except (tarfile.TarError, EOFError, OSError, RecursionError) as error:  # a thousand extensions of one header
        raise CloudError("ValidationException", f"image archive {target.name} cannot be unpacked: {error}") from error
    partial.rename(target)


def _is_plain(member: tarfile.TarInfo) -> bool:
    path = Path(member.name)
    return (member.isfile() or member.isdir()) and not path.is_absolute() and ".." not in path.parts
