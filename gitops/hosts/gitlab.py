"""GitLab through python-gitlab; the only module that imports it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import gitlab
from gitlab.exceptions import GitlabError

from gitops.errors import GitopsError
from gitops.hosts import Change, ConflictError, Place, Request
from pipelines import crash

CONNECT_RETRIES = 4
MERGE_SECONDS = 600.0  # a request may have to wait for its own CI pipeline; the propose build has 15 minutes
LOOKING = {"unchecked", "checking", "preparing", "approvals_syncing", "ci_must_pass", "ci_still_running"}
CONFLICT = {"conflict", "need_rebase", "cannot_be_merged"}
READY = {"mergeable", "can_be_merged"}


def connect(place: Place) -> "GitLab":
    """The project on its host; GitopsError if the token does not reach it."""
    api = gitlab.Gitlab(url=place.url, private_token=place.token, timeout=30, retry_transient_errors=True)
    with _asked(f"{place.url}: project {place.project}"):
        # a few retries only: a wrong address should not take minutes to show
        return GitLab(api.projects.get(place.project, max_retries=CONNECT_RETRIES), place.branch)


@contextmanager
def _asked(what: str) -> Iterator[None]:
    """Turns the host's refusals, and its silence, into one line."""
    try:
        yield
    except GitlabError as error:
        raise _error(what, error) from error
    except OSError as error:  # what requests raises when nobody answers
        raise GitopsError(f"{what}: the git host cannot be reached ({type(error).__name__}); see git.url") from error


class GitLab:
    """One project; satisfies gitops.hosts.Host."""

    def __init__(self, project: Any, branch: str) -> None:
        self.project = project
        self.branch = branch

    def head(self) -> str:
        branch = self._get(f"branch {self.branch}", lambda: self.project.branches.get(self.branch))
        if branch is None:
            raise GitopsError(f"{self.project.path_with_namespace}: has no branch {self.branch}; see project.yml")
        if not branch.protected:
            raise GitopsError(f"{self.branch}: is not a protected branch of the git host; protect it, then run again")
        return str(branch.commit["id"])

    def contains(self, sha: str, ref: str = "") -> bool:
        comparison = self._get(sha, lambda: self.project.repository_compare(ref or self.branch, sha))
        # commits reachable from sha and not from the branch: none means that the branch contains it
        return comparison is not None and not comparison["commits"] and not comparison.get("compare_timeout")

    def blob(self, path: str, ref: str) -> str | None:
        file = self._get(path, lambda: self.project.files.get(file_path=path, ref=ref))
        return None if file is None else str(file.blob_id)

    def read(self, path: str, ref: str) -> str | None:
        file = self._get(path, lambda: self.project.files.get(file_path=path, ref=ref))
        return None if file is None else bytes(file.decode()).decode("utf-8")

    def find(self, branch: str) -> list[Request]:
        return [request for request in self._list(source_branch=branch, state="all") if not request.fork]

    def opened(self, prefix: str) -> list[Request]:
        found = self._list(state="opened")
        return [one for one in found if one.branch.startswith(prefix) and not (prefix and one.fork)]

    def _list(self, **criteria: str) -> list[Request]:
        listing = self.project.mergerequests.list
        found = self._get("merge requests", lambda: list(listing(target_branch=self.branch, iterator=True, **criteria)))
        return [_request(each) for each in found or ()]

    def open(self, change: Change, base: str) -> Request:
        with _asked(f"{change.branch}: cannot be proposed"):
            head = self._commit(change, base)
            crash.point("host:after-commit")
            created = self.project.mergerequests.create(
                {
                    "source_branch": change.branch,
                    "target_branch": self.branch,
                    "title": ("Draft: " if change.draft else "") + change.title,
                    "description": change.body,
                    "remove_source_branch": True,
                }
            )
        return replace(_request(created), head=head)  # what was written here, whatever is on the branch by now

    def _commit(self, change: Change, base: str) -> str:
        actions = []
        for path, text in sorted(change.files.items()):
            there = self.blob(path, base) is not None
            actions.append({"action": "update" if there else "create", "file_path": path, "content": text})
        self._delete_branch(change.branch)  # left by a run that was killed between commit and request
        self.project.branches.create({"branch": change.branch, "ref": base})
        commit = {"branch": change.branch, "commit_message": change.title, "actions": actions}
        return str(self.project.commits.create(commit).id)

    def merge(self, request: Request) -> str:
        deadline = time.monotonic() + MERGE_SECONDS
        pause = 0.1
        while True:
            with _asked(request.url):
                live = self.project.mergerequests.get(request.number)
                status = getattr(live, "detailed_merge_status", None) or live.merge_status
                if status in CONFLICT:
                    raise ConflictError(f"{request.url}: {status}; the branch moved on")
                if status not in LOOKING and self._merged(live, request, status):
                    return str(live.merge_commit_sha or live.squash_commit_sha or live.sha)
            if time.monotonic() > deadline:
                raise GitopsError(f"{request.url}: cannot be merged, it is {status}; see the request, then run again")
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    @staticmethod
    def _merged(live: Any, request: Request, status: str) -> bool:
        """Merge; False if GitLab says "not now" (405) of a request it calls ready."""
        try:
            live.merge(should_remove_source_branch=True, sha=request.head)
        except GitlabError as error:
            if error.response_code in {406, 409, 422}:
                raise ConflictError(f"{request.url}: {error.error_message}") from error
            if error.response_code == 405 and status in READY:
                return False
            raise _error(f"{request.url}: cannot be merged, it is {status}", error) from error
        return True

    def close(self, request: Request, note: str) -> None:
        with _asked(f"{request.url}: cannot be closed"):
            live = self.project.mergerequests.get(request.number)
            live.notes.create({"body": note})
            live.state_event = "close"
            live.save()
            self._delete_branch(request.branch)

    def comment(self, request: Request, marker: str, body: str) -> None:
        with _asked(f"{request.url}: cannot be commented on"):
            live = self.project.mergerequests.get(request.number, lazy=True)
            for note in live.notes.list(iterator=True):
                if note.body.startswith(marker) and self._saved(note, body):
                    return
            live.notes.create({"body": body})

    @staticmethod
    def _saved(note: Any, body: str) -> bool:
        """Change a note; False for somebody else's, who wrote our marker."""
        note.body = body
        try:
            note.save()
        except GitlabError as error:
            if error.response_code != 403:
                raise
            return False
        return True

    def _delete_branch(self, name: str) -> None:
        try:
            self.project.branches.delete(name)
        except GitlabError as error:
            if error.response_code != 404:
                raise

    @staticmethod
    def _get(what: str, call: Any) -> Any:
        """The call's answer; None for 404."""
        with _asked(what):
            try:
                return call()
            except GitlabError as error:
                if error.response_code != 404:
                    raise
        return None


def _request(live: Any) -> Request:
    return Request(
        number=int(live.iid),
        title=live.title,
        branch=live.source_branch,
        state=live.state,
        url=live.web_url,
        head=str(live.sha),
        fork=live.source_project_id != live.target_project_id,
    )


def _error(what: str, error: GitlabError) -> GitopsError:
    return GitopsError(f"{what}: the git host answered {error.response_code}: {error.error_message}")
