"""What a reviewer must not overlook, whoever wrote the change. Pure sentences about paths, files and releases."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gitops.deployment import Release
from gitops.planning.protections import weakened
from pipelines import project
from pipelines.errors import ProjectError

# what decides which commands are run with rights; a prefix that ends in "/" is a folder
GUARDS = (
    ".gitlab-ci.yml", ".gitlab/", ".github/", "CODEOWNERS", "docs/CODEOWNERS", ".gitattributes", ".gitmodules",
    "Makefile", "buildspec.yml", "pyproject.toml", "requirements.lock", "gitops/", "pipelines/", "infra/",
)  # fmt: skip
Roots = tuple[Path, Path]


def guards(paths: list[str], roots: Roots) -> Iterable[str]:
    """The change could change who checks it, or what builds run."""
    touched = {
        guard for guard in GUARDS for path in paths if path == guard or (guard[-1] == "/" and path.startswith(guard))
    }
    if touched:
        yield (
            f"{', '.join(sorted(touched))}: decides what CI and builds run, with which rights; no plan tells what "
            "that does, read it line by line"
        )


def renamed_project(paths: list[str], roots: Roots) -> Iterable[str]:
    """project.yml starts nothing by itself; but its last environment is where every gate finds the champion."""
    if project.FILE not in paths:
        return
    yield f"{project.FILE}: is part of every name in AWS; merging it starts nothing, `python -m infra deploy` does"
    try:
        before, after = (project.load(root).environments[-1] for root in roots)
    except ProjectError:
        return  # said where all files are checked
    if before != after:
        yield f"{project.FILE}: the last environment is {after}, it was {before}: gates compare with the champion there"


def new_model(paths: list[str], roots: Roots) -> Iterable[str]:
    """A model is more than its params: without the rest its run fails at its last step, after training."""
    for path in paths:
        model = re.fullmatch(r"params/([^/]+?)(?<!\.data)\.yml", path)
        if model and (roots[1] / path).is_file() and not (roots[0] / path).exists():
            yield (
                f"{path}: is a new model: infra/template.yml must know its registry group, its pipeline in the propose "
                f"rule and in the roles, and deploy/<environment>/{model[1]}.yml must be there; deploy that first"
            )


def unread(paths: list[str], roots: Roots) -> Iterable[str]:
    """Files in a folder of ours that nothing reads."""
    for path in paths:
        folders = path.split("/")[:-1]
        depth = {"params": 1, "deploy": 2}.get(folders[0] if folders else "")
        is_yaml = path.endswith((".yml", ".yaml"))
        if depth and is_yaml and (len(folders) != depth or path.endswith(".yaml")) and (roots[1] / path).is_file():
            yield f"{path}: nothing reads it; write params/<model>.yml or deploy/<environment>/<model>.yml"


def removed(paths: list[str], roots: Roots) -> Iterable[str]:
    """What goes on after a file is gone."""
    for path in (path for path in paths if path.endswith(".yml") and not (roots[1] / path).exists()):
        folder, _, name = path.rpartition("/")
        model = name.removesuffix(".yml")
        if folder == "params" and not name.endswith(".data.yml"):
            yield f"{path}: is removed: {model} is trained no more; what is deployed of it stays"
        if folder.startswith("deploy/") and not name.startswith("_"):
            environment = folder.removeprefix("deploy/")
            yield (
                f"{path}: is removed: its endpoint goes on serving and costing, and no command knows it any more; "
                f"first run python -m gitops teardown {environment} {model}"
            )


def values_and_data(paths: list[str], roots: Roots) -> Iterable[str]:
    """A metric that moves tells nothing if two things moved."""
    locks = [path for path in paths if path.startswith("params/") and path.endswith(".data.yml")]
    for lock in locks:
        values = lock.replace(".data.yml", ".yml")
        if values in paths and (roots[0] / values).is_file():
            yield f"{values} and its data lock change at once: no metric tells which of them made the difference"


CALLOUTS: tuple[Callable[[list[str], Roots], Iterable[str]], ...] = (
    guards, weakened, renamed_project, new_model, removed, unread, values_and_data,
)  # fmt: skip


def warnings(paths: list[str], roots: Roots) -> list[str]:
    """Every callout of a change, in the table's order."""
    return [sentence for callout in CALLOUTS for sentence in callout(paths, roots)]


def emptied(paths: list[str], roots: Roots) -> list[str]:
    """Folders that a build reads and that the change leaves without a file: the build would fail."""
    folders = {path.rpartition("/")[0] for path in paths}
    empty = [folder for folder in sorted(folders) if _read(roots[0], folder) and not _read(roots[1], folder)]
    return [f"{folder}/: nothing is left that its builds read, so each would fail; keep one file" for folder in empty]


def _read(root: Path, folder: str) -> list[Path]:
    """The files for whose sake a build looks into the folder."""
    if folder != "params" and not re.fullmatch("deploy/[^/]+", folder):
        return []
    return [file for file in (root / folder).glob("[!_]*.yml") if not file.name.endswith(".data.yml")]


def strange(path: str, release: Release, known: Iterable[Release]) -> list[str]:
    """Where the release comes from a place that no release of this model came from so far."""
    places = [_places(one) for one in known]
    return [
        f"{path}: release.{key} is of {place}, all so far were of {', '.join(sorted({one[key] for one in places}))}"
        for key, place in _places(release).items()
        if places and place not in {one[key] for one in places}
    ]


def _places(release: Release) -> dict[str, str]:
    """Registry, bucket and repository: what stays the same from one release to the next."""
    return {
        "package_arn": release.package_arn.rpartition("/")[0],
        "archive_uri": "/".join(release.archive_uri.split("/")[:3]),
        "image": release.image.partition("@")[0],
    }


def contradictions(path: str, release: Release, record: Mapping[str, Any] | None) -> list[str]:
    """Where a release is not what its evidence was measured on; a new image is no contradiction."""
    archive = (record or {}).get("archive")
    measured = archive if isinstance(archive, Mapping) else {}
    said = {
        "package_arn": (record or {}).get("package_arn"),
        "archive_uri": measured.get("uri"),
        "archive_sha256": measured.get("sha256"),
    }
    return [
        f"{path}: release.{key} is not what the record of {release.id} says; take the whole block from one release"
        for key, value in said.items()
        if value is not None and value != getattr(release, key)
    ]
