"""The git host as python-gitlab and git see it: both unchanged, over HTTP, with tokens."""

import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gitlab
import pytest

from localcloud.git_host.routes import ROUTES

PRODUCTION = "deploy/production/ncf.yml"


@dataclass
class Team:
    """A bare repository with one commit on main, a clone of it, and both accounts' view."""

    name: str
    origin: Path
    clone: Path
    bot: Any
    reviewer: Any

    def git(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.clone, env=git_environment(), capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip() if check else done.stderr

    def propose(self, path: str, content: str = "one", **more: Any) -> Any:
        branch = f"change-{uuid.uuid4().hex[:6]}"
        self.bot.branches.create({"branch": branch, "ref": "main"})
        actions = [{"action": "create", "file_path": path, "content": content}]
        self.bot.commits.create({"branch": branch, "commit_message": f"Add {path}", "actions": actions})
        request = {"source_branch": branch, "target_branch": "main", "title": f"Add {path}", **more}
        return self.bot.mergerequests.create(request)


def git_environment() -> dict[str, str]:
    who = {f"GIT_{role}_{key}": "p@example.com" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0", **who}


def with_token(url: str, token: str) -> str:
    return url.replace("://", f"://any:{token}@")


@pytest.fixture
def team(localcloud: Any, tmp_path: Path) -> Team:
    name = f"group/project-{uuid.uuid4().hex[:8]}"
    origin, clone = localcloud.git_root / f"{name}.git", tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin)], check=True)
    address = with_token(f"{localcloud.git_url}/{name}.git", localcloud.tokens["reviewer"])
    clone.mkdir()

    def project(token: str) -> Any:
        return gitlab.Gitlab(localcloud.git_url, private_token=token).projects.get(name)

    accounts = [project(localcloud.tokens[who]) for who in ("bot", "reviewer")]
    team = Team(name, origin, clone, *accounts)
    team.git("init", "--quiet", "--initial-branch=main")
    team.git("remote", "add", "origin", address)
    (clone / "README.md").write_text("hello\n")
    team.git("add", ".")
    team.git("commit", "--quiet", "-m", "Begin")
    team.git("push", "--quiet", "origin", "main")
    return team


def status_of(error: pytest.ExceptionInfo[gitlab.GitlabError]) -> int | None:
    return error.value.response_code


def test_a_clone_over_http_has_what_was_pushed(localcloud: Any, team: Team, tmp_path: Path) -> None:
    address = with_token(f"{localcloud.git_url}/{team.name}.git", localcloud.tokens["bot"])
    subprocess.run(["git", "clone", "--quiet", address, str(tmp_path / "other")], check=True, env=git_environment())
    assert (tmp_path / "other" / "README.md").read_text() == "hello\n"


def test_large_pushes_arrive_whole(team: Team) -> None:
    data = os.urandom(12_000_000)  # git sends it in chunks, the server keeps it on disk
    (team.clone / "large.bin").write_bytes(data)
    team.git("add", ".")
    team.git("commit", "--quiet", "-m", "Large")
    team.git("push", "--quiet", "origin", "main")
    assert team.reviewer.files.raw("large.bin", ref="main") == data


def test_without_a_right_token_nothing_is_seen(localcloud: Any, team: Team) -> None:
    with pytest.raises(gitlab.GitlabAuthenticationError):
        gitlab.Gitlab(localcloud.git_url, private_token="wrong").projects.get(team.name)
    address = with_token(f"{localcloud.git_url}/{team.name}.git", "wrong")
    assert "Authentication failed" in team.git("ls-remote", address, check=False)


def test_the_bot_may_not_push_to_the_protected_branch(localcloud: Any, team: Team) -> None:
    address = with_token(f"{localcloud.git_url}/{team.name}.git", localcloud.tokens["bot"])
    team.git("commit", "--quiet", "--allow-empty", "-m", "Sneak")
    assert "403" in team.git("push", address, "HEAD:main", check=False)
    team.git("push", "--quiet", address, "HEAD:elsewhere")
    with pytest.raises(gitlab.GitlabCreateError) as error:
        team.bot.commits.create({"branch": "main", "commit_message": "x", "actions": []})
    assert status_of(error) == 403
    with pytest.raises(gitlab.GitlabDeleteError):
        team.reviewer.branches.delete("main")


