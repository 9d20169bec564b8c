"""What a deploy file asked for before: its releases along the branch, newest first. Read from git, decided purely."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops import deployment, git
from gitops.deployment import Release
from gitops.errors import GitopsError
from pipelines.errors import ProjectError

DEPTH = 200  # commits of one file that are looked at; a release older than that is named with --to


@dataclass(frozen=True)
class Version:
    """A commit of the branch that changed which release the file asks for."""

    sha: str
    release: Release | None


def versions(path: str, head: str, cwd: Path | None = None) -> list[Version]:
    """The changes of the file's release up to `head`, newest first; GitopsError if this clone lacks `head`.

    First parents only: what a merge brought counts once. A version that cannot be read today is passed over.
    """
    head = git.commit(head, cwd)
    log = git.text("log", "--first-parent", f"--max-count={DEPTH}", "--format=%H", head, "--", path, cwd=cwd)
    found: list[Version] = []
    for sha in reversed(log.split()):
        text = git.show(sha, path, cwd)
        try:
            release = deployment.load(Path(path), text.decode("utf-8", errors="replace")).release if text else None
        except ProjectError:
            continue
        if not found or found[-1].release != release:
            found.append(Version(sha, release))
    return found[::-1]


def undone(found: Sequence[Version]) -> Version | None:
    """The version that the newest one took back, or None: the newest is no way back to a release that was there."""
    current = found[0].release if found else None
    if current is None or current not in [version.release for version in found[1:]]:
        return None
    return found[1]


def earlier(found: Sequence[Version]) -> Release:
    """The release before the newest; GitopsError if there is none, or if nothing is deployed."""
    if not found or found[0].release is None:
        raise GitopsError("nothing is deployed here, so nothing can be taken back; name a release with --to")
    for version in found[1:]:
        if version.release is not None:
            return version.release
    raise GitopsError(f"{found[0].release.id} is the first release here; nothing is earlier")


def named(found: Sequence[Version], identity: str) -> Release | None:
    """The release of that id, if the file ever asked for it."""
    return next((one.release for one in found if one.release is not None and one.release.id == identity), None)


def since(found: Sequence[Version], release: Release) -> list[str]:
    """The commits that led away from `release`, newest first: reverting them in this order leads back to it."""
    shas: list[str] = []
    for version in found:
        if version.release == release:
            return shas
        shas.append(version.sha)
    return []
