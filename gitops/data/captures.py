"""Captured requests and answers of an endpoint, read from S3 in SageMaker's format.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gitops import aws
from gitops.errors import GitopsError


@dataclass(frozen=True)
class Capture:
    """One call. Its requests and answers are JSON values: one, or in a batch one a line; other content gives none."""

    event_id: str
    inference_id: str  # the caller's own; empty where there is none
    requests: tuple[Any, ...]
    answers: tuple[Any, ...]
    answered: bool  # False: the container failed, or its answers are not captured


def variants(s3: Any, uri: str) -> list[str]:
    """The variants that have captures below `uri`, s3://bucket/prefix/endpoint."""
    bucket, prefix = aws.split_uri(f"{uri.rstrip('/')}/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return [each["Prefix"].split("/")[-2] for page in pages for each in page.get("CommonPrefixes", ())]


def read(s3: Any, uri: str, variant: str, hours: tuple[datetime, datetime]) -> Iterator[Capture]:
    """The captures of a variant from the first hour through the last, UTC; GitopsError for a line that is none."""
    bucket, prefix = aws.split_uri(uri)
    moment, last = hours[0].replace(minute=0, second=0, microsecond=0), hours[1]
    pages = s3.get_paginator("list_objects_v2")
    while moment <= last:
        folder = f"{prefix.rstrip('/')}/{variant}/{moment:%Y/%m/%d/%H}/"
        for page in pages.paginate(Bucket=bucket, Prefix=folder):
            for each in page.get("Contents", ()):
                yield from _file(s3, bucket, each["Key"])
        moment += timedelta(hours=1)


def _file(s3: Any, bucket: str, key: str) -> Iterator[Capture]:
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    for number, line in enumerate(body.iter_lines(), start=1):
        try:
            yield capture(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            where = f"s3://{bucket}/{key}: line {number}"
            raise GitopsError(f"{where} is no event of SageMaker's data capture ({error!r})") from error


def capture(line: bytes | str) -> Capture:
    """One line of a capture file. Raises ValueError, KeyError, TypeError or AttributeError for any other."""
    event = json.loads(line)
    data, metadata = event["captureData"], event["eventMetadata"]
    output = data.get("endpointOutput")
    return Capture(
        event_id=str(metadata["eventId"]),
        inference_id=str(metadata.get("inferenceId", "")),
        requests=_values(data.get("endpointInput")),
        answers=_values(output),
        answered=output is not None,
    )


def _values(part: Mapping[str, str] | None) -> tuple[Any, ...]:
    if part is None:
        return ()
    try:
        text = part["data"]
        if part.get("encoding") == "BASE64":
            text = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ()
    for texts in ([text], [line for line in text.splitlines() if line.strip()]):
        try:
            return tuple(json.loads(each) for each in texts)
        except ValueError:  # not one value: a batch has one a line, and anything else is CSV or was refused
            continue
    return ()
