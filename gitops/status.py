"""What git asks for and what is live: python -m gitops status"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws, deployment, specs
from gitops.decide import MOVING
from gitops.deployment import Deployment

HEADER = ("environment", "model", "desired", "live", "sync", "health")


@dataclass(frozen=True)
class Row:
    """One model in one environment."""

    environment: str
    model: str
    desired: str  # the release id git has here
    live: str  # the release id the container was told, `unknown` if it was told none
    sync: str  # Synced | OutOfSync | Progressing
    health: str  # Healthy | Progressing | Degraded | Missing


@dataclass(frozen=True)
class Live:
    """What an endpoint serves."""

    status: str
    archive_uri: str
    image: str
    run_id: str
    model: str

    @property
    def release(self) -> str:
        """The release id as the container was told."""
        return f"{self.model}-{self.run_id[:12]}" if self.model and self.run_id else "unknown"


def observe(sagemaker: Any, endpoint: str) -> Live | None:
    """What serves behind the endpoint, by its config and model; None if there is no endpoint."""
    try:
        described = sagemaker.describe_endpoint(EndpointName=endpoint)
        config = sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
        model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    except ClientError as error:
        if aws.missing(error):
            return None
        raise
    container = model["PrimaryContainer"]
    environment = container.get("Environment", {})
    return Live(
        status=described["EndpointStatus"],
        archive_uri=container.get("ModelDataUrl", ""),
        image=container.get("Image", ""),
        run_id=environment.get("RUN_ID", ""),
        model=environment.get("MODEL_NAME", ""),
    )


def row(environment: str, desired: Deployment, live: Live | None) -> Row:
    """Compare: pure. No release and no endpoint is in sync."""
    release = desired.release
    asked = release.id if release else "-"
    if live is None:
        sync, health = ("OutOfSync", "Missing") if release else ("Synced", "Missing")
        return Row(environment, desired.model, asked, "-", sync, health)
    same = release is not None and (release.archive_uri, release.image) == (live.archive_uri, live.image)
    if live.status in MOVING:
        return Row(environment, desired.model, asked, live.release, "Progressing", "Progressing")
    health = "Healthy" if live.status == "InService" else "Degraded"
    return Row(environment, desired.model, asked, live.release, "Synced" if same else "OutOfSync", health)


def rows(sagemaker: Any, root: Path, project: str, environments: Iterable[str]) -> list[Row]:
    """A row for each deploy file of each environment."""
    found = []
    for environment in environments:
        for file in sorted((root / "deploy" / environment).glob("[!_]*.yml")):
            desired = deployment.load(file)
            endpoint = specs.endpoint_name(project, desired.model, environment)
            found.append(row(environment, desired, observe(sagemaker, endpoint)))
    return found


def table(found: Iterable[Row]) -> str:
    """The rows under their names, in columns."""
    lines = [HEADER, *(tuple(asdict(each).values()) for each in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
