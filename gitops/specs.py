"""From a deploy file to SageMaker's requests: pure, names made from the content they name."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitops import aws
from gitops.deployment import VARIANT, Deployment, Release
from gitops.errors import GitopsError
from gitops.rollout import deployment_config

NAME_LIMIT = 63  # SageMaker's, for models, endpoint configs and endpoints
CAPTURE_PREFIX = "capture"  # of the bucket that holds the archives; SageMaker adds endpoint, variant and hour

TOLD = {"instance_type": "InstanceType", "instances": "InitialInstanceCount"}  # of each variant of an endpoint config


@dataclass(frozen=True)
class Place:
    """Whose endpoint, where."""

    project: str
    environment: str
    role_arn: str  # the serving role


@dataclass(frozen=True)
class Facts:
    """What a deploy file does not say of a release: its package and its archive do."""

    run_id: str
    manifest_sha256: str  # holds the digest of every other file, so the container checks all of them by it


@dataclass(frozen=True)
class Spec:
    """Everything reconcile asks of SageMaker for one deploy file."""

    endpoint: str
    digest: str  # of the whole spec; a spec that was rolled back is known by it
    models: tuple[dict[str, Any], ...]  # CreateModel, one for each variant
    config: dict[str, Any]  # CreateEndpointConfig
    deployment: dict[str, Any]  # UpdateEndpoint's DeploymentConfig; empty: SageMaker's plain update


def endpoint_name(project: str, model: str, environment: str) -> str:
    """`film-recommender-ncf-staging`; GitopsError if SageMaker would not take it."""
    return _short(f"{project}-{model}-{environment}")


def spec(deployment: Deployment, place: Place, facts: Mapping[str, Facts]) -> Spec:
    """The requests that make `deployment` real; its release must not be null. `facts` by release id."""
    if deployment.release is None:
        raise GitopsError(f"{deployment.model}: release is null, so there is nothing to deploy")
    prefix = f"{place.project}-{deployment.model}"
    models = {
        variant: _model(deployment, variant, facts[release.id], place)
        for variant, release in deployment.releases.items()
    }
    config = _config(deployment, {variant: model["ModelName"] for variant, model in models.items()})
    config["EndpointConfigName"] = _short(f"{prefix}-{digest(config)[:12]}")
    endpoint = endpoint_name(place.project, deployment.model, place.environment)
    rollout = deployment_config(deployment.rollout)
    releases = [release.model_dump() for release in deployment.releases.values()]
    whole = [endpoint, list(models.values()), config, rollout, releases, deployment.retry]
    return Spec(endpoint, digest(whole), tuple(models.values()), config, rollout)


def models_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Each variant's model in an endpoint config, shadow variants too."""
    variants = [*config.get("ProductionVariants", ()), *config.get("ShadowProductionVariants", ())]
    return {variant["VariantName"]: variant["ModelName"] for variant in variants}


def asked(deployment: Deployment) -> dict[str, Any]:
    """What `deployment` asks of its endpoint, flat and without made-up names: `main.instances` and the like."""
    releases = deployment.releases
    containers = {name: (release.archive_uri, release.image) for name, release in releases.items()}
    return told(_config(deployment, dict.fromkeys(releases, "")), containers)


def told(config: Mapping[str, Any], containers: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """The same of an endpoint config and the (archive URI, image) of each variant's model."""
    found: dict[str, Any] = {"capture": config.get("DataCaptureConfig", {}).get("InitialSamplingPercentage")}
    for variant in [*config.get("ProductionVariants", ()), *config.get("ShadowProductionVariants", ())]:
        name = variant["VariantName"]
        found[f"{name}.archive"], found[f"{name}.image"] = containers.get(name, ("", ""))
        found |= {f"{name}.{word}": variant.get(key) for word, key in TOLD.items()}
        found[f"{name}.weight"] = round(variant.get("InitialVariantWeight", 0.0), 4)  # SageMaker's is a 32 bit float
    return found


def guards(spec: Spec, live: Mapping[str, Any]) -> dict[str, Any]:
    """The DeploymentConfig to send when `live`, an endpoint config, serves; empty where guardrails would not hold.

    They need the same variants on both sides. Where only a challenger or a shadow comes or goes, the main variant
    stays as it is and nothing is lost without them. GitopsError if the main variant changes too: SageMaker would
    quietly shift everything at once.
    """
    before, after = models_of(live), models_of(spec.config)
    if not spec.deployment or before.keys() == after.keys():
        return spec.deployment
    if before.get(VARIANT) == after[VARIANT]:
        return {}
    raise GitopsError(
        f"{spec.endpoint}: variants change from {', '.join(before)} to {', '.join(after)} together with the release, "
        "and then no rollout is watched; change one of them at a time"
    )


def _model(deployment: Deployment, variant: str, facts: Facts, place: Place) -> dict[str, Any]:
    release, name = deployment.releases[variant], deployment.model
    environment = {
        "MODEL_NAME": name,
        "MODEL_VERSION": str(release.version),
        "RUN_ID": facts.run_id,
        "MANIFEST_SHA256": facts.manifest_sha256,
        "VARIANT_NAME": variant,
    }
    if deployment.verify.public_key:
        environment["MODEL_PUBLIC_KEY"] = deployment.verify.public_key
    model: dict[str, Any] = {
        "PrimaryContainer": {"Image": release.image, "ModelDataUrl": release.archive_uri, "Environment": environment},
        "ExecutionRoleArn": place.role_arn,
        "EnableNetworkIsolation": True,  # an answer needs the archive only, which SageMaker brings
    }
    # the digest of the archive is in the name though no field of CreateModel carries it
    content = digest([model, release.archive_sha256])[:12]
    return {**model, "ModelName": _short(f"{place.project}-{name}-{content}")}


def _config(deployment: Deployment, models: Mapping[str, str]) -> dict[str, Any]:
    """CreateEndpointConfig without its name."""
    serving, challenger, shadow = deployment.serving, deployment.challenger, deployment.shadow

    def variant(name: str, instances: int, weight: float) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": models[name],
            "InstanceType": serving.instance_type,
            "InitialInstanceCount": instances,
            "InitialVariantWeight": weight,
        }

    share = challenger.share if challenger else 0.0
    config: dict[str, Any] = {"ProductionVariants": [variant(VARIANT, serving.instances, round(1 - share, 6))]}
    if challenger:
        config["ProductionVariants"].append(variant("challenger", challenger.instances, share))
    if shadow:
        config["ShadowProductionVariants"] = [variant("shadow", shadow.instances, shadow.share)]
    if deployment.capture and deployment.release:
        config["DataCaptureConfig"] = _capture(deployment.capture.sampling_percent, deployment.release)
    return config


def _capture(percent: int, release: Release) -> dict[str, Any]:
    bucket, _ = aws.split_uri(release.archive_uri)
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": percent,
        "DestinationS3Uri": f"s3://{bucket}/{CAPTURE_PREFIX}",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
    }


def digest(content: Any) -> str:
    """sha256 of the content as canonical JSON, in hex."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _short(name: str) -> str:
    if len(name) > NAME_LIMIT:
        raise GitopsError(f"{name}: has {len(name)} characters, SageMaker takes {NAME_LIMIT}; shorten the project's")
    return name
