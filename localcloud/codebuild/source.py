"""A build's source: a zip from S3, unpacked with care, and the buildspec in or beside it."""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ..archives import unpack_zip
from ..buildspec.document import BuildspecError, parse
from ..buildspec.model import Buildspec
from .failure import PhaseError

if TYPE_CHECKING:
    from ..cloud import Cloud


def download(cloud: "Cloud", project: dict[str, Any], target: Path) -> str | None:
    """Unpack the source into `target`; returns the S3 version of the archive, if the bucket keeps versions."""
    source = project["source"]
    if source["type"] == "NO_SOURCE":
        return None
    location = source["location"].removeprefix("arn:aws:s3:::")
    answer = _get(cloud, location, project.get("sourceVersion"))
    try:
        with zipfile.ZipFile(BytesIO(answer["Body"].read())) as archive:
            unpack_zip(archive, target)
    except (zipfile.BadZipFile, ValueError) as error:
        raise PhaseError("CLIENT_ERROR", f"{location} is not a zip archive that can be unpacked: {error}") from error
    version: str | None = answer.get("VersionId")
    return version


def read_buildspec(cloud: "Cloud", source: dict[str, Any], folder: Path) -> Buildspec:
    """The buildspec: inline text, an S3 ARN, or a path in the source (buildspec.yml); BuildspecError otherwise."""
    given = source.get("buildspec") or "buildspec.yml"
    if "\n" in given or given.lstrip().startswith("{"):
        return parse(given, "inline buildspec")
    if given.startswith("arn:aws:s3:::"):
        location = given.removeprefix("arn:aws:s3:::")
        return parse(_get(cloud, location, None)["Body"].read().decode(errors="replace"), given)
    path = (folder / given).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise BuildspecError(f"stat {folder / given}: no such file or directory; the source must hold {given}")
    return parse(path.read_text(errors="replace"), given)


def _get(cloud: "Cloud", location: str, version: str | None) -> dict[str, Any]:
    bucket, _, key = location.partition("/")
    try:
        wanted = {"VersionId": version} if version else {}
        answer: dict[str, Any] = cloud.client("s3").get_object(Bucket=bucket, Key=key, **wanted)
    except ClientError as error:
        raise PhaseError(
            "CLIENT_ERROR", f"{error} for primary source {location} and source version {version or ''}"
        ) from error
    return answer
