"""A plan as a comment on either git host: found by its hidden marker, updated in place, stale when main moved."""

import uuid
from dataclasses import dataclass
from typing import Any

import gitlab
import pytest

from gitops import hosts
from gitops.__main__ import main
from gitops.errors import GitopsError
from gitops.hosts import Place
from gitops.planning import plan
from gitops.planning.post import post, stale
from tests.gitops.github_server import PROJECT, serving
from tests.gitops.repository import FILES, Repository, project


@dataclass
class Team:
    """A git host with a merge request on it, and a clone."""

    clone: Repository
    place: Place
    provider: str
    someone: Any  # comments under another account
    read: Any  # every comment's text

    @property
    def host(self) -> Any:
        return hosts.connect(self.provider, self.place)


def on_gitlab(localcloud, clone: Repository) -> Team:
    name = f"recsys/p-{uuid.uuid4().hex[:8]}"
    bare = localcloud.git_root / f"{name}.git"
    clone.git("clone", "--quiet", "--bare", "--branch", "main", ".", str(bare))
    clone.git("remote", "add", "origin", str(bare))
    there = gitlab.Gitlab(localcloud.git_url, private_token=localcloud.tokens["reviewer"]).projects.get(name)
    created = there.mergerequests.create({"source_branch": "topic", "target_branch": "main", "title": "Change"})
    notes = there.mergerequests.get(created.iid).notes
    place = Place(localcloud.git_url, name, "main", localcloud.tokens["bot"])
    return Team(clone, place, "gitlab", lambda body: notes.create({"body": body}), lambda: _bodies(notes))


def _bodies(notes: Any) -> list[str]:
    return [note.body for note in notes.list(get_all=True, sort="asc")]


@pytest.fixture(params=["gitlab", "github"])
def team(request, tmp_path, monkeypatch):
    clone = project(tmp_path / "clone")
    clone.git("checkout", "--quiet", "-b", "topic")
    clone.commit({"docs/a.md": "a"})
    monkeypatch.chdir(clone.root)
    if request.param == "gitlab":
        yield on_gitlab(request.getfixturevalue("localcloud"), clone)
        return
    with serving(clone.root) as (url, state):
        asked = {"title": "Change", "body": "", "draft": False, "head": "topic"}
        from tests.gitops.github_server import create_comment, create_pull

        create_pull(state, "person", asked, ())
        place = Place(url, PROJECT, "main", "bot-token")
        say = lambda body: create_comment(state, "person", {"body": body}, ("1",))  # noqa: E731
        yield Team(clone, place, "github", say, lambda: [one["body"] for one in state.comments.values()])


def test_the_comment_is_made_once_and_then_updated_in_place(team):
    found = plan.plan("main", "topic")
    post(team.host, found)
    team.someone("looks good")
    found.warnings.append("seen twice")
    post(team.host, found)
    first, second = team.read()
    assert first.startswith("<!-- gitops:plan -->\n")
    assert "seen twice" in first
    assert second == "looks good"


def test_f58_somebody_elses_comment_with_our_marker_is_left_alone(team):
    team.someone("<!-- gitops:plan -->\nall is well")
    post(team.host, plan.plan("main", "topic"))
    post(team.host, plan.plan("main", "topic"))
    first, second = team.read()
    assert first.endswith("all is well")
    assert "### Plan: " in second


def test_f34_a_plan_whose_base_moved_says_stale_and_which_data_moved(team):
    found = plan.plan("main", "topic")
    lock = FILES["params/ncf.data.yml"].replace("rows: 24011", "rows: 24012")
    team.clone.git("checkout", "--quiet", "main")
    tip = team.clone.commit({"params/ncf.data.yml": lock})
    if team.provider == "gitlab":
        team.clone.git("push", "--quiet", "origin", "main")
    post(team.host, found)
    (text,) = team.read()
    assert f"**Stale**\n- `main moved on to {tip[:12]} since this branch left it at {found.base[:12]}" in text
    assert "- `params/ncf.data.yml: the data is " in text


def test_a_head_without_a_request_is_an_error(team):
    with pytest.raises(GitopsError, match="head of no open merge request"):
        post(team.host, plan.plan("main", "main"))


def test_the_command_posts_to_the_host_that_project_yml_names(team, monkeypatch, capsys):
    text = FILES["project.yml"].replace("gitlab", team.provider).replace("recsys/film-recommender", team.place.project)
    (team.clone.root / "project.yml").write_text(text)
    monkeypatch.setenv("GIT_URL", team.place.url)
    monkeypatch.setenv("GIT_TOKEN", team.place.token)
    assert main(["plan", "--base", "main", "--head", "topic", "--post"]) == 0
    out, err = capsys.readouterr()
    assert team.read() == [out]
    assert err.startswith("posted to http")


def test_a_base_that_did_not_move_is_not_stale():
    assert stale("a" * 40, "a" * 40, {}) == []
