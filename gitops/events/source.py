"""The commit's source in S3: source/<sha>.zip, written once, and source/head.json, which only moves forward."""

import io
import json
import stat
import time
import zipfile
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws, tree
from gitops.errors import GitopsError

HEAD = "source/head.json"
CONDITION_FAILED = {"PreconditionFailed", "412"}
LOST_RACE = {"ConditionalRequestConflict", "409"}
TRIES = 10


@dataclass(frozen=True)
class Head:
    """The newest commit whose source is in S3."""

    sha: str
    sequence: int
    key: str


def key(sha: str) -> str:
    """Where the zip of a commit lies in the bucket."""
    return f"source/{sha}.zip"


def pack(sha: str) -> bytes:
    """The commit as a zip of its files and links, byte for byte what the branch has; equal commits, equal zips.

    `git archive` would obey the commit's own .gitattributes: leave files out, rewrite them, change their line ends.
    """
    found = [one for one in tree.entries(sha) if one.sound and (one.mode in tree.MODES or one.mode == tree.LINK)]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in zip(found, tree.contents(found), strict=True):
            info = zipfile.ZipInfo(entry.path)  # of 1980: a zip has no earlier time
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3  # Unix, whose modes these are
            kind = stat.S_IFLNK | 0o777 if entry.mode == tree.LINK else stat.S_IFREG | tree.MODES[entry.mode]
            info.external_attr = kind << 16
            archive.writestr(info, content)
    return target.getvalue()


def upload(s3: Any, bucket: str, sha: str, archive: bytes) -> bool:
    """Write the zip unless it is there; True if this call wrote it."""
    for attempt in range(TRIES):
        try:
            s3.put_object(Bucket=bucket, Key=key(sha), Body=archive, IfNoneMatch="*")
        except ClientError as error:
            if aws.code(error) in CONDITION_FAILED:
                return False  # written once is written for good
            if aws.code(error) not in LOST_RACE:
                raise
            time.sleep(0.1 * (attempt + 1))
        else:
            return True
    raise GitopsError(f"s3://{bucket}/{key(sha)}: others keep writing it; run notify again")


def move_head(s3: Any, bucket: str, head: Head, before: str = "") -> Head:
    """Point head.json at `head` unless it is further on; returns what it points at afterwards.

    `before` is the commit that the push replaced: where head.json has exactly that, a shorter history is a
    rewritten one, and no older event.
    """
    body = json.dumps({"sha": head.sha, "sequence": head.sequence, "key": head.key}, sort_keys=True).encode()
    for attempt in range(TRIES):
        current, condition = _read(s3, bucket)
        if current and current.sha == before:
            current = None  # the push replaced exactly this
        if current and (current.sequence > head.sequence or current == head):
            return current
        try:
            s3.put_object(Bucket=bucket, Key=HEAD, Body=body, ContentType="application/json", **condition)
        except ClientError as error:
            if aws.code(error) not in CONDITION_FAILED | LOST_RACE:
                raise
            time.sleep(0.05 * (attempt + 1))  # another notify moved it: look again
        else:
            return head
    raise GitopsError(f"s3://{bucket}/{HEAD}: others keep moving it; run notify again")


def head(s3: Any, bucket: str) -> Head | None:
    """The newest commit whose source is in S3; None before the first push. Raises GitopsError if it cannot be read."""
    return _read(s3, bucket)[0]


def _read(s3: Any, bucket: str) -> tuple[Head | None, dict[str, str]]:
    """What head.json says, and the condition under which it may be replaced."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=HEAD)
    except ClientError as error:
        if not aws.missing(error):
            raise
        return None, {"IfNoneMatch": "*"}
    try:
        document = json.loads(answer["Body"].read())
        head = Head(sha=str(document["sha"]), sequence=int(document["sequence"]), key=str(document["key"]))
    except (ValueError, KeyError, TypeError) as error:
        raise GitopsError(f"s3://{bucket}/{HEAD}: is not {{sha, sequence, key}}; delete it and notify again") from error
    return head, {"IfMatch": answer["ETag"]}
