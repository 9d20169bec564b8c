"""Step caching: the attributes SageMaker compares, and how long a result may be used."""

import hashlib
import json
import re
from datetime import datetime, timedelta
from typing import Any

from .store import Row

# https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-default-keys.html; other types are never cached
ATTRIBUTES = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": (
        "AlgorithmSpecification",
        "CheckpointConfig",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "Environment",
        "HyperParameters",
        "InputDataConfig",
    ),
    "Transform": ("DataProcessing", "Environment", "ModelName", "TransformInput"),
    "Tuning": (
        "HyperParameterTuningJobConfig",
        "TrainingJobDefinition.AlgorithmSpecification",
        "TrainingJobDefinition.HyperParameterRanges",
        "TrainingJobDefinition.InputDataConfig",
        "TrainingJobDefinition.StaticHyperParameters",
        "TrainingJobDefinition.TuningObjective",
        "TrainingJobDefinitions",
    ),
}
_DURATION = re.compile(
    r"P?(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.IGNORECASE,
)
_DAYS = {"years": 365, "months": 30, "weeks": 7, "days": 1}


def key(step: Row, arguments: dict[str, Any]) -> str | None:
    """The digest of what must be equal for a result to be used again; None if the step is not to be cached."""
    if step["Type"] not in ATTRIBUTES or not (step.get("CacheConfig") or {}).get("Enabled"):
        return None
    compared = {name: _member(arguments, name) for name in ATTRIBUTES[step["Type"]]}
    return hashlib.sha256(json.dumps(compared, sort_keys=True, default=str).encode()).hexdigest()


def _member(arguments: dict[str, Any], name: str) -> Any:
    outer, _, inner = name.partition(".")
    found = arguments.get(outer)
    return found.get(inner) if inner and found else found


def expired(step: Row, finished: datetime, moment: datetime) -> bool:
    """Whether a result is older than the step's ExpireAfter (none: never too old)."""
    lifetime = duration(str(step["CacheConfig"].get("ExpireAfter") or ""))
    return lifetime is not None and moment - finished > lifetime


def duration(text: str) -> timedelta | None:
    """An ISO 8601 duration such as P30D, T16m or 30dT5h; None for an empty text, ValueError for another."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"ExpireAfter {text!r} is not an ISO 8601 duration such as P30D or PT1H")
    parts = {name: int(number) for name, number in match.groupdict().items() if number}
    if not parts:
        return None
    days = sum(parts.pop(name, 0) * days for name, days in _DAYS.items())
    return timedelta(days=days, **parts)
