"""What CodeBuild remembers, in memory."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..service import CloudError

if TYPE_CHECKING:
    from ..cloud import Cloud
    from .build import Build
    from .reports import Report

PAGE = 100


@dataclass
class State:
    """All projects and builds; whoever changes them holds `lock`."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    projects: dict[str, dict[str, Any]] = field(default_factory=dict)
    builds: dict[str, "Build"] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)  # report groups and reports, by ARN
    reports: dict[str, "Report"] = field(default_factory=dict)
    tokens: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)


def state(cloud: "Cloud") -> State:
    """The one State of this cloud."""
    found: State = cloud.store("codebuild").setdefault("state", State())
    return found


def invalid(message: str) -> CloudError:
    """CodeBuild's answer to a request it does not take."""
    return CloudError("InvalidInputException", message)


def arn(cloud: "Cloud", resource: str) -> str:
    """The ARN of a project or build."""
    return f"arn:aws:codebuild:{cloud.region}:{cloud.account}:{resource}"


def project_named(cloud: "Cloud", name: str) -> dict[str, Any]:
    """A project by its name or ARN; ResourceNotFoundException in AWS's words."""
    found = state(cloud).projects.get(name.rpartition(":project/")[2])
    if found is None:
        raise CloudError("ResourceNotFoundException", f"Project cannot be found: {arn(cloud, f'project/{name}')}")
    return found


def page(items: list[Any], token: str | None, key: str, size: int = PAGE) -> dict[str, Any]:
    """One page of at most 100 items; the token is the position of the next one."""
    try:
        start = int(token or 0)
    except ValueError as error:
        raise invalid(f"Invalid next token: {token}") from error
    more = {"nextToken": str(start + size)} if len(items) > start + size else {}
    return {key: items[start : start + size], **more}
