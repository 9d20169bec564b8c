"""What this program asks git: the only module that runs it. Works in a checkout and in a bare repository."""

import hashlib
import subprocess
from pathlib import Path

from gitops.errors import GitopsError


def run(*arguments: str, cwd: Path | None = None, given: bytes = b"") -> bytes:
    """Standard output of `git <arguments>` told `given`; GitopsError with git's own last line when it fails."""
    try:
        result = subprocess.run(["git", *arguments], cwd=cwd, input=given, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise GitopsError("git: is not installed; install git and run this again") from error
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise GitopsError(f"git {arguments[0]}: {lines[-1]}; run this in a full clone of the project")
    return result.stdout


def text(*arguments: str, cwd: Path | None = None) -> str:
    """As `run`, decoded and stripped."""
    return run(*arguments, cwd=cwd).decode(errors="replace").strip()


def is_zero(sha: str) -> bool:
    """True for the all-zero sha with which git says "no commit here"."""
    return bool(sha) and not sha.strip("0")


def commit(ref: str, cwd: Path | None = None) -> str:
    """The full sha of the commit `ref` names; GitopsError when there is none."""
    if ref.startswith("-"):
        raise GitopsError(f"{ref}: is no commit; give a branch, a tag or a sha")
    try:
        return text("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", cwd=cwd)
    except GitopsError as error:
        raise GitopsError(f"{ref}: this clone has no such commit; fetch it (GIT_DEPTH: 0 in CI)") from error


def known(sha: str, cwd: Path | None = None) -> bool:
    """True if this clone has the commit."""
    try:
        return not is_zero(sha) and bool(sha) and bool(commit(sha, cwd))
    except GitopsError:
        return False


def sequence(sha: str, cwd: Path | None = None) -> int:
    """How many first-parent commits lead to `sha`: orders the commits of a branch where a build has no git."""
    if text("rev-parse", "--is-shallow-repository", cwd=cwd) == "true":
        raise GitopsError("this clone is shallow, so commits cannot be counted; clone in full (GIT_DEPTH: 0 in CI)")
    return int(text("rev-list", "--count", "--first-parent", sha, cwd=cwd))


def changed(before: str, sha: str, cwd: Path | None = None) -> list[str]:
    """Paths that differ between two trees, a rename as both its names; all paths if `before` is unknown."""
    if known(before, cwd):
        listed = run("diff", "--name-only", "--no-renames", "-z", before, sha, cwd=cwd)
    else:
        listed = run("ls-tree", "-r", "--name-only", "--full-tree", "-z", sha, cwd=cwd)
    return [path.decode(errors="replace") for path in listed.split(b"\0") if path]


def show(sha: str, path: str, cwd: Path | None = None) -> bytes | None:
    """The file's bytes in that commit; None if it is not there."""
    if not text("ls-tree", "--full-tree", sha, "--", path, cwd=cwd):
        return None
    return run("show", f"{sha}:{path}", cwd=cwd)


def blob_sha(data: bytes) -> str:
    """The id git gives to a file of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
