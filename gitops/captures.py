"""Captured requests and answers of an endpoint, read from S3 in SageMaker's format.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gitops import aws
from gitops.errors import GitopsError


@dataclass(frozen=True)
class Capture:
    """One call. `request` and `answer` are JSON values, None where none was captured or it is no JSON."""

    event_id: str
    inference_id: str
    request: Any
    answer: Any


def read(s3: Any, uri: str, variant: str, hours: tuple[datetime, datetime]) -> Iterator[Capture]:
    """The captures below `uri` (s3://bucket/prefix/endpoint) of a variant from the first hour through the last, UTC."""
    bucket, prefix = aws.split_uri(uri)
    moment, last = (each.replace(minute=0, second=0, microsecond=0) for each in hours)
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
            yield capture(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GitopsError(f"s3://{bucket}/{key}: line {number} is no captured call ({error})") from error


def capture(document: dict[str, Any]) -> Capture:
    """One line of a capture file. Raises KeyError, TypeError or AttributeError for any other document."""
    data, metadata = document["captureData"], document["eventMetadata"]
    return Capture(
        event_id=str(metadata["eventId"]),
        inference_id=str(metadata.get("inferenceId", "")),
        request=_content(data.get("endpointInput")),
        answer=_content(data.get("endpointOutput")),
    )


def _content(part: dict[str, Any] | None) -> Any:
    if part is None:
        return None
    text = part["data"]
    try:
        return json.loads(base64.b64decode(text) if part.get("encoding") == "BASE64" else text)
    except ValueError:
        return None  # CSV, or a body that the container refused
