"""Merge requests: what is remembered of one, and who may merge it."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .accounts import User

PROTECTED_PATHS = ("deploy/production/",)  # a change here needs two people


def moment() -> str:
    """Now, as GitLab writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Note:
    """A comment."""

    id: int
    author: User
    body: str
    created: str = field(default_factory=moment)
    updated: str = field(default_factory=moment)

    def shown(self) -> dict[str, Any]:
        """As GitLab shows a note."""
        return {
            "id": self.id,
            "body": self.body,
            "author": self.author.shown(),
            "created_at": self.created,
            "updated_at": self.updated,
            "system": False,
            "noteable_type": "MergeRequest",
        }


@dataclass
class MergeRequest:
    """One request to merge `source` into `target`. `approvals` keeps the commit each user approved."""

    iid: int
    author: User
    source: str
    target: str
    title: str
    description: str = ""
    remove_source: bool = False
    labels: list[str] = field(default_factory=list)
    state: str = "opened"
    created: str = field(default_factory=moment)
    updated: str = field(default_factory=moment)
    merged: str | None = None
    closed: str | None = None
    merged_by: User | None = None
    head: str | None = None
    base: str | None = None
    merge_commit: str | None = None
    squash_commit: str | None = None
    approvals: dict[User, str] = field(default_factory=dict)
    notes: dict[int, Note] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def draft(self) -> bool:
        """GitLab reads it off the title."""
        return self.title.lower().startswith(("draft:", "[draft]", "(draft)"))

    def comment(self, author: User, body: str) -> Note:
        """Add a note."""
        note = Note(next(self._numbers), author, body)
        self.notes[note.id] = note
        return note

    def approvers(self, head: str | None) -> list[User]:
        """Who approved this very commit: a later push asks for approval again."""
        return [user for user, sha in self.approvals.items() if sha == head]


def needs_approval(paths: Iterable[str]) -> bool:
    """Whether a change of these paths must be approved or merged by somebody who did not write it."""
    return any(path.startswith(PROTECTED_PATHS) for path in paths)


def merge_status(request: MergeRequest, user: User, paths: Iterable[str], hindrance: str | None) -> str:
    """GitLab's detailed_merge_status, as it stands for `user`; `mergeable` is the only one that lets them merge.

    `hindrance`: what git has against it, conflict or need_rebase.
    """
    if request.state != "opened":
        return "not_open"
    if request.draft:
        return "draft_status"
    if hindrance:
        return hindrance
    others = [approver for approver in [*request.approvers(request.head), user] if approver != request.author]
    if needs_approval(paths) and not others:
        return "not_approved"
    return "mergeable"
