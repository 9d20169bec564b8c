"""The log: one line of JSON for a call that SageMaker marked with an inference id. No user id is ever in it."""

import time

from .answers import dump
from .exchange import Request


def log(request: Request, status: int, variant: str) -> None:
    """Print a call and how it was answered, by the variant unless its own header names one."""
    shown = {
        "requestId": request.request_id,
        "inferenceId": request.text(b"x-amzn-sagemaker-inference-id"),
        "variant": request.text(b"x-amzn-sagemaker-target-variant") or variant,
        "status": status,
        "ms": round((time.perf_counter() - request.started) * 1e3, 3),
    }
    print(dump(shown).decode(), flush=True)
