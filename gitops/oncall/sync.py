"""Make an environment what git says, now: python -m gitops sync production

Starts the environment's deploy build with the newest source that was pushed, as the hourly repair does, and shows its
log until it is over. The build decides what is left to do; where nothing is, it only asks the golden requests again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.errors import GitopsError
from gitops.events import source

SECONDS = 1.0  # between two looks at a build
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cloud:
    """The clients that are needed, and the bucket that holds the source."""

    s3: Any
    codebuild: Any
    logs: Any
    bucket: str


def sync(cloud: Cloud, build_project: str, say: Say = print) -> bool:
    """Follow a build of the newest source, or the one that is at work; whether it succeeded. Interrupted, it goes on.

    Raises GitopsError if nothing was ever pushed, or there is no such build project.
    """
    build = _start(cloud, build_project, say) or _at_work(cloud, build_project, say)
    status = _followed(cloud, build, say)
    say(f"{build}: {status}")
    return status == "SUCCEEDED"


def _start(cloud: Cloud, build_project: str, say: Say) -> str:
    """The id of a new build; empty if one is at work, for they run one at a time."""
    head = source.head(cloud.s3, cloud.bucket)
    if head is None:
        raise GitopsError(f"s3://{cloud.bucket}/{source.HEAD}: is not there, so nothing was ever pushed; push a commit")
    variables = {"COMMIT": head.sha, "SEQUENCE": str(head.sequence)}
    try:
        started = cloud.codebuild.start_build(
            projectName=build_project,
            sourceLocationOverride=f"{cloud.bucket}/{head.key}",
            environmentVariablesOverride=[
                {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
            ],
        )
    except ClientError as error:
        if aws.code(error) == "AccountLimitExceededException":
            return ""
        if not aws.missing(error):
            raise
        raise GitopsError(f"{build_project}: there is no such build project; deploy infra/, which makes it") from error
    build = str(started["build"]["id"])
    say(f"{build}: begun with {head.sha[:12]}; it goes on if you interrupt this")
    return build


def _at_work(cloud: Cloud, build_project: str, say: Say) -> str:
    build = str(cloud.codebuild.list_builds_for_project(projectName=build_project)["ids"][0])
    say(f"{build}: is at work already; when it is over, sync again if a newer commit came meanwhile")
    return build


def _followed(cloud: Cloud, build: str, say: Say) -> str:
    """How the build ended, once all of its log was said."""
    token: dict[str, str] = {}
    while True:
        found = cloud.codebuild.batch_get_builds(ids=[build])["builds"][0]
        token = _log(cloud.logs, found.get("logs", {}), token, say)
        if found["buildComplete"]:
            return str(found["buildStatus"])
        time.sleep(SECONDS)


def _log(logs: Any, place: dict[str, Any], token: dict[str, str], say: Say) -> dict[str, str]:
    """Say what was written since `token`; the next one."""
    if "streamName" not in place:
        return token  # the build waits for a machine
    names = {"logGroupName": place["groupName"], "logStreamName": place["streamName"]}
    try:
        found = logs.get_log_events(**names, startFromHead=True, **token)
    except ClientError as error:
        if not aws.missing(error):
            raise
        return token  # nothing is written yet
    for event in found["events"]:
        say(f"  {event['message'].rstrip()}")
    return {"nextToken": found["nextForwardToken"]}
