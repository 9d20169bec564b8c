"""CodeBuild projects: stored as AWS returns them; what localcloud cannot do is refused by name when it is asked for."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..service import CloudError
from .state import arn, invalid, page, project_named, state

if TYPE_CHECKING:
    from ..cloud import Cloud

_REFUSED = (
    "secondarySources", "secondarySourceVersions", "vpcConfig", "fileSystemLocations", "buildBatchConfig",
    "autoRetryLimit", "badgeEnabled",
)  # fmt: skip
_REFUSED_IN_ENVIRONMENT = ("fleet", "certificate", "registryCredential", "dockerServer", "computeConfiguration")
_DEFAULTS: dict[str, Any] = {
    "timeoutInMinutes": 60,
    "queuedTimeoutInMinutes": 480,
    "cache": {"type": "NO_CACHE"},
    "tags": [],
    "badge": {"badgeEnabled": False},
    "projectVisibility": "PRIVATE",
}


def create_project(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """CreateProject."""
    known, name = state(cloud), request["name"]
    project = _complete(cloud, request)
    with known.lock:
        if name in known.projects:
            raise CloudError(
                "ResourceAlreadyExistsException", f"Project already exists: {arn(cloud, f'project/{name}')}"
            )
        known.projects[name] = project
    return {"project": deepcopy(project)}


def update_project(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """UpdateProject: a member that is given replaces the old one."""
    known = state(cloud)
    with known.lock:
        old = project_named(cloud, request["name"])
        project = _complete(cloud, {**old, **request}) | {"created": old["created"]}
        known.projects[request["name"]] = project
    return {"project": deepcopy(project)}


def delete_project(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """DeleteProject: its builds are not deleted, as in AWS; deleting what is not there succeeds."""
    known = state(cloud)
    with known.lock:
        known.projects.pop(request["name"].rpartition(":project/")[2], None)
    return {}


def batch_get_projects(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """BatchGetProjects."""
    projects = state(cloud).projects
    names = {asked: asked.rpartition(":project/")[2] for asked in request["names"]}
    return {
        "projects": [deepcopy(projects[name]) for name in names.values() if name in projects],
        "projectsNotFound": [asked for asked, name in names.items() if name not in projects],
    }


def list_projects(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """ListProjects."""
    projects = state(cloud).projects
    key = {"CREATED_TIME": "created", "LAST_MODIFIED_TIME": "lastModified"}.get(request.get("sortBy", "NAME"), "name")
    names = sorted(projects, key=lambda name: projects[name][key], reverse=request.get("sortOrder") == "DESCENDING")
    return page(names, request.get("nextToken"), "projects")


def validate(project: dict[str, Any]) -> None:
    """Refuse by name what cannot be run here; also asked of a project with StartBuild's overrides."""
    for member in _REFUSED:
        if project.get(member):
            raise invalid(f"localcloud does not support {member} of a project; leave it out")
    _validate_source(project["source"])
    for artifacts in [project["artifacts"], *project.get("secondaryArtifacts", [])]:
        _validate_artifacts(artifacts)
    _validate_environment(project["environment"])
    cache = project.get("cache", {}).get("type", "NO_CACHE")
    if cache != "NO_CACHE":
        raise invalid(f"localcloud does not support cache type {cache}; use NO_CACHE")
    if project.get("logsConfig", {}).get("s3Logs", {}).get("status") == "ENABLED":
        raise invalid("localcloud does not support s3Logs; use cloudWatchLogs")


def _validate_source(source: dict[str, Any]) -> None:
    kind = source["type"]
    if kind not in ("S3", "NO_SOURCE"):
        raise invalid(f"localcloud does not support source type {kind}; use S3 or NO_SOURCE")
    location = source.get("location", "").removeprefix("arn:aws:s3:::")
    bucket, _, key = location.partition("/")
    if (kind == "S3" and not (bucket and key)) or location.endswith("/"):
        raise invalid(f"Invalid project source: location must be a zip archive, bucket/key; it is {location!r}")
    if kind == "NO_SOURCE" and not source.get("buildspec"):
        raise invalid("Invalid project source: a project with source type NO_SOURCE must have an inline buildspec")


def _validate_artifacts(artifacts: dict[str, Any]) -> None:
    if artifacts["type"] not in ("S3", "NO_ARTIFACTS"):
        raise invalid(f"localcloud does not support artifacts type {artifacts['type']}; use S3 or NO_ARTIFACTS")
    if artifacts["type"] == "S3" and not artifacts.get("location"):
        raise invalid("Invalid artifacts: artifact location must be the name of a bucket")


def _validate_environment(environment: dict[str, Any]) -> None:
    if "WINDOWS" in environment["type"] or "MAC" in environment["type"]:
        raise invalid(f"localcloud does not support environment type {environment['type']}; use LINUX_CONTAINER")
    for member in _REFUSED_IN_ENVIRONMENT:
        if environment.get(member):
            raise invalid(f"localcloud does not support {member} of an environment; leave it out")
    validate_variables(environment.get("environmentVariables", []))


def validate_variables(variables: list[dict[str, str]]) -> None:
    """PLAINTEXT and SECRETS_MANAGER are honoured; every name stands once."""
    names = [variable["name"] for variable in variables]
    for variable in variables:
        if variable.get("type") == "PARAMETER_STORE":
            raise invalid(f"localcloud does not support type PARAMETER_STORE ({variable['name']}); use SECRETS_MANAGER")
        if names.count(variable["name"]) > 1:
            raise invalid(f"Duplicate environment variable: {variable['name']}")


def _complete(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    validate(request)
    now = datetime.now(UTC)
    project = _DEFAULTS | {key: value for key, value in deepcopy(request).items() if key != "badgeEnabled"}
    project["environment"] = {"privilegedMode": False, "environmentVariables": []} | project["environment"]
    for variable in project["environment"]["environmentVariables"]:
        variable.setdefault("type", "PLAINTEXT")
    if project["artifacts"]["type"] == "S3":
        standard = {"namespaceType": "NONE", "packaging": "NONE", "name": project["name"], "encryptionDisabled": False}
        project["artifacts"] = standard | project["artifacts"]
    return deepcopy(project) | {
        "arn": arn(cloud, f"project/{project['name']}"),
        "encryptionKey": project.get("encryptionKey") or f"arn:aws:kms:{cloud.region}:{cloud.account}:alias/aws/s3",
        "created": now,
        "lastModified": now,
    }
