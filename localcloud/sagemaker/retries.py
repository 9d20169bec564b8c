"""Retry policies of pipeline steps: which failures they match and how long to wait.

https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html
"""

from datetime import timedelta
from typing import Any

from .store import Row

# SageMaker waits IntervalSeconds * BackoffRate ** attempt; localcloud's time runs ten times as fast
SCALE = 10.0
DEFAULT_ATTEMPTS = 5
TYPES = (
    "Step.SERVICE_FAULT",
    "Step.THROTTLING",
    "SageMaker.JOB_INTERNAL_ERROR",
    "SageMaker.CAPACITY_ERROR",
    "SageMaker.RESOURCE_LIMIT",
)
_REASONS = {
    "InternalServerError": "SageMaker.JOB_INTERNAL_ERROR",
    "CapacityError": "SageMaker.CAPACITY_ERROR",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
}
_CODES = {
    "ThrottlingException": "Step.THROTTLING",
    "TooManyRequestsException": "Step.THROTTLING",
    "ResourceLimitExceeded": "SageMaker.RESOURCE_LIMIT",
    "CapacityError": "SageMaker.CAPACITY_ERROR",
}


def check(policies: list[Row]) -> None:
    """ValueError for a policy that SageMaker would refuse, or one that could never apply."""
    for policy in policies:
        unknown = set(policy.get("ExceptionType") or [""]) - set(TYPES)
        if unknown:
            raise ValueError(f"a retry policy's ExceptionType is none of {', '.join(TYPES)}: {min(unknown)!r}")
        if "MaxAttempts" in policy and "ExpireAfterMin" in policy:
            raise ValueError("a retry policy has MaxAttempts or ExpireAfterMin, not both")


def of_call(code: str, status: int) -> str:
    """The exception type of a refused call; empty for one that no policy can name."""
    return _CODES.get(code, "Step.SERVICE_FAULT" if status >= 500 else "")


def of_reason(reason: str) -> str:
    """The exception type of a failed job's FailureReason; empty for one that no policy can name."""
    return _REASONS.get(reason.partition(":")[0], "")


def delay(policies: list[Row], kind: str, attempt: int, spent: timedelta) -> float | None:
    """Seconds until the next attempt after `attempt` failures of this kind; None to give up."""
    policy = next((row for row in policies if kind in row.get("ExceptionType", [])), None)
    if not kind or policy is None:
        return None
    limit: Any = policy.get("ExpireAfterMin")
    late = limit is not None and (not limit or spent * SCALE > timedelta(minutes=limit))
    if late or (limit is None and attempt > policy.get("MaxAttempts", DEFAULT_ATTEMPTS)):
        return None
    seconds: float = policy.get("IntervalSeconds", 1) * policy.get("BackoffRate", 2.0) ** (attempt - 1)
    return seconds / SCALE
