"""From a deploy file to SageMaker's requests: pure, names made from the content they name."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from gitops.deployment import Deployment
from gitops.errors import GitopsError

NAME_LIMIT = 63  # SageMaker's, for models, endpoint configs and endpoints
VARIANT = "main"  # one name for ever: deployment guardrails need the same variant on both sides


@dataclass(frozen=True)
class Place:
    """Whose endpoint, where."""

    project: str
    environment: str
    role_arn: str  # the serving role


@dataclass(frozen=True)
class Spec:
    """Everything reconcile asks of SageMaker for one deploy file."""

    endpoint: str
    digest: str  # of the whole spec; a spec that was rolled back is known by it
    model: dict[str, Any]  # CreateModel
    config: dict[str, Any]  # CreateEndpointConfig
    deployment: dict[str, Any]  # UpdateEndpoint's DeploymentConfig; empty: SageMaker's plain update


def endpoint_name(project: str, model: str, environment: str) -> str:
    """`film-recommender-ncf-staging`; GitopsError if SageMaker would not take it."""
    return _short(f"{project}-{model}-{environment}")


def spec(deployment: Deployment, place: Place, run_id: str) -> Spec:
    """The requests that make `deployment` real; its release must not be null."""
    release = deployment.release
    if release is None:
        raise GitopsError(f"{deployment.model}: release is null, so there is nothing to deploy")
    container = {
        "Image": release.image,
        "ModelDataUrl": release.archive_uri,
        "Environment": {
            "MODEL_NAME": deployment.model,
            "MODEL_VERSION": str(release.version),
            "RUN_ID": run_id,
        },
    }
    model: dict[str, Any] = {
        "PrimaryContainer": container,
        "ExecutionRoleArn": place.role_arn,
        "EnableNetworkIsolation": True,  # an answer needs the archive only, which SageMaker brings
    }
    prefix = f"{place.project}-{deployment.model}"
    # the digest of the archive is in the name though no field of CreateModel carries it
    model["ModelName"] = _short(f"{prefix}-{digest([model, release.archive_sha256])[:12]}")
    serving = deployment.serving
    variant = {
        "VariantName": VARIANT,
        "ModelName": model["ModelName"],
        "InstanceType": serving.instance_type,
        "InitialInstanceCount": serving.instances,
        "InitialVariantWeight": 1.0,
    }
    content = [variant, deployment.rollout.model_dump(mode="json")]
    config = {
        "EndpointConfigName": _short(f"{prefix}-{digest(content)[:12]}"),
        "ProductionVariants": [variant],
    }
    endpoint = endpoint_name(place.project, deployment.model, place.environment)
    rollout = _rollout(deployment)
    whole = [endpoint, model, config, rollout, release.model_dump(), deployment.retry]
    return Spec(endpoint=endpoint, digest=digest(whole), model=model, config=config, deployment=rollout)


def _rollout(deployment: Deployment) -> dict[str, Any]:
    rollout = deployment.rollout
    if not rollout.alarms and not rollout.bake_seconds:
        return {}
    guarded: dict[str, Any] = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": rollout.bake_seconds,  # the old fleet stands by while the alarms watch
        }
    }
    if rollout.alarms:
        guarded["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in rollout.alarms]}
    return guarded


def digest(content: Any) -> str:
    """sha256 of the content as canonical JSON, in hex."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _short(name: str) -> str:
    if len(name) > NAME_LIMIT:
        raise GitopsError(f"{name}: has {len(name)} characters, SageMaker takes {NAME_LIMIT}; shorten the project's")
    return name
