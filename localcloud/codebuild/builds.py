"""StartBuild and what is asked about builds."""

from copy import deepcopy
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..buildspec.halt import Halt
from ..buildspec.phases import STOPPED, Phases
from ..service import CloudError
from .build import Build
from .execution import execute
from .log import BuildLog
from .projects import validate, validate_variables
from .state import arn, invalid, page, project_named, state

if TYPE_CHECKING:
    from ..cloud import Cloud

OVERRIDES = {  # what StartBuild may override, and where that stands in a project
    "artifactsOverride": ("artifacts",),
    "buildspecOverride": ("source", "buildspec"),
    "cacheOverride": ("cache",),
    "computeTypeOverride": ("environment", "computeType"),
    "encryptionKeyOverride": ("encryptionKey",),
    "environmentTypeOverride": ("environment", "type"),
    "imageOverride": ("environment", "image"),
    "logsConfigOverride": ("logsConfig",),
    "privilegedModeOverride": ("environment", "privilegedMode"),
    "queuedTimeoutInMinutesOverride": ("queuedTimeoutInMinutes",),
    "secondaryArtifactsOverride": ("secondaryArtifacts",),
    "serviceRoleOverride": ("serviceRole",),
    "sourceLocationOverride": ("source", "location"),
    "sourceTypeOverride": ("source", "type"),
    "sourceVersion": ("sourceVersion",),
    "timeoutInMinutesOverride": ("timeoutInMinutes",),
}
_OTHERS = {"projectName", "idempotencyToken", "environmentVariablesOverride"}


def start_build(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """StartBuild: the same idempotencyToken gives the same build."""
    for member in sorted(set(request) - set(OVERRIDES) - _OTHERS):
        raise invalid(f"localcloud does not support {member} of StartBuild; leave it out")
    known = state(cloud)
    token = request.get("idempotencyToken")
    with known.lock:
        if token in known.tokens:
            return _same(cloud, request)
        project = _overridden(project_named(cloud, request["projectName"]), request)
        _check(cloud, project)
        build = _new(cloud, project, request)
        known.builds[build.identity] = build
        if token:
            known.tokens[token] = (request, build.identity)
    build.phases.through("SUBMITTED")
    build.phases.enter("QUEUED")
    answer = {"build": build.describe()}
    cloud.spawn(lambda: execute(cloud, build), f"build-{build.identity}")
    return answer


def retry_build(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """RetryBuild: the request of a build that is complete, once more."""
    build = _build(cloud, request.get("id", ""))
    if not build.complete:
        raise invalid(f"Build {build.identity} is still in progress")
    token = {"idempotencyToken": request["idempotencyToken"]} if request.get("idempotencyToken") else {}
    again = {key: value for key, value in build.request.items() if key != "idempotencyToken"}
    return start_build(cloud, again | token)


def stop_build(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """StopBuild: ends the command that runs, and what it started."""
    build = _build(cloud, request["id"])
    build.halt.request(STOPPED)
    return {"build": build.describe()}


def batch_get_builds(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """BatchGetBuilds, by id or ARN."""
    builds = state(cloud).builds
    names = {asked: asked.rpartition(":build/")[2] for asked in request["ids"]}
    return {
        "builds": [builds[name].describe() for name in names.values() if name in builds],
        "buildsNotFound": [asked for asked, name in names.items() if name not in builds],
    }


def list_builds(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """ListBuilds: newest first unless ASCENDING is asked for."""
    return page(_ordered(list(state(cloud).builds), request), request.get("nextToken"), "ids")


def list_builds_for_project(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """ListBuildsForProject."""
    name = project_named(cloud, request["projectName"])["name"]
    builds = list(state(cloud).builds.values())
    ids = [build.identity for build in builds if build.project["name"] == name]
    return page(_ordered(ids, request), request.get("nextToken"), "ids")


def _ordered(ids: list[str], request: dict[str, Any]) -> list[str]:
    return ids if request.get("sortOrder") == "ASCENDING" else ids[::-1]


def _build(cloud: "Cloud", identity: str) -> Build:
    found = state(cloud).builds.get(identity.rpartition(":build/")[2])
    if found is None:
        raise CloudError("ResourceNotFoundException", f"Build cannot be found: {identity}")
    return found


def _same(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    known = state(cloud)
    before, identity = known.tokens[request["idempotencyToken"]]
    if before != request:
        raise invalid("Parameters mismatch: this idempotencyToken started a build with other parameters")
    return {"build": _build(cloud, identity).describe()}


def _overridden(project: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(project)
    for member, path in OVERRIDES.items():
        if member in request:
            target = changed if len(path) == 1 else changed[path[0]]
            target[path[-1]] = request[member]
    if changed["source"]["type"] == "NO_SOURCE":
        changed["source"].pop("location", None)
    if changed["artifacts"]["type"] == "S3":
        changed["artifacts"].setdefault("name", changed["name"])
    return changed


def _check(cloud: "Cloud", project: dict[str, Any]) -> None:
    validate(project)
    image = cloud.images.find(project["environment"]["image"])
    if image.source != "environment":
        raise invalid(f"image {project['environment']['image']} is not a build image; let images.yml say environment")
    limit = project.get("concurrentBuildLimit")
    name = project["name"]
    active = sum(not build.complete and build.project["name"] == name for build in state(cloud).builds.values())
    if limit and active >= limit:
        raise CloudError(
            "AccountLimitExceededException", f"Cannot have more than {limit} active builds for the project"
        )


def _new(cloud: "Cloud", project: dict[str, Any], request: dict[str, Any]) -> Build:
    overridden = request.get("environmentVariablesOverride", [])
    validate_variables(overridden)
    given = {variable["name"]: variable for variable in project["environment"].get("environmentVariables", [])}
    for variable in overridden:
        given[variable["name"]] = {"type": "PLAINTEXT"} | variable
    project["environment"]["environmentVariables"] = list(given.values())
    known, name, uuid = state(cloud), project["name"], str(uuid4())
    known.numbers[name] = known.numbers.get(name, 0) + 1
    log = BuildLog(cloud, project.get("logsConfig", {}), name, uuid)
    identity = f"{name}:{uuid}"
    return Build(
        identity=identity,
        arn=arn(cloud, f"build/{identity}"),
        number=known.numbers[name],
        project=project,
        request=deepcopy(request),
        phases=Phases(log),
        halt=Halt(cloud.processes),
        log=log,
    )
