"""Every call of GitLab's REST API that is answered here. A new one is one line."""

import re
from collections.abc import Callable
from typing import Any

from . import contents, reviews
from .call import Call

Handler = Callable[[Call], Any]
_REPOSITORY = "/repository"
_REQUEST = "/merge_requests/{iid}"

# paths below /api/v4/projects/{project}
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "", contents.get_project),
    ("PUT", "", contents.update_project),
    ("GET", f"{_REPOSITORY}/branches", contents.list_branches),
    ("POST", f"{_REPOSITORY}/branches", contents.create_branch),
    ("GET", f"{_REPOSITORY}/branches/{{branch}}", contents.get_branch),
    ("DELETE", f"{_REPOSITORY}/branches/{{branch}}", contents.delete_branch),
    ("GET", "/protected_branches", contents.list_protected_branches),
    ("GET", "/protected_branches/{branch}", contents.get_protected_branch),
    ("GET", f"{_REPOSITORY}/files/{{path}}", contents.get_file),
    ("GET", f"{_REPOSITORY}/files/{{path}}/raw", contents.get_raw_file),
    ("GET", f"{_REPOSITORY}/blobs/{{sha}}", contents.get_blob),
    ("GET", f"{_REPOSITORY}/blobs/{{sha}}/raw", contents.get_raw_blob),
    ("GET", f"{_REPOSITORY}/tree", contents.get_tree),
    ("GET", f"{_REPOSITORY}/commits", contents.list_commits),
    ("POST", f"{_REPOSITORY}/commits", contents.create_commit),
    ("GET", f"{_REPOSITORY}/commits/{{sha}}", contents.get_commit),
    ("GET", f"{_REPOSITORY}/commits/{{sha}}/diff", contents.get_commit_diff),
    ("GET", f"{_REPOSITORY}/commits/{{sha}}/statuses", contents.list_statuses),
    ("GET", f"{_REPOSITORY}/compare", contents.compare),
    ("POST", "/statuses/{sha}", contents.create_status),
    ("GET", "/merge_requests", reviews.list_requests),
    ("POST", "/merge_requests", reviews.create_request),
    ("GET", _REQUEST, reviews.get_request),
    ("PUT", _REQUEST, reviews.update_request),
    ("PUT", f"{_REQUEST}/merge", reviews.merge_request),
    ("POST", f"{_REQUEST}/approve", reviews.approve),
    ("POST", f"{_REQUEST}/unapprove", reviews.unapprove),
    ("GET", f"{_REQUEST}/approvals", reviews.get_approvals),
    ("GET", f"{_REQUEST}/changes", reviews.get_changes),
    ("GET", f"{_REQUEST}/diffs", reviews.list_diffs),
    ("GET", f"{_REQUEST}/commits", reviews.list_commits),
    ("GET", f"{_REQUEST}/notes", reviews.list_notes),
    ("POST", f"{_REQUEST}/notes", reviews.create_note),
    ("GET", f"{_REQUEST}/notes/{{note}}", reviews.get_note),
    ("PUT", f"{_REQUEST}/notes/{{note}}", reviews.update_note),
)


def _pattern(template: str) -> re.Pattern[str]:
    """Numbers for iid and note; the other placeholders are one, percent-encoded, segment."""
    numbered = re.sub(r"\{(iid|note)\}", r"(?P<\1>[0-9]+)", template)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", numbered))


_COMPILED = [(method, _pattern(template), handler) for method, template, handler in ROUTES]


def find(method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
    """The handler of a still percent-encoded path below the project, and its placeholders."""
    for wanted, pattern, handler in _COMPILED:
        match = pattern.fullmatch(path) if wanted == method else None
        if match:
            return handler, match.groupdict()
    return None
