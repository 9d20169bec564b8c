"""The code of the Lambda functions as content-addressed zips in the bucket: lambda/<name>/<sha256>.zip."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from pipelines import sources

ROOT = Path(__file__).parent.parent
PREFIX = "lambda"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say
FUNCTIONS = ROOT / "infra" / "functions"
# parameter of a template -> the folder or file that is packed; a new function's code is one line here
PACKAGES = {
    "ApiCode": ROOT / "api_code",
    "RegisterCode": FUNCTIONS / "register.py",
    "StartCode": FUNCTIONS / "start.py",
}


def client(region: str) -> Any:
    """S3 in the project's region."""
    return boto3.client("s3", region_name=region)


def pack(source: Path) -> bytes:
    """A zip of the file, or of the folder under its own name: the same files are the same bytes on every machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # zlibs differ in what they compress to
        for name, path in members(source):
            member = zipfile.ZipInfo(name, EPOCH)
            member.create_system, member.external_attr = 3, 0o100644 << 16
            archive.writestr(member, path.read_bytes())
    return buffer.getvalue()


def members(source: Path) -> Iterator[tuple[str, Path]]:
    """(name in the zip, path) of what ships."""
    if source.is_file():
        yield source.name, source
    else:
        yield from ((f"{source.name}/{name}", path) for name, path in sources.files(source))


def upload(s3: Any, bucket: str) -> dict[str, str]:
    """Store what is not stored yet; parameter -> key."""
    keys = {}
    for parameter, source in PACKAGES.items():
        data = pack(source)
        key = keys[parameter] = f"{PREFIX}/{source.stem}/{sources.digest(data)}.zip"
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
    return keys


def remove(s3: Any, bucket: str) -> None:
    """All of them in all versions: the bucket of a stack that is deleted must be empty."""
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=f"{PREFIX}/"):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            rows = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
            if rows:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": rows, "Quiet": True})
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
