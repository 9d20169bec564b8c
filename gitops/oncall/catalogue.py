"""The endpoint configs and models of this project that SageMaker holds, and which endpoints use them."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.deployment import Release


@dataclass(frozen=True)
class Config:
    """One endpoint config and what it serves."""

    name: str
    created: dt.datetime
    models: tuple[str, ...]  # of all variants, the main one first
    archives: frozenset[tuple[str, str]]  # (archive URI, image) of each of its models that still exist
    main: tuple[str, str] | None  # of the main variant; None if its model is gone

    def serves(self, release: Release) -> bool:
        """True if the main variant serves exactly this release."""
        return self.main == (release.archive_uri, release.image)


def configs(sagemaker: Any, prefix: str) -> list[Config]:
    """Every endpoint config whose name begins with `prefix`, newest first."""
    found = []
    for summary in _listed(sagemaker, "endpoint_configs", "EndpointConfigs", prefix):
        name = summary["EndpointConfigName"]
        if not name.startswith(prefix):
            continue
        try:
            described = sagemaker.describe_endpoint_config(EndpointConfigName=name)
        except ClientError as error:
            if aws.missing(error):
                continue  # deleted since it was listed
            raise
        variants = described["ProductionVariants"] + described.get("ShadowProductionVariants", [])
        models = tuple(variant["ModelName"] for variant in variants)
        served = [_archive(sagemaker, model) for model in models]
        archives = frozenset(archive for archive in served if archive)
        found.append(Config(name, summary["CreationTime"], models, archives, served[0]))
    return found


def models(sagemaker: Any, prefix: str) -> dict[str, dt.datetime]:
    """Every model whose name begins with `prefix`, and when it was made."""
    listed = _listed(sagemaker, "models", "Models", prefix)
    return {one["ModelName"]: one["CreationTime"] for one in listed if one["ModelName"].startswith(prefix)}


def in_use(sagemaker: Any, prefix: str) -> dict[str, str]:
    """Config name -> the endpoints that serve it, or that it is coming to, of every endpoint of the project."""
    found: dict[str, str] = {}
    for one in _listed(sagemaker, "endpoints", "Endpoints", prefix):
        if not one["EndpointName"].startswith(prefix):
            continue
        described = sagemaker.describe_endpoint(EndpointName=one["EndpointName"])
        pending = described.get("PendingDeploymentSummary", {}).get("EndpointConfigName", "")
        for name in {described.get("EndpointConfigName", ""), pending} - {""}:
            found[name] = ", ".join(filter(None, (found.get(name), one["EndpointName"])))
    return found


def _listed(sagemaker: Any, what: str, key: str, prefix: str) -> Iterator[dict[str, Any]]:
    pages = sagemaker.get_paginator(f"list_{what}").paginate(
        NameContains=prefix, SortBy="CreationTime", SortOrder="Descending"
    )
    for page in pages:
        yield from page[key]


def _archive(sagemaker: Any, model: str) -> tuple[str, str] | None:
    try:
        container = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    except ClientError as error:
        if aws.missing(error):
            return None
        raise
    return container.get("ModelDataUrl", ""), container.get("Image", "")
