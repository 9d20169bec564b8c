"""Finds the files an artifact names, and puts them into S3."""

import base64
import hashlib
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from ..buildspec.model import Artifact, Artifacts
from ..buildspec.phases import container_line
from ..buildspec.shell import Container
from .build import Build
from .failure import PhaseError

if TYPE_CHECKING:
    from ..cloud import Cloud


@dataclass(frozen=True)
class Upload:
    """Where a build's artifacts come from and go to; `names` are the buildspec's names, expanded."""

    cloud: "Cloud"
    build: Build
    container: Container
    names: dict[str, str]

    def run(self, artifacts: Artifacts | None) -> dict[str, Any]:
        """Upload the primary and secondary artifacts of the project; returns members of botocore's Build."""
        results: dict[str, Any] = {}
        primary = self.build.project["artifacts"]
        if primary["type"] == "S3":
            results["artifacts"] = self._one(primary, artifacts)
        secondary = artifacts.secondary_artifacts if artifacts else {}
        targets = self.build.project.get("secondaryArtifacts", [])
        done = [self._one(target, secondary.get(target.get("artifactIdentifier", ""))) for target in targets]
        return results | ({"secondaryArtifacts": done} if done else {})

    def _one(self, target: dict[str, Any], artifact: Artifact | None) -> dict[str, Any]:
        if artifact is None or not artifact.files:
            raise PhaseError("CLIENT_ERROR", "No artifact files specified; add artifacts.files to the buildspec")
        self.container.say(container_line(f"Expanding base directory path: {artifact.base_directory or '.'}"))
        files = collect(artifact, self.container.source)
        self.container.say(container_line(f"Found {len(files)} file(s)"))
        prefix = self._prefix(target, artifact)
        try:
            digests = _put(self.cloud, target, prefix, files)
        except (ClientError, S3UploadFailedError) as error:
            raise PhaseError("CLIENT_ERROR", f"Error in UPLOAD_ARTIFACTS phase: {error}") from error
        identifier = {"artifactIdentifier": target["artifactIdentifier"]} if "artifactIdentifier" in target else {}
        location = f"arn:aws:s3:::{_bucket(target)}/{prefix}"
        return {"location": location, "encryptionDisabled": False} | identifier | digests

    def _prefix(self, target: dict[str, Any], artifact: Artifact) -> str:
        """<path>/<s3-prefix>/<build id>/<name>, without empty parts."""
        name = target.get("name") or target.get("artifactIdentifier") or self.build.project["name"]
        if target.get("overrideArtifactName") and artifact.name:
            name = self.names.get(artifact.name, artifact.name)
        namespace = self.build.uuid if target.get("namespaceType") == "BUILD_ID" else ""
        prefix = self.names.get(artifact.s3_prefix or "", artifact.s3_prefix or "")
        parts = [part.strip("/") for part in (target.get("path", ""), prefix, namespace, name)]
        return "/".join(part for part in parts if part and part != ".")


def collect(artifact: Artifact, source: Path) -> dict[str, Path]:
    """Name in the artifact -> file, for every file that `files` matches and `exclude-paths` does not.

    PhaseError if nothing matches, as in CodeBuild.
    """
    unwanted = [pattern(text) for text in artifact.exclude_paths]
    found = {
        path.name if artifact.discard_paths else name: path
        for name, path in matching(source, artifact.base_directory, artifact.files).items()
        if not any(one.fullmatch(name) for one in unwanted) and (artifact.enable_symlinks or not path.is_symlink())
    }
    if not found:
        raise PhaseError("CLIENT_ERROR", f"no matching artifact paths found for {', '.join(artifact.files)}")
    return found


def matching(source: Path, base: str | None, files: Iterable[str]) -> dict[str, Path]:
    """Path relative to `base` -> file, in order; `*` stays in one folder, `**` crosses folders."""
    root = source / (base or ".")
    if not root.resolve().is_relative_to(source.resolve()) or not root.is_dir():
        raise PhaseError("CLIENT_ERROR", f"no matching base directory path found for {base}")
    wanted = [pattern(text) for text in files]
    names = ((path.relative_to(root).as_posix(), path) for path in sorted(root.rglob("*")) if path.is_file())
    return {name: path for name, path in names if any(one.fullmatch(name) for one in wanted)}


def pattern(text: str) -> re.Pattern[str]:
    """A path pattern of a buildspec as a regular expression over a relative path with slashes."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", text.removeprefix("./"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces))


def _bucket(target: dict[str, Any]) -> str:
    return str(target["location"]).removeprefix("arn:aws:s3:::")


def _put(cloud: "Cloud", target: dict[str, Any], prefix: str, files: dict[str, Path]) -> dict[str, str]:
    client, bucket = cloud.client("s3"), _bucket(target)
    if target.get("packaging") != "ZIP":
        start = f"{prefix}/" if prefix else ""
        for name, path in files.items():
            client.upload_file(str(path), bucket, f"{start}{name}")
        return {}
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files.items():
            archive.write(path, name)
    data = packed.getvalue()
    md5 = hashlib.md5(data, usedforsecurity=False)
    client.put_object(Bucket=bucket, Key=prefix, Body=data, ContentMD5=base64.b64encode(md5.digest()).decode())
    return {"sha256sum": hashlib.sha256(data).hexdigest(), "md5sum": md5.hexdigest()}
