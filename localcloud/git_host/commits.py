"""New commits, made in the bare repository itself: with an index of their own, without clone or checkout."""

import base64
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ..service import CloudError
from .accounts import User
from .repository import GitError, Repository

_PLAIN = ("100644", "100755")  # the modes of files; a link and a submodule have others
_USAGE = 129  # how git says that it does not know an option


@dataclass(frozen=True)
class Landing:
    """How a request's commits reach the target branch: the project's `merge_method`, merge or ff; squashed or not."""

    method: str
    squash: bool
    message: str


@dataclass(frozen=True)
class Landed:
    """What a merge left: the squash commit and the merge commit, None where its method makes none."""

    squash: str | None
    merge: str | None


def merge(repository: Repository, request: tuple[str, str], landing: Landing, user: User) -> Landed:
    """Push what merging two branches (target, source) gives. CloudError 422 if git cannot merge them."""
    target, source = (repository.object(f"refs/heads/{branch}") for branch in request)
    tree = _merged(repository, target, source)
    if tree is None:
        raise CloudError("Conflict", "Branch cannot be merged", 422)
    squashed = _written(repository, tree, (target,), landing.message, user) if landing.squash else None
    head = squashed or source
    if landing.method == "ff":
        _push(repository, request[0], head, user)
        return Landed(squashed, None)
    merged = _written(repository, tree, (target, head), landing.message, user)
    return Landed(squashed, _push(repository, request[0], merged, user))


def merges(repository: Repository, target: str, source: str) -> bool:
    """Whether two commits would merge without conflict."""
    return _merged(repository, target, source) is not None


def commit(repository: Repository, branch: str, message: str, actions: Sequence[Mapping[str, Any]], user: User) -> str:
    """Push one commit that changes several files; CloudError 400 if a file is there or is not."""
    parent = repository.object(f"refs/heads/{branch}")
    with _index(repository, parent) as (index, folder):
        for action in actions:
            _apply(index, folder, action)
        tree = index.git("write-tree").strip()
    return _push(repository, branch, _written(repository, tree, (parent,), message, user), user)


def _merged(repository: Repository, target: str, source: str) -> str | None:
    """The tree of the merge, None if there are conflicts."""
    try:
        return repository.git("merge-tree", "--write-tree", target, source).splitlines()[0]
    except GitError as error:
        if error.exit_status == _USAGE:
            raise CloudError(
                "GitTooOld", "git merge-tree --write-tree is not known here; git 2.38 is needed", 500
            ) from error
        return None


def _written(repository: Repository, tree: str, parents: tuple[str, ...], message: str, user: User) -> str:
    words = [word for parent in parents for word in ("-p", parent)]
    return repository.git("commit-tree", *words, "-m", message, tree, user=user).strip()


def _push(repository: Repository, branch: str, sha: str, user: User) -> str:
    """To the bare repository as any push, so that its hooks run."""
    try:
        repository.git("push", "--quiet", str(repository.path), f"{sha}:refs/heads/{branch}", user=user)
    except GitError as error:
        raise CloudError("Conflict", f"{branch} cannot be pushed: {error.message}", 409) from error
    return sha


@contextmanager
def _index(repository: Repository, commit_sha: str) -> Iterator[tuple[Repository, Path]]:
    """The repository with an index that holds a commit's tree, and an empty folder as its working tree."""
    with tempfile.TemporaryDirectory(dir=repository.environment.get("TMPDIR")) as folder:
        place = Path(folder)
        own = {"GIT_DIR": str(repository.path), "GIT_INDEX_FILE": str(place / "index"), "GIT_LITERAL_PATHSPECS": "1"}
        (place / "tree").mkdir()
        own["GIT_WORK_TREE"] = str(place / "tree")
        index = replace(repository, environment={**repository.environment, **own})
        index.git("read-tree", commit_sha)
        yield index, place / "tree"


def _apply(index: Repository, folder: Path, action: Mapping[str, Any]) -> None:
    """One action of GitLab's commits API on the index."""
    path, modes = str(action.get("file_path", "")), _modes(index)
    _check_path(path, modes)
    kind, there = action.get("action"), path in modes
    if kind == "create" and there:
        raise CloudError("BadRequest", "A file with this name already exists", 400)
    if kind in ("update", "delete") and not there:
        raise CloudError("BadRequest", "A file with this name doesn't exist", 400)
    if kind == "delete":
        index.git("update-index", "--force-remove", "--", path, cwd=folder)
    elif kind in ("create", "update"):
        content = folder.parent / "content"
        content.write_bytes(_content(action))
        blob = index.git("hash-object", "-w", "--no-filters", "--", str(content)).strip()
        index.git("update-index", "--add", "--cacheinfo", f"{modes.get(path, _PLAIN[0])},{blob},{path}")
    else:
        raise CloudError("BadRequest", f"localcloud does not implement the commit action {kind!r}", 400)


def _modes(index: Repository) -> dict[str, str]:
    """Path -> mode of everything in the index."""
    rows = index.git("ls-files", "--stage", "-z").split("\x00")[:-1]
    return {path: entry.split(" ")[0] for entry, _, path in (row.partition("\t") for row in rows)}


def _check_path(name: str, modes: Mapping[str, str]) -> None:
    """CloudError 400 for a path that leads elsewhere, is a folder, or goes through a file or link."""
    path = PurePosixPath(name)
    outside = not path.parts or path.is_absolute() or {"..", ".git"} & {part.lower() for part in path.parts}
    through = any(str(parent) in modes for parent in path.parents)
    folder = any(other.startswith(f"{name}/") for other in modes)
    if outside or through or folder or str(path) != name or modes.get(name, _PLAIN[0]) not in _PLAIN:
        raise CloudError("BadRequest", f"file_path {name!r} is not a path inside the repository", 400)


def _content(action: Mapping[str, Any]) -> bytes:
    text = str(action.get("content", ""))
    return base64.b64decode(text) if action.get("encoding") == "base64" else text.encode()
