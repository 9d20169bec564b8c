"""One build: what was asked, how far it is, and both as AWS describes them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..buildspec.halt import Halt
from ..buildspec.phases import Phases
from .log import BuildLog

if TYPE_CHECKING:
    from ..cloud import Cloud

IN_PROGRESS = "IN_PROGRESS"
_FROM_PROJECT = (
    "source",
    "environment",
    "serviceRole",
    "timeoutInMinutes",
    "queuedTimeoutInMinutes",
    "cache",
    "encryptionKey",
)


@dataclass
class Build:
    """`project` is the project with this build's overrides; `identity` is <project>:<uuid>."""

    identity: str
    arn: str
    number: int
    project: dict[str, Any]
    request: dict[str, Any]
    phases: Phases
    halt: Halt
    log: BuildLog
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    status: str = IN_PROGRESS
    results: dict[str, Any] = field(default_factory=dict)  # members of Build known only later
    initiator: str = "localcloud"

    @property
    def uuid(self) -> str:
        """The part of the identity that names the log stream."""
        return self.identity.rpartition(":")[2]

    @property
    def complete(self) -> bool:
        """Whether nothing more will happen."""
        return self.ended is not None

    def describe(self) -> dict[str, Any]:
        """botocore's Build."""
        project = {key: self.project[key] for key in _FROM_PROJECT if key in self.project}
        version = {"sourceVersion": self.project["sourceVersion"]} if self.project.get("sourceVersion") else {}
        return {
            "id": self.identity,
            "arn": self.arn,
            "buildNumber": self.number,
            "projectName": self.project["name"],
            "startTime": self.started,
            "currentPhase": self.phases.current,
            "buildStatus": self.status,
            "buildComplete": self.complete,
            "phases": self.phases.records(),
            "logs": self.log.location(),
            "initiator": self.initiator,
            "artifacts": {"location": ""},
            **project,
            **version,
            **self.results,
            **({"endTime": self.ended} if self.ended else {}),
        }

    def emit(self, cloud: "Cloud") -> None:
        """Tell the default bus what state the build is in."""
        detail = {
            "build-status": self.status,
            "project-name": self.project["name"],
            "build-id": self.arn,
            "additional-information": _information(self.describe()),
            "current-phase": self.phases.current,
            "current-phase-context": "[: ]",
            "version": "1",
        }
        cloud.emit("aws.codebuild", "CodeBuild Build State Change", detail, [self.arn])


def _information(build: dict[str, Any]) -> dict[str, Any]:
    environment = build["environment"]
    return {
        "artifact": {"location": build["artifacts"]["location"]},
        "environment": {
            "image": environment["image"],
            "privileged-mode": environment.get("privilegedMode", False),
            "compute-type": environment["computeType"],
            "type": environment["type"],
            "environment-variables": environment.get("environmentVariables", []),
        },
        "timeout-in-minutes": build["timeoutInMinutes"],
        "build-complete": build["buildComplete"],
        "build-number": build["buildNumber"],
        "initiator": build["initiator"],
        "build-start-time": _time(build["startTime"]),
        "source": {key: build["source"][key] for key in ("type", "location", "buildspec") if key in build["source"]},
        "logs": {
            name: build["logs"][key]
            for name, key in (("group-name", "groupName"), ("stream-name", "streamName"), ("deep-link", "deepLink"))
            if key in build["logs"]
        },
        "phases": [_phase(record) for record in build["phases"]],
    }


def _phase(record: dict[str, Any]) -> dict[str, Any]:
    ended = {
        "phase-context": [f"{context['statusCode']}: {context['message']}" for context in record.get("contexts", [])],
        "end-time": _time(record["endTime"]),
        "duration-in-seconds": record["durationInSeconds"],
        "phase-status": record["phaseStatus"],
    } if "endTime" in record else {}  # fmt: skip
    return {"start-time": _time(record["startTime"]), "phase-type": record["phaseType"], **ended}


def _time(moment: datetime) -> str:
    """`Nov 21, 2026 6:16:54 AM`, as CodeBuild writes times in events."""
    return f"{moment:%b} {moment.day}, {moment:%Y} {moment.hour % 12 or 12}:{moment:%M:%S %p}"
