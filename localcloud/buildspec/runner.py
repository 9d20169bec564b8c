"""Runs the phases of a buildspec as CodeBuild does: docs/localcloud.md says what is honoured and what is refused."""

import getpass
import platform
from dataclasses import dataclass, field

from .document import BuildspecError
from .model import Buildspec, Phase, parse_on_failure
from .phases import FAILED, SUCCEEDED, Phases, container_line
from .shell import Container, Shell

ORDER = ("install", "pre_build", "build", "post_build")
_SHELLS = {None: "sh", "sh": "sh", "/bin/sh": "/bin/sh", "bash": "bash", "/bin/bash": "/bin/bash"}
_HALTED = {"STOPPED": "Build has been stopped", "TIMED_OUT": "Build has timed out."}


@dataclass(frozen=True)
class Outcome:
    """How the commands ended. `built`: the build phase was reached and nothing aborted, so artifacts are uploaded."""

    status: str
    built: bool
    exported: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(
        default_factory=dict
    )  # text of the buildspec's artifact names -> expanded by the shell


@dataclass(frozen=True)
class _Error:
    code: str
    message: str
    output: str = ""


def check(spec: Buildspec) -> None:
    """Refuse by name what is valid in AWS and cannot be done here; BuildspecError says what would be right."""
    refused: dict[str, tuple[object, str]] = {
        "batch": (spec.batch, "batch builds are not run here; start one build for each"),
        "env.parameter-store": (spec.env.parameter_store, "ssm is not available; use secrets-manager or variables"),
        "env.git-credential-helper": (spec.env.git_credential_helper, "there is no CodeCommit; put it to no"),
        "proxy": (spec.proxy and (spec.proxy.logs or spec.proxy.upload_artifacts), "there is no proxy; put it to no"),
    }
    for group, report in spec.reports.items():
        other = report.file_format != "JUNITXML"
        refused[f"reports.{group}.file-format {report.file_format}"] = (other, "write the results as JUNITXML")
    for key, (value, remedy) in refused.items():
        if value:
            raise BuildspecError(f"{key}: localcloud does not support it: {remedy}")
    if spec.env.shell not in _SHELLS:
        raise BuildspecError(f"env.shell: {spec.env.shell} is a shell of Windows; use sh or bash")
    users = {spec.run_as} | {phase.run_as for _, phase in _phases(spec) if phase}
    for user in users - {None, getpass.getuser()}:
        raise BuildspecError(f"run-as: localcloud runs every command as {getpass.getuser()}, not as {user}; remove it")


def run(spec: Buildspec, container: Container, phases: Phases) -> Outcome:
    """Run install, pre_build, build and post_build in `container.source`; `phases` grows while they run."""
    check(spec)
    status, built = SUCCEEDED, False
    with Shell(container, _SHELLS[spec.env.shell]) as shell:
        for name, phase in _phases(spec):
            built = built or name == "build"
            succeeded = _Run(shell, container, phases).phase(name, phase or Phase())
            if container.halt.reason:
                return Outcome(container.halt.reason, built=False)
            if not succeeded:
                status = FAILED
                shell.export("CODEBUILD_BUILD_SUCCEEDING", "0")
                if not _goes_on(name, phase):
                    built = built and not _aborts(phase)
                    break
        values = shell.values(spec.env.exported_variables) if spec.env.exported_variables else {}
        names = {text: shell.expand(text) for text in _artifact_names(spec)}
    return Outcome(status, built, {name: container.mask(value) for name, value in values.items()}, names)


def _artifact_names(spec: Buildspec) -> set[str]:
    artifacts = [spec.artifacts, *spec.artifacts.secondary_artifacts.values()] if spec.artifacts else []
    return {text for artifact in artifacts for text in (artifact.name, artifact.s3_prefix) if text}


def _phases(spec: Buildspec) -> list[tuple[str, Phase | None]]:
    return [(name, getattr(spec.phases, name)) for name in ORDER]


def _aborts(phase: Phase | None) -> bool:
    return bool(phase and phase.on_failure == "ABORT")


def _goes_on(name: str, phase: Phase | None) -> bool:
    """After a failed phase: CONTINUE and ABORT say so; otherwise only a failed build is followed by post_build."""
    if phase and phase.on_failure in ("ABORT", "CONTINUE"):
        return phase.on_failure == "CONTINUE"
    return name == "build"


class _Run:
    """One phase in one shell."""

    def __init__(self, shell: Shell, container: Container, phases: Phases) -> None:
        self._shell = shell
        self._container = container
        self._phases = phases

    def phase(self, name: str, phase: Phase) -> bool:
        """All attempts at a phase; True if the last one succeeded."""
        self._phases.enter(name.upper())
        self._say(f"Entering phase {name.upper()}")
        for runtime, version in getattr(phase, "runtime_versions", {}).items():
            has = f" (python here is {platform.python_version()})" if runtime == "python" else ""
            self._say(f"runtime-versions {runtime}: {version} is not selected: builds run in localcloud's own{has}")
        failure = parse_on_failure(phase.on_failure or "ABORT")
        error = self._attempt(phase)
        for attempt in range(1, failure.retries + 1):
            if (
                not error
                or self._container.halt.reason
                or not failure.pattern.search(f"{error.message}\n{error.output}")
            ):
                break
            self._say(f"Phase {name.upper()} failed: {error.message}. Retry {attempt} of {failure.retries}")
            error = self._attempt(phase)
        return self._end(error)

    def _end(self, error: _Error | None) -> bool:
        halted = self._container.halt.reason
        if halted:
            self._phases.leave(halted, f"BUILD_{halted}", _HALTED[halted])
        elif error:
            self._phases.leave(FAILED, error.code, error.message)
        else:
            self._phases.leave(SUCCEEDED)
        return not halted and not error

    def _attempt(self, phase: Phase) -> _Error | None:
        error = self._commands(phase.commands)
        last = self._commands(phase.finally_)  # always, and its own failure counts too
        return error or last

    def _commands(self, commands: tuple[str, ...]) -> _Error | None:
        for command in commands:
            if self._container.halt.reason:
                return None
            self._say(f"Running command {command}")
            status = self._shell.run(command)
            if status and not self._container.halt.reason:
                reason = f"exit status {status}" if status > 0 else f"signal: {-status}"
                self._say(f"Command did not exit successfully {command} {reason}")
                message = f"Error while executing command: {command}. Reason: {reason}"
                return _Error("COMMAND_EXECUTION_ERROR", self._container.mask(message), self._shell.tail)
        return None

    def _say(self, text: str) -> None:
        self._container.say(container_line(text))
