"""Calls about what is in the repository: branches, files, commits, comparisons, statuses."""

import base64
import hashlib
from typing import Any

from ..service import CloudError
from . import commits
from .accounts import MAINTAINER
from .call import Answer, Call, is_true
from .merge_requests import moment


def get_project(call: Call) -> Any:
    return call.project.shown()


METHODS, SQUASHING = ("merge", "ff"), ("never", "always", "default_on", "default_off")


def update_project(call: Call) -> Any:
    """How merge requests are merged; nothing else of a project can be changed here."""
    if call.user.access_level < MAINTAINER:
        raise CloudError("Forbidden", "403 Forbidden", 403)
    with call.project.lock:
        for name, known in (("merge_method", METHODS), ("squash_option", SQUASHING)):
            given = call.given.get(name, getattr(call.project, name))
            if given not in known:
                raise CloudError("BadRequest", f"localcloud does not implement {name} {given!r}", 400)
            setattr(call.project, name, given)
    return call.project.shown()


def list_branches(call: Call) -> Any:
    search = call.given.get("search", "")
    return [call.project.branch(name) for name in call.project.repository.branches() if search in name]


def get_branch(call: Call) -> Any:
    return call.project.branch(call.names["branch"])


def get_protected_branch(call: Call) -> Any:
    name = call.names["branch"]
    if not call.project.is_protected(name):
        raise CloudError("NotFound", "404 Not found", 404)
    return _protected(name)


def list_protected_branches(call: Call) -> Any:
    return [_protected(call.project.repository.default_branch)]


def _protected(name: str) -> dict[str, Any]:
    everyone = {"access_level": 30, "access_level_description": "Developers + Maintainers"}
    maintainers = {"access_level": 40, "access_level_description": "Maintainers"}
    return {
        "name": name,
        "push_access_levels": [maintainers],
        "merge_access_levels": [everyone],
        "allow_force_push": False,
    }


def create_branch(call: Call) -> Any:
    name = call.required("branch")
    with call.project.lock:
        if name in call.project.repository.branches():
            raise CloudError("BadRequest", "Branch already exists", 400)
        call.project.repository.set_branch(name, call.project.repository.resolve(call.required("ref")))
    return Answer(call.project.branch(name), 201)


def delete_branch(call: Call) -> Any:
    name = call.names["branch"]
    with call.project.lock:
        call.project.branch(name)
        if call.project.is_protected(name):
            raise CloudError("Forbidden", "Protected branch cannot be deleted", 403)
        call.project.repository.set_branch(name, None)
    return Answer(None, 204)


def get_file(call: Call) -> Any:
    """A file with its content in base64, and git's id of it."""
    repository, path = call.project.repository, call.names["path"]
    commit = repository.resolve(str(call.given.get("ref") or "HEAD"))
    blob, data = _blob_at(call, commit, path)
    return {
        "file_name": path.rpartition("/")[2],
        "file_path": path,
        "size": len(data),
        "encoding": "base64",
        "content": base64.b64encode(data).decode(),
        "content_sha256": hashlib.sha256(data).hexdigest(),
        "ref": call.given.get("ref"),
        "blob_id": blob,
        "commit_id": commit,
        "last_commit_id": repository.commits("-1", commit, "--", path)[0].sha,
    }


def get_raw_file(call: Call) -> Any:
    commit = call.project.repository.resolve(str(call.given.get("ref") or "HEAD"))
    return Answer(_blob_at(call, commit, call.names["path"])[1])


def _blob_at(call: Call, commit: str, path: str) -> tuple[str, bytes]:
    repository = call.project.repository
    try:
        blob = repository.object(f"{commit}:{path}")
        return blob, _blob(call, blob)
    except CloudError as error:
        raise CloudError("NotFound", "404 File Not Found", 404) from error


def _blob(call: Call, sha: str) -> bytes:
    text = call.project.repository.git("cat-file", "blob", sha)
    return text.encode(errors="surrogateescape")


def get_blob(call: Call) -> Any:
    sha = call.names["sha"]
    data = _blob(call, sha)
    return {"sha": sha, "size": len(data), "encoding": "base64", "content": base64.b64encode(data).decode()}