def test_branches_files_and_comparisons_are_gits_own(team: Team) -> None:
    head = team.git("rev-parse", "HEAD")
    branch = team.bot.branches.get("main")
    assert (branch.commit["id"], branch.protected) == (head, True)
    file = team.bot.files.get(file_path="README.md", ref="main")
    assert file.decode() == b"hello\n"
    assert file.blob_id == team.git("rev-parse", "HEAD:README.md")
    assert team.bot.repository_raw_blob(file.blob_id) == b"hello\n"
    assert [entry["path"] for entry in team.bot.repository_tree(ref="main", get_all=True)] == ["README.md"]
    request = team.propose("docs/a.md")
    comparison = team.bot.repository_compare("main", request.source_branch)
    assert [commit["title"] for commit in comparison["commits"]] == ["Add docs/a.md"]
    assert [diff["new_path"] for diff in comparison["diffs"]] == ["docs/a.md"]
    assert team.bot.repository_compare(request.source_branch, "main")["commits"] == []
    with pytest.raises(gitlab.GitlabGetError) as error:
        team.bot.files.get(file_path="absent.md", ref="main")
    assert status_of(error) == 404


def test_one_commit_creates_changes_and_deletes_files(team: Team) -> None:
    team.bot.branches.create({"branch": "work", "ref": "main"})
    actions = [
        {"action": "update", "file_path": "README.md", "content": "changed\n"},
        {"action": "create", "file_path": "a/b.txt", "content": "Yg==", "encoding": "base64"},
    ]
    commit = team.bot.commits.create({"branch": "work", "commit_message": "Change", "actions": actions})
    assert commit.author_name == "Release bot"
    assert team.bot.files.raw("a/b.txt", ref="work") == b"b"
    delete = [{"action": "delete", "file_path": "a/b.txt"}]
    team.bot.commits.create({"branch": "work", "commit_message": "Delete", "actions": delete})
    assert [c.title for c in team.bot.commits.list(ref_name="work", get_all=True)] == ["Delete", "Change", "Begin"]


@pytest.mark.parametrize(
    "action",
    [
        {"action": "create", "file_path": "README.md", "content": ""},
        {"action": "update", "file_path": "absent", "content": ""},
        {"action": "create", "file_path": "../outside", "content": ""},
        {"action": "create", "file_path": "/etc/outside", "content": ""},
        {"action": "create", "file_path": ".git/hooks/post-checkout", "content": ""},
        {"action": "chmod", "file_path": "README.md"},
    ],
)
def test_a_wrong_commit_action_is_refused_and_changes_nothing(team: Team, action: dict[str, str]) -> None:
    team.bot.branches.create({"branch": "work", "ref": "main"})
    with pytest.raises(gitlab.GitlabCreateError) as error:
        team.bot.commits.create({"branch": "work", "commit_message": "x", "actions": [action]})
    assert status_of(error) == 400
    assert team.bot.branches.get("work").commit["id"] == team.git("rev-parse", "main")


def test_a_merge_is_a_real_merge_commit_and_fires_the_hook(team: Team) -> None:
    told = team.origin / "told"
    hook = team.origin / "hooks" / "post-receive"
    hook.write_text(f'#!/bin/sh\nwhile read -r before after ref; do echo "$before $after $ref" >> {told}; done\n')
    hook.chmod(0o755)
    before = team.git("rev-parse", "main")
    request = team.propose("docs/a.md", remove_source_branch=True)
    assert (request.state, request.detailed_merge_status) == ("opened", "mergeable")
    head = request.sha
    request.merge()
    merged = team.bot.mergerequests.get(request.iid)
    assert (merged.state, merged.merged_by["username"]) == ("merged", "bot")
    team.git("pull", "--quiet", "origin", "main")
    assert team.git("rev-list", "--parents", "-1", "HEAD").split() == [merged.merge_commit_sha, before, head]
    assert f"{before} {merged.merge_commit_sha} refs/heads/main" in told.read_text().splitlines()
    assert request.source_branch not in [branch.name for branch in team.bot.branches.list(get_all=True)]
    assert team.bot.repository_compare("main", head)["commits"] == []


def test_production_needs_a_second_person(team: Team) -> None:
    request = team.propose(PRODUCTION)
    assert request.detailed_merge_status == "not_approved"
    with pytest.raises(gitlab.GitlabMRClosedError) as error:
        request.merge()
    assert status_of(error) == 405
    with pytest.raises(gitlab.GitlabAuthenticationError):
        request.approve()
    team.reviewer.mergerequests.get(request.iid).approve()
    assert [row["user"]["username"] for row in request.approvals.get().approved_by] == ["reviewer"]
    request.merge()
    assert team.bot.mergerequests.get(request.iid).state == "merged"


def test_a_reviewer_may_merge_production_without_a_word(team: Team) -> None:
    request = team.propose(PRODUCTION)
    seen = team.reviewer.mergerequests.get(request.iid)
    assert [change["new_path"] for change in seen.changes()["changes"]] == [PRODUCTION]
    seen.merge()
    assert team.bot.mergerequests.get(request.iid).merged_by["username"] == "reviewer"


