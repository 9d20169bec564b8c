"""A bare repository, asked and changed through git itself."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..processes import Processes
from ..service import CloudError
from .accounts import User

_FIELDS = ("%H", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%s", "%B")
_FORMAT = "%x1f".join(_FIELDS) + "%x1e"


class GitError(CloudError):
    """A git command that failed, in its own last words; for a client mostly: there is no such thing."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__("GitFailed", message, 404)
        self.exit_status = exit_status


@dataclass(frozen=True)
class Commit:
    """One commit, times in ISO 8601."""

    sha: str
    parents: tuple[str, ...]
    author: tuple[str, str, str]
    committer: tuple[str, str, str]
    title: str
    message: str


@dataclass(frozen=True)
class Repository:
    """`<git root>/<group>/<project>.git`."""

    path: Path
    processes: Processes
    environment: Mapping[str, str]

    def git(self, *arguments: str, cwd: Path | None = None, user: User | None = None) -> str:
        """What a git command prints; GitError if it fails."""
        process = self.processes.start(
            ["git", *arguments],
            env={**self.environment, **_identity(user)},
            cwd=cwd or self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, complaint = process.communicate()
        if process.returncode:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
            raise GitError(f"git {arguments[0]}: {last[0]}", process.returncode)
        return out.decode(errors="surrogateescape")

    @property
    def default_branch(self) -> str:
        """What HEAD names, whether or not it has a commit yet."""
        return self.git("symbolic-ref", "--short", "HEAD").strip()

    def branches(self) -> dict[str, str]:
        """Branch name -> commit."""
        rows = self.git("for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/heads").splitlines()
        return dict(tuple(row.split(" ", 1)) for row in rows)  # type: ignore[misc]

    def resolve(self, ref: str) -> str:
        """The commit a branch, tag or sha names; CloudError 404 if it names none."""
        for candidate in (f"refs/heads/{ref}", f"refs/tags/{ref}", ref):
            try:
                return self.object(f"{candidate}^{{commit}}")
            except CloudError:
                continue
        raise CloudError("NotFound", f"404 {ref or 'ref'} Not Found", 404)

    def object(self, expression: str) -> str:
        """The full name of one object; CloudError 404 if there is none."""
        return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", expression).strip()

    def commits(self, *selection: str) -> list[Commit]:
        """`git log` of a selection, newest first."""
        rows = self.git("log", f"--format={_FORMAT}", *selection).split("\x1e")
        return [_commit(row.lstrip("\n").split("\x1f")) for row in rows if row.strip()]

    def merge_base(self, one: str, other: str) -> str | None:
        """The common ancestor, None if the histories are unrelated."""
        try:
            return self.git("merge-base", one, other).strip()
        except CloudError:
            return None

    def changes(self, before: str, after: str) -> list[dict[str, Any]]:
        """The files that differ between two trees, as GitLab lists them, with their diffs."""
        raw = self.git("diff", "--raw", "--no-abbrev", "-z", "--find-renames", before, after).split("\x00")
        found, position = [], 0
        while position < len(raw) and raw[position].startswith(":"):
            old_mode, new_mode, _, _, status = raw[position][1:].split(" ")
            renamed = status[0] in "RC"
            old, new = raw[position + 1], raw[position + (2 if renamed else 1)]
            position += 3 if renamed else 2
            text = self.git("diff", "--no-color", before, after, "--", *{old, new})
            found.append(
                {
                    "old_path": old,
                    "new_path": new,
                    "a_mode": old_mode,
                    "b_mode": new_mode,
                    "new_file": status == "A",
                    "deleted_file": status == "D",
                    "renamed_file": renamed,
                    "diff": text[text.find("@@") :] if "@@" in text else "",
                }
            )
        return found

    def paths(self, before: str, after: str) -> list[str]:
        """Every path that differs between two trees; a renamed file is two."""
        return self.git("diff", "--name-only", "--no-renames", "-z", before, after).split("\x00")[:-1]

    def set_branch(self, name: str, sha: str | None) -> None:
        """Create a branch at a commit, or delete it. No hook: nothing new is in the repository."""
        self.git("check-ref-format", "--branch", name)
        reference = f"refs/heads/{name}"
        self.git("update-ref", *([reference, sha, ""] if sha else ["-d", reference]))


def _commit(fields: list[str]) -> Commit:
    author, committer = (fields[2], fields[3], fields[4]), (fields[5], fields[6], fields[7])
    return Commit(fields[0], tuple(fields[1].split()), author, committer, fields[8], fields[9])


def _identity(user: User | None) -> dict[str, str]:
    if user is None:
        return {}
    return {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in _names(user).items()}


def _names(user: User) -> dict[str, str]:
    return {"NAME": user.name, "EMAIL": user.email}
