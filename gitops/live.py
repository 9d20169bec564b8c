"""What an endpoint serves, and how it is: read from SageMaker, compared with git in status.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.decide import MOVING
from gitops.endpoint import ATTEMPT_DIGEST


@dataclass(frozen=True)
class Live:
    """What an endpoint serves."""

    status: str
    archive_uri: str
    image: str
    run_id: str
    model: str
    traffic: str = ""  # share of each variant, "main 75%, challenger 25%"
    failure: str = ""  # SageMaker's reason for the last thing that failed
    pending: str = ""  # the config that is coming, while it is
    proved: bool = True  # reconcile took its note of the attempt back after the golden requests

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
    try:
        described = sagemaker.describe_endpoint(EndpointName=endpoint)
        config = sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
        model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
        pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=described["EndpointArn"])
        tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
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
        traffic=_traffic(described.get("ProductionVariants", [])),
        failure=described.get("FailureReason", ""),
        pending=described.get("PendingDeploymentSummary", {}).get("EndpointConfigName", ""),
        proved=not tags.get(ATTEMPT_DIGEST),
    )


def _traffic(variants: list[Mapping[str, Any]]) -> str:
    weights = {one["VariantName"]: float(one.get("CurrentWeight", 0.0)) for one in variants}
    whole = sum(weights.values())
    return ", ".join(f"{name} {weight / whole:.0%}" for name, weight in weights.items()) if whole else ""