def test_an_approval_does_not_outlive_a_push(team: Team) -> None:
    request = team.propose(PRODUCTION)
    team.reviewer.mergerequests.get(request.iid).approve()
    actions = [{"action": "update", "file_path": PRODUCTION, "content": "two"}]
    team.bot.commits.create({"branch": request.source_branch, "commit_message": "Swap", "actions": actions})
    assert team.bot.mergerequests.get(request.iid).detailed_merge_status == "not_approved"


def test_moving_a_file_out_of_production_needs_a_second_person_too(team: Team) -> None:
    first = team.propose(PRODUCTION, content="a long enough text to be recognised as the same file\n" * 5)
    team.reviewer.mergerequests.get(first.iid).merge()
    text = team.bot.files.raw(PRODUCTION, ref="main").decode()
    team.bot.branches.create({"branch": "move", "ref": "main"})
    actions = [
        {"action": "delete", "file_path": PRODUCTION},
        {"action": "create", "file_path": "docs/ncf.yml", "content": text},
    ]
    team.bot.commits.create({"branch": "move", "commit_message": "Move", "actions": actions})
    request = team.bot.mergerequests.create({"source_branch": "move", "target_branch": "main", "title": "Move"})
    assert request.detailed_merge_status == "not_approved"


def test_conflicts_and_drafts_cannot_be_merged(team: Team) -> None:
    first, second = team.propose("same.txt", "one"), team.propose("same.txt", "two")
    first.merge()
    second = team.bot.mergerequests.get(second.iid)
    assert second.has_conflicts
    with pytest.raises(gitlab.GitlabMRClosedError) as error:
        second.merge()
    assert status_of(error) == 422
    draft = team.propose("other.txt", title="Draft: wait")
    assert draft.draft
    with pytest.raises(gitlab.GitlabMRClosedError):
        draft.merge()
    draft.title = "Ready"
    draft.save()
    draft.merge()


def test_requests_are_listed_discussed_and_closed(team: Team) -> None:
    one, two = team.propose("a.txt"), team.propose("b.txt")
    with pytest.raises(gitlab.GitlabCreateError) as error:
        team.bot.mergerequests.create({"source_branch": one.source_branch, "target_branch": "main", "title": "again"})
    assert status_of(error) == 409
    listed = [r.iid for r in team.bot.mergerequests.list(state="opened", per_page=1, iterator=True)]
    assert listed == [two.iid, one.iid]
    found = team.bot.mergerequests.list(source_branch=one.source_branch, state="all", get_all=True)
    assert [r.iid for r in found] == [one.iid]
    note = one.notes.create({"body": "why"})
    note.body = "superseded"
    note.save()
    assert [n.body for n in one.notes.list(get_all=True)] == ["superseded"]
    one.state_event = "close"
    one.save()
    assert team.bot.mergerequests.get(one.iid).state == "closed"
    assert [r.iid for r in team.bot.mergerequests.list(state="opened", get_all=True)] == [two.iid]


def test_a_commit_carries_the_latest_state_of_each_check(team: Team) -> None:
    sha = team.git("rev-parse", "main")
    commit = team.bot.commits.get(sha)
    commit.statuses.create({"state": "running", "name": "deploy"})
    commit.statuses.create({"state": "success", "name": "deploy"})
    assert [(s.name, s.status) for s in commit.statuses.list(get_all=True)] == [("deploy", "success")]


def test_a_call_that_is_not_answered_is_named(team: Team) -> None:
    with pytest.raises(gitlab.GitlabListError, match=r"localcloud does not implement GET .*/issues"):
        team.bot.issues.list(get_all=True)
    assert len({(method, path) for method, path, _ in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize(("method", "squash", "parents"), [("merge", True, 2), ("ff", False, 1), ("ff", True, 1)])
def test_a_project_says_how_its_requests_are_merged(team: Team, method: str, squash: bool, parents: int):
    team.reviewer.merge_method = method
    team.reviewer.save()
    request = team.propose("docs/a.md")
    head = team.bot.mergerequests.get(request.iid).sha
    request.merge(squash=squash)
    landed = team.bot.branches.get("main").commit
    assert len(landed["parent_ids"]) == parents
    merged = team.bot.mergerequests.get(request.iid)
    assert (merged.squash_commit_sha is not None, merged.merge_commit_sha is not None) == (squash, method == "merge")
    assert (landed["id"] == head) == (method == "ff" and not squash)


def test_how_requests_are_merged_is_the_maintainers_to_say(team: Team):
    team.bot.squash_option = "always"
    with pytest.raises(gitlab.exceptions.GitlabError, match="403"):
        team.bot.save()
    team.reviewer.merge_method = "octopus"
    with pytest.raises(gitlab.exceptions.GitlabError, match="octopus"):
        team.reviewer.save()
