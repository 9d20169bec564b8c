"""What an endpoint serves, and how it is: read from SageMaker, compared with git in status.py."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws, specs
from gitops.delivery.capacity import Drift, drift
from gitops.delivery.decide import MOVING
from gitops.delivery.endpoint import ATTEMPT_DIGEST, VERIFIED_CONFIG, VERIFIED_P99
from gitops.errors import GitopsError

WAIT_SECONDS = 1800.0
NOTES = "gitops:"  # what the tags begin with that reconcile leaves on an endpoint
Say = Callable[[str], None]


@dataclass(frozen=True)
class Live:
    """What an endpoint serves."""

    status: str
    told: Mapping[str, Any]  # what its config asks for, as specs.told has it
    run_id: str
    model: str
    traffic: str = ""  # share of each variant, "main 75%, challenger 25%"
    failure: str = ""  # SageMaker's reason for the last thing that failed
    pending: str = ""  # the config that is coming, while it is
    config: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)  # the tags that reconcile left
    drift: tuple[Drift, ...] = ()  # what a hand, or scaling, has changed without another config

    @property
    def proved(self) -> bool:
        """True if reconcile took its note of the attempt back, which it does after the golden requests."""
        return not self.notes.get(ATTEMPT_DIGEST)

    @property
    def p99_ms(self) -> str:
        """What its golden requests took when this very config was verified; empty where that is not noted."""
        same = bool(self.config) and self.notes.get(VERIFIED_CONFIG) == self.config
        return self.notes.get(VERIFIED_P99, "") if same else ""

    @property
    def release(self) -> str:
        """The release id as the container was told."""
        return f"{self.model}-{self.run_id[:12]}" if self.model and self.run_id else "unknown"

    @property
    def reason(self) -> str:
        """Why it is not simply well; empty if it is."""
        if self.status in MOVING:
            return f"{self.status}: {self.pending or 'see its events'}"
        if self.failure:
            return f"{self.status}: {self.failure}"
        if self.status != "InService":
            return self.status
        return "" if self.proved else "the last deployment was rolled back or did not prove itself; see its build's log"


def observe(sagemaker: Any, endpoint: str) -> Live | None:
    """What serves behind the endpoint, by its config and model; None if there is no endpoint."""
    described = _found(sagemaker.describe_endpoint, EndpointName=endpoint)
    if not described:
        return None
    config = _found(sagemaker.describe_endpoint_config, EndpointConfigName=described["EndpointConfigName"])
    containers = {name: _container(sagemaker, model) for name, model in specs.models_of(config).items()}
    served = {name: (one.get("ModelDataUrl", ""), one.get("Image", "")) for name, one in containers.items()}
    environment = next(iter(containers.values()), {}).get("Environment", {})
    return Live(
        status=described["EndpointStatus"],
        told=specs.told(config, served),
        run_id=environment.get("RUN_ID", ""),
        model=environment.get("MODEL_NAME", ""),
        traffic=_traffic(described.get("ProductionVariants", [])),
        failure=described.get("FailureReason", ""),
        pending=described.get("PendingDeploymentSummary", {}).get("EndpointConfigName", ""),
        config=described["EndpointConfigName"],
        notes=_notes(sagemaker, described["EndpointArn"]),
        drift=_drift(config, described),
    )


def _drift(config: Mapping[str, Any], described: Mapping[str, Any]) -> tuple[Drift, ...]:
    if not config or described["EndpointStatus"] != "InService":
        return ()  # on its way an endpoint has the variants of two configs
    variants = [*described.get("ProductionVariants", []), *described.get("ShadowProductionVariants", [])]
    return tuple(drift(config, variants, ()))


def _container(sagemaker: Any, model: str) -> dict[str, Any]:
    found: dict[str, Any] = _found(sagemaker.describe_model, ModelName=model).get("PrimaryContainer", {})
    return found


def wait(sagemaker: Any, endpoint: str, say: Say) -> Live | None:
    """Look until the endpoint rests, and say each new state; GitopsError after WAIT_SECONDS."""
    deadline, pause, last = time.monotonic() + WAIT_SECONDS, 0.1, ""
    while True:
        found = observe(sagemaker, endpoint)
        status = found.status if found else "gone"
        if status != last:
            say(f"{endpoint}: {status}")
            last = status
        if status not in MOVING:
            return found
        if time.monotonic() > deadline:
            raise GitopsError(f"{endpoint}: still {status} after {WAIT_SECONDS / 60:.0f} minutes; look again later")
        time.sleep(pause)
        pause = min(pause * 1.3, 15.0)


def _found(describe: Callable[..., Any], **name: str) -> dict[str, Any]:
    """What SageMaker says of it; empty if there is none, which for a config in use is somebody's mistake."""
    try:
        return dict(describe(**name))
    except ClientError as error:
        if aws.missing(error):
            return {}
        raise


def _notes(sagemaker: Any, arn: str) -> dict[str, str]:
    """The tags of reconcile; none of an endpoint that has gone since it was described."""
    try:
        pages = list(sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn))
    except ClientError as error:
        if aws.missing(error) or "not found" in aws.message(error).lower():
            return {}
        raise
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"] if tag["Key"].startswith(NOTES)}


def _traffic(variants: list[Mapping[str, Any]]) -> str:
    weights = {one["VariantName"]: float(one.get("CurrentWeight", 0.0)) for one in variants}
    whole = sum(weights.values())
    return ", ".join(f"{name} {weight / whole:.0%}" for name, weight in weights.items()) if whole else ""
