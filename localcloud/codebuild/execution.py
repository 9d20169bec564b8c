"""Takes one build through its phases, in a thread of its own."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..buildspec.document import BuildspecError
from ..buildspec.model import Buildspec
from ..buildspec.phases import FAILED, FAULT, SUCCEEDED, container_line
from ..buildspec.runner import Outcome, check, run
from ..buildspec.shell import Container
from .artifacts import Upload
from .build import Build
from .environment import environment
from .failure import PhaseError
from .reports import record
from .source import download, read_buildspec

if TYPE_CHECKING:
    from ..cloud import Cloud


def execute(cloud: "Cloud", build: Build) -> None:
    """Run the build to its end, whatever happens; the record always becomes complete."""
    build.log.open()
    build.emit(cloud)
    timer = build.halt.after(build.project["timeoutInMinutes"] * 60)
    folder = cloud.directory / "codebuild" / build.uuid
    status = FAULT
    try:
        build.phases.leave(SUCCEEDED, logged=False)  # QUEUED
        build.phases.through("PROVISIONING")
        status = _phases(cloud, build, folder)
        build.phases.through("FINALIZING")
    finally:
        timer.cancel()
        shutil.rmtree(folder, ignore_errors=True)
        build.phases.enter("COMPLETED")
        with suppress(OSError):  # localcloud may be going away
            build.log.close()
        build.status, build.ended = status, datetime.now(UTC)
        build.emit(cloud)


def _phases(cloud: "Cloud", build: Build, folder: Path) -> str:
    """DOWNLOAD_SOURCE to UPLOAD_ARTIFACTS; returns the build's status."""
    try:
        spec, container = _download_source(cloud, build, folder)
    except (PhaseError, BuildspecError) as error:
        code = error.code if isinstance(error, PhaseError) else "YAML_FILE_ERROR"
        build.phases.leave(FAILED, code, str(error))
        return FAILED
    if build.halt.reason:
        build.phases.leave(build.halt.reason)
        return build.halt.reason
    build.phases.leave(SUCCEEDED)
    outcome = run(spec, container, build.phases)
    exported = [{"name": name, "value": value} for name, value in outcome.exported.items()]
    build.results["exportedEnvironmentVariables"] = exported
    if outcome.built and not _upload_artifacts(cloud, build, spec, container, outcome):
        return FAILED
    return outcome.status


def _download_source(cloud: "Cloud", build: Build, folder: Path) -> tuple[Buildspec, Container]:
    say = build.log
    say(container_line("Running on localcloud"))
    build.phases.enter("DOWNLOAD_SOURCE")
    say(container_line("Phase is DOWNLOAD_SOURCE"))
    source = folder / "src"
    for needed in (source, folder / "tmp"):
        needed.mkdir(parents=True, mode=0o700)
    say(container_line(f"CODEBUILD_SRC_DIR={source}"))
    version = download(cloud, build.project, source)
    if version:
        build.results["resolvedSourceVersion"] = version
    spec = read_buildspec(cloud, build.project["source"], source)
    check(spec)
    say(container_line("Processing environment variables"))
    variables, secrets = environment(cloud, build, spec, source)
    variables["TMPDIR"] = str(folder / "tmp")
    say(container_line(f"Moving to directory {source}"))
    _say_phases(build, spec)
    return spec, Container(source, folder / "shell", variables, say, cloud.processes, build.halt, secrets)


def _say_phases(build: Build, spec: Buildspec) -> None:
    found = {name: phase for name, phase in spec.phases if phase}
    build.log(container_line(f"Phases found in YAML: {len(found)}"))
    for name, phase in found.items():
        build.log(container_line(f" {name.upper()}: {len(phase.commands)} commands"))


def _upload_artifacts(cloud: "Cloud", build: Build, spec: Buildspec, container: Container, outcome: Outcome) -> bool:
    build.phases.enter("UPLOAD_ARTIFACTS")
    try:
        build.results["reportArns"] = record(cloud, build, spec, container)
        build.results |= Upload(cloud, build, container, outcome.names).run(spec.artifacts)
    except PhaseError as error:
        build.phases.leave(FAILED, error.code, str(error))
        return False
    build.phases.leave(SUCCEEDED)
    return True
