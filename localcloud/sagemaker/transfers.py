"""Moves data between S3 and a container's folders as SageMaker's input and output modes do."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from ..cloud import Cloud


class TransferError(Exception):
    """Data that could not be moved; the text is the FailureReason SageMaker gives."""


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://bucket/key` address."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise TransferError(f"ClientError: Data download failed:Invalid S3 URL: {uri}")
    return parts.netloc, uri.partition("://")[2].partition("/")[2]


def download(cloud: "Cloud", uri: str, data_type: str, target: Path) -> None:
    """Bring what `uri` names below `target`: an object, everything under a prefix, or what a manifest lists."""
    target.mkdir(parents=True, exist_ok=True)
    if data_type == "ManifestFile":
        _download_manifest(cloud, uri, target)
    else:
        _download_prefix(cloud, uri, target)


def download_file(cloud: "Cloud", uri: str, target: Path) -> None:
    """Bring one object to the file `target`."""
    bucket, key = split(uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        body = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        with target.open("wb") as file:
            shutil.copyfileobj(body, file, 1 << 20)
    except ClientError as error:
        raise TransferError(f"ClientError: Data download failed:{_sentence(error)} (s3 object: {uri})") from error


def read(cloud: "Cloud", uri: str) -> bytes:
    """One object's content."""
    bucket, key = split(uri)
    try:
        content: bytes = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise TransferError(f"ClientError: {_sentence(error)} (s3 object: {uri})") from error
    return content


def exists(cloud: "Cloud", uri: str) -> bool:
    """Whether an object, or anything under the prefix, is there."""
    bucket, key = split(uri)
    try:
        return bool(cloud.client("s3").list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("KeyCount"))
    except ClientError:
        return False


def upload(cloud: "Cloud", source: Path, uri: str) -> None:
    """Send one file to `uri`."""
    with source.open("rb") as file:
        write(cloud, file, uri)


def write(cloud: "Cloud", body: bytes | IO[bytes], uri: str, encryption: Mapping[str, str] | None = None) -> None:
    """Put one object; `encryption` are PutObject's own members for it."""
    bucket, key = split(uri)
    try:
        cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body, **(encryption or {}))
    except ClientError as error:
        raise TransferError(f"ClientError: Data upload failed:{_sentence(error)} (s3 object: {uri})") from error


def upload_folder(cloud: "Cloud", folder: Path, uri: str) -> None:
    """Send every file below `folder` to the same relative keys under `uri`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            upload(cloud, path, f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}")


def _download_prefix(cloud: "Cloud", uri: str, target: Path) -> None:
    bucket, prefix = split(uri)
    keys = _keys(cloud, bucket, prefix, uri)
    base = prefix if prefix.endswith("/") or not prefix else prefix + "/"
    if prefix in keys and not prefix.endswith("/"):
        download_file(cloud, uri, target / prefix.rpartition("/")[2])
    found = {key: key.removeprefix(base) for key in keys if key.startswith(base) and not key.endswith("/")}
    for key, relative in found.items():
        download_file(cloud, f"s3://{bucket}/{key}", _below(target, relative))
    if prefix not in keys and not found:
        raise _nothing(cloud, uri)


def _download_manifest(cloud: "Cloud", uri: str, target: Path) -> None:
    try:
        manifest = json.loads(read(cloud, uri))
        prefix, names = manifest[0]["prefix"], [str(name) for name in manifest[1:]]
    except (ValueError, LookupError, TypeError) as error:
        reason = 'a manifest is a JSON list [{"prefix": "s3://bucket/path/"}, "relative/key", ...]'
        raise TransferError(f"ClientError: Data download failed:Invalid manifest {uri}: {reason}") from error
    for name in names:
        download_file(cloud, prefix + name, _below(target, name))


def _keys(cloud: "Cloud", bucket: str, prefix: str, uri: str) -> set[str]:
    pages = cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    try:
        return {item["Key"] for answer in pages for item in answer.get("Contents", [])}
    except ClientError as error:
        raise TransferError(f"ClientError: Data download failed:{_sentence(error)} (S3 URL: {uri})") from error


def _nothing(cloud: "Cloud", uri: str) -> TransferError:
    return TransferError(
        f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({cloud.region}), that objects exist under "
        "that S3 prefix, and that the job's role may list the bucket."
    )


def _below(folder: Path, relative: str) -> Path:
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise TransferError(f"ClientError: Data download failed:the key {relative} leads outside its channel")
    return path


def _sentence(error: ClientError) -> str:
    details: Any = error.response.get("Error", {})
    return f"{details.get('Code', 'Unknown')}: {details.get('Message', '')}"
