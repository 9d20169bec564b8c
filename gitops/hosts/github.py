"""GitHub through its REST API (github.com, or a server's /api/v3), with the standard library alone."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.client import HTTPException
from typing import Any
from urllib import request as http
from urllib.error import HTTPError
from urllib.parse import quote, urlencode

from gitops.errors import GitopsError
from gitops.hosts import Change, ConflictError, Place, Request

TRIES, PAGE = 4, 100
MERGE_SECONDS = 600.0  # a request may have to wait for its own checks; the propose build has 15 minutes
METHODS = {"allow_merge_commit": "merge", "allow_squash_merge": "squash", "allow_rebase_merge": "rebase"}
CONFLICT = {"dirty", "behind"}


class _NoRedirect(http.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it points."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = http.build_opener(_NoRedirect)


def connect(place: Place) -> "GitHub":
    """The repository on its host; GitopsError if the token does not reach it."""
    return GitHub(place)


class Api:
    """Calls below /repos/<owner>/<name>."""

    def __init__(self, place: Place) -> None:
        root = "https://api.github.com" if place.url == "https://github.com" else f"{place.url}/api/v3"
        self.base = f"{root}/repos/{quote(place.project)}"
        self.token, self.page = place.token, PAGE

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """The answer's JSON, None for 404. Raises HTTPError for what the caller may want to tell apart."""
        address = f"{self.base}{path}" + (f"?{urlencode(query)}" if query else "")
        asked = http.Request(  # noqa: S310 - project.yml's url is http or https by its pattern
            address,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/vnd.github+json"},
        )
        try:
            return self._sent(asked)
        except HTTPError as error:
            if error.code == 404:
                return None
            raise
        except (OSError, HTTPException) as error:
            raise GitopsError(f"{address}: the git host cannot be reached ({error}); see git.url") from error

    @staticmethod
    def _sent(asked: http.Request) -> Any:
        """A question is asked again when the host is at fault; what changes something is sent once."""
        for left in reversed(range(TRIES if asked.method == "GET" else 1)):
            try:
                with OPENER.open(asked, timeout=30) as answer:
                    return json.loads(answer.read() or b"null")
            except HTTPError as error:
                if error.code < 500 or not left:
                    raise
            time.sleep(0.2 * (TRIES - left))
        raise AssertionError("the last try returns or raises")

    def asked(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """As `call`; a refusal is one line for the user."""
        try:
            return self.call(method, path, body, **query)
        except HTTPError as error:
            raise GitopsError(f"{path}: the git host answered {error.code}: {_message(error)}") from error

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every entry of a list."""
        page = 1
        while True:
            found = self.asked("GET", path, per_page=self.page, page=page, **query) or []
            yield from found
            if len(found) < self.page:
                return
            page += 1


class GitHub:
    """One repository; satisfies gitops.hosts.Host."""

    def __init__(self, place: Place) -> None:
        self.api, self.branch = Api(place), place.branch
        found = self.api.asked("GET", "")
        if found is None:
            raise GitopsError(f"{place.url}: project {place.project}: the git host answered 404; see project.yml")
        self.owner = str(found["owner"]["login"])
        # what the repository does not say, to this token, is allowed
        self.method = next((method for flag, method in METHODS.items() if found.get(flag, True)), "merge")

    def head(self) -> str:
        branch = self.api.asked("GET", f"/branches/{quote(self.branch)}")
        if branch is None:
            raise GitopsError(f"{self.branch}: the git host has no such branch; see project.yml")
        if not branch["protected"]:
            raise GitopsError(f"{self.branch}: is not a protected branch of the git host; protect it, then run again")
        return str(branch["commit"]["sha"])

    def contains(self, sha: str, ref: str = "") -> bool:
        found = self.api.asked("GET", f"/compare/{quote(ref or self.branch)}...{quote(sha)}")
        return found is not None and found["status"] in {"identical", "behind"}

    def blob(self, path: str, ref: str) -> str | None:
        found = self._content(path, ref)
        return None if found is None else str(found["sha"])

    def read(self, path: str, ref: str) -> str | None:
        found = self._content(path, ref)
        return None if found is None else base64.b64decode(found["content"]).decode("utf-8")

    def _content(self, path: str, ref: str) -> Any:
        return self.api.asked("GET", f"/contents/{quote(path)}", ref=ref)

    def find(self, branch: str) -> list[Request]:
        found = self.api.pages("/pulls", state="all", base=self.branch, head=f"{self.owner}:{branch}")
        return [request for request in map(_request, found) if not request.fork]

    def opened(self, prefix: str) -> list[Request]:
        found = (_request(one) for one in self.api.pages("/pulls", state="open", base=self.branch))
        return [one for one in found if one.branch.startswith(prefix) and not (prefix and one.fork)]

    def open(self, change: Change, base: str) -> Request:
        head = self._commit(change, base)
        self._delete_branch(change.branch)  # left by a run that was killed between commit and request
        self.api.asked("POST", "/git/refs", {"ref": f"refs/heads/{change.branch}", "sha": head})
        asked = {"head": change.branch, "base": self.branch, "title": change.title, "body": change.body}
        created = _request(self.api.asked("POST", "/pulls", {**asked, "draft": change.draft}))
        return replace(created, head=head)  # what was written here, whatever is on the branch by now

    def _commit(self, change: Change, base: str) -> str:
        files = [
            {"path": path, "mode": "100644", "type": "blob", "content": text}
            for path, text in sorted(change.files.items())
        ]
        below = self.api.asked("GET", f"/git/commits/{base}")["tree"]["sha"]
        tree = self.api.asked("POST", "/git/trees", {"base_tree": below, "tree": files})["sha"]
        commit = {"message": change.title, "tree": tree, "parents": [base]}
        return str(self.api.asked("POST", "/git/commits", commit)["sha"])

    def merge(self, request: Request) -> str:
        deadline, pause = time.monotonic() + MERGE_SECONDS, 0.1
        while True:
            state = str(self.api.asked("GET", f"/pulls/{request.number}")["mergeable_state"])
            if state == "draft":
                raise GitopsError(f"{request.url}: is a draft; mark it ready to have it merged")
            if state in CONFLICT:
                raise ConflictError(f"{request.url}: {state}; the branch moved on")
            sha = self._merged(request)
            if sha:
                self._delete_branch(request.branch)
                return sha
            if time.monotonic() > deadline:
                raise GitopsError(f"{request.url}: cannot be merged, it is {state}; see the request, then run again")
            time.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _merged(self, request: Request) -> str:
        """Merge exactly the request's head; empty if GitHub says "not now" (405)."""
        path = f"/pulls/{request.number}/merge"
        try:
            return str(self.api.call("PUT", path, {"sha": request.head, "merge_method": self.method})["sha"])
        except HTTPError as error:
            if error.code == 409:
                raise ConflictError(f"{request.url}: {_message(error)}") from error
            if error.code == 405:
                return ""
            raise GitopsError(f"{request.url}: the git host answered {error.code}: {_message(error)}") from error

    def close(self, request: Request, note: str) -> None:
        self.api.asked("POST", f"/issues/{request.number}/comments", {"body": note})
        self.api.asked("PATCH", f"/pulls/{request.number}", {"state": "closed"})
        self._delete_branch(request.branch)

    def comment(self, request: Request, marker: str, body: str) -> None:
        for one in self.api.pages(f"/issues/{request.number}/comments"):
            if str(one["body"]).startswith(marker):
                try:
                    self.api.call("PATCH", f"/issues/comments/{one['id']}", {"body": body})
                except HTTPError as error:
                    if error.code == 403:
                        continue  # somebody else's, who wrote our marker
                    raise GitopsError(
                        f"{request.url}: the git host answered {error.code}: {_message(error)}"
                    ) from error
                return
        self.api.asked("POST", f"/issues/{request.number}/comments", {"body": body})

    def _delete_branch(self, name: str) -> None:
        try:
            self.api.call("DELETE", f"/git/refs/heads/{quote(name)}")
        except HTTPError as error:
            if error.code != 422:  # there is none
                raise GitopsError(f"{name}: the git host answered {error.code}: {_message(error)}") from error


def _request(live: Mapping[str, Any]) -> Request:
    state = "merged" if live.get("merged_at") else "opened" if live["state"] == "open" else "closed"
    return Request(
        number=int(live["number"]),
        title=str(live["title"]),
        branch=str(live["head"]["ref"]),
        state=state,
        url=str(live["html_url"]),
        head=str(live["head"]["sha"]),
        fork=_repository(live["head"]) != _repository(live["base"]),
    )


def _repository(side: Mapping[str, Any]) -> str:
    """`owner/name`; empty for a fork that was deleted."""
    return str((side.get("repo") or {}).get("full_name", ""))


def _message(error: HTTPError) -> str:
    try:
        found = json.loads(error.read())
    except (ValueError, OSError):
        return str(error.reason)
    return str(found.get("message", error.reason)) if isinstance(found, dict) else str(error.reason)
