"""Is what lies here what git says? Asked of the git host before anything is deployed."""

from enum import StrEnum
from pathlib import Path

from gitops import git
from gitops.errors import GitopsError
from gitops.hosts import Host


class Standing(StrEnum):
    CURRENT = "current"
    SUPERSEDED = "superseded"


def standing(host: Host, commit: str, root: Path, path: str) -> Standing:
    """Whether the file `path` below `root` is the protected branch's, or was once and is no more.

    GitopsError (refuse) if the commit is not on the protected branch, or if the file here is not the
    file of that commit: then this tree did not come from the branch.
    """
    head = host.head()
    if not host.contains(commit):
        raise GitopsError(f"{commit}: is not on the protected branch; only what was merged is deployed")
    here = git.blob_sha((root / path).read_bytes())
    there = host.blob(path, commit)
    if here != there:
        raise GitopsError(
            f"{path}: is blob {here[:12]} here and {(there or 'absent')[:12]} in commit {commit[:12]}; "
            "the source was changed on its way, deploy from the commit's own source"
        )
    return Standing.CURRENT if host.blob(path, head) == here else Standing.SUPERSEDED
