"""What a handler may ask of the outside: AWS clients, settings of the function, and the time."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

# below API Gateway's 30 s: the caller gets our sentence and requestId, not the gateway's
READ_SECONDS, CONNECT_SECONDS = 8, 2


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Outside:
    """Everything a request is answered with; tests bring their own."""

    runtime: Any  # sagemaker-runtime
    sagemaker: Any
    s3: Any
    endpoint: str
    bucket: str
    clock: Callable[[], datetime] = now


@cache
def outside() -> Outside:
    """The function's own: made at its first request and kept while the process is."""
    return Outside(
        runtime=client("sagemaker-runtime", attempts=1),
        sagemaker=client("sagemaker"),
        s3=client("s3"),
        endpoint=os.environ["ENDPOINT_NAME"],
        bucket=os.environ["BUCKET"],
    )


def client(service: str, attempts: int = 4) -> Any:
    """A client that gives up in time; the region and the address are the runtime's own."""
    retries = {"total_max_attempts": attempts, "mode": "standard"}
    return boto3.client(
        service, config=Config(retries=retries, connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
    )
