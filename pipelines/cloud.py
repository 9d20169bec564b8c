"""The account a pipeline is compiled for, from the variables that infra/ sets on the CodeBuild project."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.errors import ProjectError
from pipelines.project import Project


@dataclass(frozen=True)
class Images:
    """Addresses of the containers that run training, processing and serving."""

    training: str
    processing: str
    serving: str


@dataclass(frozen=True)
class Cloud:
    """Everything a definition needs to know about the account."""

    account: str
    region: str
    bucket: str
    role_arn: str
    images: Images
    register_function_arn: str


VARIABLES = (
    "ACCOUNT_ID",
    "ARTIFACT_BUCKET",
    "PIPELINE_ROLE_ARN",
    "TRAINING_IMAGE",
    "PROCESSING_IMAGE",
    "SERVING_IMAGE",
    "REGISTER_FUNCTION_ARN",
)


def from_environment(environment: Mapping[str, str], project: Project) -> Cloud:
    """The account named by the variables. Raises ProjectError naming those that are missing."""
    missing = [name for name in VARIABLES if not environment.get(name)]
    if missing:
        raise ProjectError(
            f"environment: {', '.join(missing)} not set; infra/ sets them on the CodeBuild project, "
            "and --dry-run needs none of them"
        )
    return Cloud(
        account=environment["ACCOUNT_ID"],
        region=environment.get("AWS_REGION") or project.region,
        bucket=environment["ARTIFACT_BUCKET"],
        role_arn=environment["PIPELINE_ROLE_ARN"],
        images=Images(environment["TRAINING_IMAGE"], environment["PROCESSING_IMAGE"], environment["SERVING_IMAGE"]),
        register_function_arn=environment["REGISTER_FUNCTION_ARN"],
    )


def placeholder(project: Project) -> Cloud:
    """A made-up account with real-looking names: --dry-run shows the shape without credentials."""
    name, region, account = project.project, project.region, "111122223333"
    registry = f"{account}.dkr.ecr.{region}.amazonaws.com/{name}"
    return Cloud(
        account=account,
        region=region,
        bucket=f"{name}-{account}-{region}",
        role_arn=f"arn:aws:iam::{account}:role/{name}-pipeline",
        images=Images(f"{registry}/training:latest", f"{registry}/processing:latest", f"{registry}/serving:latest"),
        register_function_arn=f"arn:aws:lambda:{region}:{account}:function:{name}-register",
    )


def for_dry_run(environment: Mapping[str, str], project: Project) -> Cloud:
    """The account the variables name, or the placeholder when none of them is set."""
    if any(environment.get(name) for name in VARIABLES):
        return from_environment(environment, project)
    return placeholder(project)
