"""The variables a build sees. StartBuild overrides win over the project's, those over the buildspec's."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ..buildspec.model import Buildspec
from .build import Build
from .failure import PhaseError

if TYPE_CHECKING:
    from ..cloud import Cloud

SECRETS = "SECRETS_MANAGER"


def environment(cloud: "Cloud", build: Build, spec: Buildspec, source: Path) -> tuple[dict[str, str], frozenset[str]]:
    """All variables, and the values of those that are secret; PhaseError if a secret cannot be read."""
    given: dict[str, tuple[str, str]] = {name: ("PLAINTEXT", value) for name, value in spec.env.variables.items()}
    given |= {name: (SECRETS, reference) for name, reference in spec.env.secrets_manager.items()}
    for variable in build.project["environment"]["environmentVariables"]:
        given[variable["name"]] = (variable.get("type", "PLAINTEXT"), variable["value"])
    read = {name: _secret(cloud, value) for name, (kind, value) in given.items() if kind == SECRETS}
    plain = {name: value for name, (kind, value) in given.items() if kind != SECRETS}
    variables = cloud.environment() | plain | read | _own(cloud, build, source)
    return variables, frozenset(value for value in read.values() if value.strip())


def _own(cloud: "Cloud", build: Build, source: Path) -> dict[str, str]:
    """What CodeBuild itself sets."""
    project = build.project
    return {
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_REGION": cloud.region,
        "CI": "true",
        "CODEBUILD_BUILD_ARN": build.arn,
        "CODEBUILD_BUILD_ID": build.identity,
        "CODEBUILD_BUILD_IMAGE": project["environment"]["image"],
        "CODEBUILD_BUILD_NUMBER": str(build.number),
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "CODEBUILD_INITIATOR": build.initiator,
        "CODEBUILD_KMS_KEY_ID": project["encryptionKey"],
        "CODEBUILD_LAST_EXIT": "0",
        "CODEBUILD_LOG_PATH": build.log.stream,
        "CODEBUILD_PROJECT_ARN": project["arn"],
        "CODEBUILD_RESOLVED_SOURCE_VERSION": build.results.get("resolvedSourceVersion", ""),
        "CODEBUILD_SOURCE_REPO_URL": project["source"].get("location", ""),
        "CODEBUILD_SOURCE_VERSION": project.get("sourceVersion", ""),
        "CODEBUILD_SRC_DIR": str(source),
        "CODEBUILD_START_TIME": str(int(build.started.timestamp() * 1000)),
    }


def _secret(cloud: "Cloud", reference: str) -> str:
    """The value of `secret-id[:json-key[:version-stage[:version-id]]]`; the id may be an ARN."""
    identity, key, stage, version = split_reference(reference)
    wanted: dict[str, Any] = {"SecretId": identity}
    wanted |= {"VersionStage": stage} if stage else {}
    wanted |= {"VersionId": version} if version else {}
    try:
        value: str = cloud.client("secretsmanager").get_secret_value(**wanted)["SecretString"]
    except (ClientError, KeyError) as error:
        reason = error if isinstance(error, ClientError) else "the secret is binary; store text"
        raise PhaseError("Secrets Manager Error Message", f"{identity}: {reason}") from error
    if not key:
        return value
    try:
        found = json.loads(value)[key]
    except (ValueError, KeyError, TypeError) as error:
        raise PhaseError("Secrets Manager Error Message", f"{identity}: not JSON with the key {key}") from error
    return found if isinstance(found, str) else json.dumps(found)


def split_reference(reference: str) -> tuple[str, str, str, str]:
    """secret id, JSON key, version stage, version id; what is not given is empty."""
    words = reference.split(":")
    length = 7 if reference.startswith("arn:") else 1
    rest = [*words[length:], "", "", ""]
    return ":".join(words[:length]), rest[0], rest[1], rest[2]
