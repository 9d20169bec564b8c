"""A bare repository, asked and changed through git itself."""

import base64
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..processes import Processes
from ..service import CloudError
from .accounts import User

_FIELDS = ("%H", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%s", "%B")
_FORMAT = "%x1f".join(_FIELDS) + "%x1e"


class ConflictError(CloudError):
    """Two branches that git cannot merge by itself."""

    def __init__(self) -> None:
        super().__init__("Conflict", "Branch cannot be merged", 422)


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
        """What a git command prints; CloudError 404 with git's last words if it fails."""
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
            raise CloudError("GitFailed", f"git {arguments[0]}: {last[0]}", 404)
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

    @contextmanager
    def checkout(self, ref: str) -> Iterator[Path]:
        """A clone for a moment, with `ref` checked out."""
        with tempfile.TemporaryDirectory(dir=self.environment.get("TMPDIR")) as folder:
            clone = Path(folder) / "clone"
            self.git("clone", "--quiet", "--shared", "--no-checkout", str(self.path), str(clone))
            self.git("checkout", "--quiet", "--detach", ref, cwd=clone)
            yield clone

    def merge(self, target: str, source: str, message: str, user: User) -> str:
        """Push a merge commit of two branches; its sha. ConflictError if git cannot merge them."""
        with self.checkout(f"origin/{target}") as clone:
            self._merge_in(clone, f"origin/{source}", message, user)
            return self._push(clone, target, user)

    def merges(self, target: str, source: str) -> bool:
        """Whether two commits would merge without conflict."""
        with self.checkout(target) as clone:
            try:
                self._merge_in(clone, source, "trial", User(0, "trial", "trial", 0))
            except ConflictError:
                return False
        return True

    def commit(self, branch: str, message: str, actions: Sequence[Mapping[str, Any]], user: User) -> str:
        """Push one commit that changes several files; CloudError 400 if a file is there or is not."""
        with self.checkout(f"origin/{branch}") as clone:
            for action in actions:
                _apply(clone, action)
            self.git("add", "--all", "--force", cwd=clone)
            self.git("commit", "--quiet", "--allow-empty", "--message", message, cwd=clone, user=user)
            return self._push(clone, branch, user)

    def _merge_in(self, clone: Path, source: str, message: str, user: User) -> None:
        try:
            self.git("merge", "--quiet", "--no-ff", "--message", message, source, cwd=clone, user=user)
        except CloudError as error:
            raise ConflictError from error

    def _push(self, clone: Path, branch: str, user: User) -> str:
        """To the bare repository as any push, so that its hooks run."""
        try:
            self.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}", cwd=clone, user=user)
        except CloudError as error:
            raise CloudError("Conflict", f"{branch} cannot be pushed: {error.message}", 409) from error
        return self.git("rev-parse", "HEAD", cwd=clone).strip()


def _commit(fields: list[str]) -> Commit:
    author, committer = (fields[2], fields[3], fields[4]), (fields[5], fields[6], fields[7])
    return Commit(fields[0], tuple(fields[1].split()), author, committer, fields[8], fields[9])


def _identity(user: User | None) -> dict[str, str]:
    if user is None:
        return {}
    return {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in _names(user).items()}


def _names(user: User) -> dict[str, str]:
    return {"NAME": user.name, "EMAIL": user.email}


def _apply(clone: Path, action: Mapping[str, Any]) -> None:
    """One action of GitLab's commits API in a working tree."""
    path = _inside(clone, str(action.get("file_path", "")))
    kind, there = action.get("action"), path.is_file()
    if kind == "create" and there:
        raise CloudError("BadRequest", "A file with this name already exists", 400)
    if kind in ("update", "delete") and not there:
        raise CloudError("BadRequest", "A file with this name doesn't exist", 400)
    if kind == "delete":
        path.unlink()
    elif kind in ("create", "update"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_content(action))
    else:
        raise CloudError("BadRequest", f"localcloud does not implement the commit action {kind!r}", 400)


def _content(action: Mapping[str, Any]) -> bytes:
    text = str(action.get("content", ""))
    return base64.b64decode(text) if action.get("encoding") == "base64" else text.encode()


def _inside(clone: Path, name: str) -> Path:
    """The path of a file of the tree; CloudError 400 for one that leads elsewhere, be it through a link."""
    parts = PurePosixPath(name).parts
    path = clone / name
    wrong = not parts or name.startswith("/") or {"..", ".git"} & {part.lower() for part in parts}
    if wrong or path.is_symlink() or not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(clone)):
        raise CloudError("BadRequest", f"file_path {name!r} is not a path inside the repository", 400)
    return path
