"""What the environment tells this program; read once, in __main__."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitops.errors import GitopsError


@dataclass(frozen=True)
class Settings:
    """The variables infra/template.yml sets on the CodeBuild projects; empty where unset."""

    bucket: str = ""
    manifest: str = ""  # key of an uploaded manifest; the rule that started this build says it
    bus: str = ""
    region: str = ""
    git_url: str = ""
    git_token: str = field(default="", repr=False)  # never shown, not even in a repr
    commit: str = ""
    serving_role_arn: str = ""
    build: str = ""  # which build this is, for the others


def read(environ: Mapping[str, str]) -> Settings:
    """The settings in `environ`."""
    return Settings(
        bucket=environ.get("ARTIFACT_BUCKET", ""),
        manifest=environ.get("MANIFEST", ""),
        bus=environ.get("EVENT_BUS", ""),
        region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION", ""),
        git_url=environ.get("GIT_URL", ""),
        git_token=environ.get("GIT_TOKEN", ""),
        commit=environ.get("COMMIT", ""),
        serving_role_arn=environ.get("SERVING_ROLE_ARN", ""),
        build=environ.get("CODEBUILD_BUILD_ID") or f"{socket.gethostname()}:{os.getpid()}",
    )


def required(value: str, name: str) -> str:
    """`value`, or an error that names the environment variable it should have come from."""
    if not value:
        raise GitopsError(f"{name}: is not set; infra/template.yml sets it on the CodeBuild project that runs this")
    return value
