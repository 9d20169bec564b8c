"""What the container is told by its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .trust import Trust, read_trust

MAX_WORKERS = 64
MAX_THREADS = 16


class SettingsError(Exception):
    """What is wrong with the environment; nothing is started."""


@dataclass(frozen=True)
class Settings:
    """Where the model is, which release it is (the archive itself does not know), and how much is let in."""

    model_dir: Path
    port: int
    model_name: str
    model_version: str
    run_id: str
    variant: str = "main"
    multi_model: bool = False
    workers: int = 1
    threads: int = 2  # that compute answers, in each worker
    max_calls: int = 256  # being read, waiting or computed, in each worker; each holds at most one body
    body_seconds: int = 10  # for a whole body to arrive
    cache_bytes: int = 2**30  # of models, in multi-model mode
    trust: Trust = field(default_factory=Trust)


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read SageMaker's variables and those of CreateModel's Environment. Raises SettingsError."""
    root = Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    multi_model = environment.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true"
    workers = whole(environment, "SAGEMAKER_MODEL_SERVER_WORKERS", 1, MAX_WORKERS)
    if multi_model and workers > 1:
        message = (
            "SAGEMAKER_MODEL_SERVER_WORKERS: more than 1; a multi-model container has one worker, which holds them"
        )
        raise SettingsError(message)
    if multi_model and environment.get("MANIFEST_SHA256"):
        raise SettingsError(
            "MANIFEST_SHA256: names one model; with SAGEMAKER_MULTI_MODEL only MODEL_PUBLIC_KEY is right"
        )
    cores = min(MAX_THREADS, max(1, len(os.sched_getaffinity(0)) // workers))
    try:
        trust = read_trust(environment)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return Settings(
        model_dir=root / "model",
        port=whole(environment, "SAGEMAKER_BIND_TO_PORT", 8080, 65535),
        model_name=environment.get("MODEL_NAME", ""),
        model_version=environment.get("MODEL_VERSION", ""),
        run_id=environment.get("RUN_ID", ""),
        variant=environment.get("VARIANT_NAME") or "main",
        multi_model=multi_model,
        workers=workers,
        threads=whole(environment, "MODEL_THREADS", cores, MAX_THREADS),
        max_calls=whole(environment, "MAX_CALLS", 256, 100_000),
        body_seconds=whole(environment, "BODY_SECONDS", 10, 3600),
        cache_bytes=whole(environment, "MODEL_CACHE_BYTES", 2**30, 2**50),
        trust=trust,
    )


def whole(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A variable that is a whole number from 1 to `most`; unset or empty is the default."""
    said = environment.get(name) or str(default)
    if not (said.isascii() and said.isdigit() and len(said) < 20 and 1 <= int(said) <= most):
        raise SettingsError(f"{name}: {said[:40]!r} is not a whole number from 1 to {most}")
    return int(said)
