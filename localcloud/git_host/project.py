"""One project: its repository, its merge requests, its commit statuses, and how GitLab shows them."""

import itertools
import threading
from dataclasses import dataclass, field
from typing import Any

from ..service import CloudError
from .accounts import User
from .commits import merges
from .merge_requests import MergeRequest, merge_status
from .repository import Commit, Repository


@dataclass
class Project:
    """`name` is the path with its groups, such as recsys/recommender."""

    id: int
    name: str
    url: str
    repository: Repository
    requests: dict[int, MergeRequest] = field(default_factory=dict)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    merge_method: str = "merge"
    squash_option: str = "default_off"
    _clean: dict[tuple[str, str], bool] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """As GitLab shows a project."""
        return {
            "id": self.id,
            "name": self.name.rpartition("/")[2],
            "path": self.name.rpartition("/")[2],
            "path_with_namespace": self.name,
            "default_branch": self.repository.default_branch,
            "web_url": self.url,
            "http_url_to_repo": f"{self.url}.git",
            "merge_method": self.merge_method,
            "squash_option": self.squash_option,
            "visibility": "private",
            "archived": False,
        }

    def is_protected(self, branch: str) -> bool:
        """The default branch is: only maintainers push to it, everyone else goes through a merge request."""
        return branch == self.repository.default_branch

    def branch(self, name: str) -> dict[str, Any]:
        """As GitLab shows a branch; CloudError 404 if there is none."""
        branches = self.repository.branches()
        if name not in branches:
            raise CloudError("NotFound", "404 Branch Not Found", 404)
        protected = self.is_protected(name)
        return {
            "name": name,
            "commit": self.commit(branches[name]),
            "merged": False,
            "protected": protected,
            "default": protected,
            "developers_can_push": False,
            "developers_can_merge": True,
            "can_push": True,
            "web_url": f"{self.url}/-/tree/{name}",
        }

    def commit(self, sha: str) -> dict[str, Any]:
        """As GitLab shows the commit of a full sha."""
        return self.show_commit(self.repository.commits("-1", sha)[0])

    def show_commit(self, commit: Commit) -> dict[str, Any]:
        """As GitLab shows a commit."""
        return {
            "id": commit.sha,
            "short_id": commit.sha[:8],
            "title": commit.title,
            "message": commit.message,
            "parent_ids": list(commit.parents),
            "author_name": commit.author[0],
            "author_email": commit.author[1],
            "authored_date": commit.author[2],
            "committer_name": commit.committer[0],
            "committer_email": commit.committer[1],
            "committed_date": commit.committer[2],
            "created_at": commit.committer[2],
            "web_url": f"{self.url}/-/commit/{commit.sha}",
        }

    def request(self, iid: str) -> MergeRequest:
        """The merge request of a number; CloudError 404 if there is none. An open one follows its branch."""
        found = self.requests.get(int(iid))
        if found is None:
            raise CloudError("NotFound", "404 Not found", 404)
        if found.state == "opened":
            branches = self.repository.branches()
            found.head = branches.get(found.source)
            target = branches.get(found.target)
            found.base = self.repository.merge_base(target, found.head) if target and found.head else None
        return found

    def changes(self, request: MergeRequest) -> list[dict[str, Any]]:
        """What the request changes, from where it left the target branch."""
        if not request.head or not request.base:
            return []
        return self.repository.changes(request.base, request.head)

    def status(self, request: MergeRequest, user: User) -> str:
        """detailed_merge_status for a user."""
        paths = self.repository.paths(request.base, request.head) if request.base and request.head else []
        return merge_status(request, user, paths, self._hindrance(request))

    def _hindrance(self, request: MergeRequest) -> str | None:
        """Why git cannot merge as the project merges: conflict, or need_rebase where only fast-forwards are allowed."""
        target = self.repository.branches().get(request.target)
        if request.state != "opened" or not target or not request.head or not self._clean_merge(target, request.head):
            return "conflict"
        behind = self.merge_method == "ff" and request.base != target
        return "need_rebase" if behind else None

    def _clean_merge(self, target: str, head: str) -> bool:
        pair = (target, head)
        if pair not in self._clean:
            self._clean[pair] = merges(self.repository, *pair)
        return self._clean[pair]

    def show_request(self, request: MergeRequest, user: User) -> dict[str, Any]:
        """As GitLab shows a merge request."""
        status = self.status(request, user)
        return {
            "id": self.id * 10_000 + request.iid,
            "iid": request.iid,
            "project_id": self.id,
            "source_project_id": self.id,
            "target_project_id": self.id,
            "title": request.title,
            "description": request.description,
            "state": request.state,
            "draft": request.draft,
            "work_in_progress": request.draft,
            "labels": request.labels,
            "author": request.author.shown(),
            "assignees": [],
            "reviewers": [],
            "source_branch": request.source,
            "target_branch": request.target,
            "sha": request.head,
            "merge_commit_sha": request.merge_commit,
            "squash_commit_sha": request.squash_commit,
            "merge_user": request.merged_by.shown() if request.merged_by else None,
            "merged_by": request.merged_by.shown() if request.merged_by else None,
            "created_at": request.created,
            "updated_at": request.updated,
            "merged_at": request.merged,
            "closed_at": request.closed,
            "merge_status": "can_be_merged" if status == "mergeable" else "cannot_be_merged",
            "detailed_merge_status": status,
            "has_conflicts": status == "conflict",
            "should_remove_source_branch": None,
            "force_remove_source_branch": request.remove_source,
            "user_notes_count": len(request.notes),
            "diff_refs": {"base_sha": request.base, "head_sha": request.head, "start_sha": request.base},
            "references": {"short": f"!{request.iid}", "full": f"{self.name}!{request.iid}"},
            "web_url": f"{self.url}/-/merge_requests/{request.iid}",
        }