def get_raw_blob(call: Call) -> Any:
    return Answer(_blob(call, call.names["sha"]))


def get_tree(call: Call) -> Any:
    """The entries of a folder, or with `recursive` of all below it."""
    repository, path = call.project.repository, str(call.given.get("path", "")).strip("/")
    commit = repository.resolve(str(call.given.get("ref") or "HEAD"))
    words = ["-r", "-t"] if is_true(call.given.get("recursive")) else []
    rows = repository.git("ls-tree", "-z", *words, commit, *([f"{path}/"] if path else [])).split("\x00")
    found = []
    for row in filter(None, rows):
        (mode, kind, sha), name = row.partition("\t")[0].split(" "), row.partition("\t")[2]
        found.append({"id": sha, "name": name.rpartition("/")[2], "type": kind, "path": name, "mode": mode})
    return found


def list_commits(call: Call) -> Any:
    repository = call.project.repository
    start = repository.resolve(str(call.given.get("ref_name") or "HEAD"))
    path = ["--", call.given["path"]] if "path" in call.given else []
    return [call.project.show_commit(commit) for commit in repository.commits(start, *path)]


def get_commit(call: Call) -> Any:
    return call.project.commit(call.project.repository.resolve(call.names["sha"]))


def get_commit_diff(call: Call) -> Any:
    repository = call.project.repository
    commit = repository.commits("-1", repository.resolve(call.names["sha"]))[0]
    empty_tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    return repository.changes(commit.parents[0] if commit.parents else empty_tree, commit.sha)


def create_commit(call: Call) -> Any:
    """One commit of several file actions on a branch, which `start_branch` or `start_sha` may create."""
    branch, actions = call.required("branch"), call.given.get("actions")
    if not isinstance(actions, list) or not all(isinstance(action, dict) for action in actions):
        raise CloudError("BadRequest", "actions is missing", 400)
    message = call.required("commit_message")
    call.must_push_to(branch)
    repository, start = call.project.repository, call.given.get("start_branch") or call.given.get("start_sha")
    with call.project.lock:
        created = branch not in repository.branches() and start
        if created:
            repository.set_branch(branch, repository.resolve(str(start)))
        try:
            call.project.branch(branch)
            sha = commits.commit(repository, branch, message, actions, call.user)
        except CloudError:
            if created:
                repository.set_branch(branch, None)
            raise
    return Answer(call.project.commit(sha), 201)


def compare(call: Call) -> Any:
    """The commits of `to` that `from` has not, and the difference since they parted (or, `straight`, between them)."""
    repository = call.project.repository
    start, end = repository.resolve(call.required("from")), repository.resolve(call.required("to"))
    base = start if is_true(call.given.get("straight")) else repository.merge_base(start, end)
    commits = [call.project.show_commit(commit) for commit in reversed(repository.commits(f"{start}..{end}"))]
    return {
        "commit": commits[-1] if commits else None,
        "commits": commits,
        "diffs": repository.changes(base, end) if base else [],
        "compare_timeout": False,
        "compare_same_ref": start == end,
    }


def list_statuses(call: Call) -> Any:
    return call.project.statuses.get(call.project.repository.resolve(call.names["sha"]), [])


def create_status(call: Call) -> Any:
    """Set the state of one named check of a commit."""
    sha = call.project.repository.resolve(call.names["sha"])
    state, name = call.required("state"), str(call.given.get("name") or call.given.get("context") or "default")
    if state not in ("pending", "running", "success", "failed", "canceled", "skipped"):
        raise CloudError("BadRequest", "state does not have a valid value", 400)
    status = {
        "id": next(call.project.numbers),
        "sha": sha,
        "status": state,
        "name": name,
        "ref": call.given.get("ref"),
        "target_url": call.given.get("target_url"),
        "description": call.given.get("description"),
        "created_at": moment(),
        "author": call.user.shown(),
    }
    with call.project.lock:
        others = [each for each in call.project.statuses.get(sha, []) if each["name"] != name]
        call.project.statuses[sha] = [*others, status]
    return Answer(status, 201)
