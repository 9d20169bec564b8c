"""Back to an earlier release, in real repositories and on localcloud's git host."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import gitlab as python_gitlab
import pytest

from gitops import deployment, git, ledger
from gitops.errors import GitopsError
from gitops.hosts import ConflictError
from gitops.oncall.rollback import Slot, rollback
from tests.gitops.candidates import candidate
from tests.gitops.host import RepositoryHost
from tests.gitops.repository import PROJECT, project

ROOT = Path(__file__).parents[3]
ONE, TWO, THREE = (f"ncf-{number:012x}" for number in (1, 2, 3))


class Team:
    """A project whose staging and production have a past."""

    def __init__(self, root: Path) -> None:
        self.repository = project(root)
        self.host = RepositoryHost(self.repository)
        self.said: list[str] = []

    def release(self, number: int | None, environment: str = "staging", **more: str) -> str:
        """Commit that the environment serves version `number`."""
        path = f"deploy/{environment}/ncf.yml"
        found = candidate(number).release if number else None
        text = deployment.with_release((self.repository.root / path).read_text(), found, Path(path))
        return self.repository.commit({path: text, **more})

    def served(self, environment: str = "staging") -> str | None:
        path = f"deploy/{environment}/ncf.yml"
        found = deployment.load(Path(path), self.host.read(path, "main")).release
        return found and found.id

    def rollback(self, environment: str = "staging", to: str = "", automatic: bool = True):
        slot = Slot(environment, "ncf", self.repository.root)
        return rollback(self.host, slot, to, automatic, self.said.append)


@pytest.fixture
def team(tmp_path):
    return Team(tmp_path / "origin")


def test_the_release_before_is_asked_for_again_in_one_block_of_one_file(team):
    team.release(1)
    team.release(2)
    text = team.host.read("deploy/staging/ncf.yml", "main")
    team.repository.commit({"deploy/staging/ncf.yml": text.replace("retry: 0", "retry: 1  # kept")})
    head = team.host.head()
    team.rollback()
    assert team.served() == ONE
    assert git.changed(head, "main", team.repository.root) == ["deploy/staging/ncf.yml"]
    assert "retry: 1  # kept" in team.host.read("deploy/staging/ncf.yml", "main")


def test_running_it_again_goes_no_further_and_says_how_to(team):
    for number in (1, 2, 3):
        team.release(number)
    team.rollback()
    head, said = team.host.head(), len(team.said)
    assert team.rollback() is None
    assert (team.host.head(), team.served()) == (head, TWO)
    assert f"was rolled back to {TWO} from {THREE}" in team.said[said]
    team.rollback(to=ONE)
    assert team.served() == ONE


def test_after_a_new_release_the_one_before_it_is_the_one_that_served(team):
    team.release(1)
    team.release(2)
    team.rollback()
    team.release(3)
    team.rollback()
    assert team.served() == ONE


def test_the_first_release_has_nothing_before_it(team):
    team.release(1)
    with pytest.raises(GitopsError, match="nothing is earlier"):
        team.rollback()
    team.release(None)
    with pytest.raises(GitopsError, match="nothing is deployed here"):
        team.rollback()
    assert team.host.every == []


def test_a_release_that_never_was_here_needs_its_record_and_a_pass(team):
    good, draft = candidate(7), candidate(8, "inconclusive")
    records = {ledger.path("ncf", one.release.id): ledger.render(one.record()) for one in (good, draft)}
    team.release(1, **records)
    team.rollback(to=good.release.id)
    assert team.served() == good.release.id
    with pytest.raises(GitopsError, match="its verdict is 'inconclusive'"):
        team.rollback(to=draft.release.id)
    with pytest.raises(GitopsError, match=f"has no record in releases/ncf/; it had {good.release.id}, {ONE}"):
        team.rollback(to="ncf-0123456789ab")


def test_what_git_asks_for_already_is_not_asked_for_again(team):
    team.release(1)
    assert team.rollback(to=ONE) is None
    assert team.said == [f"deploy/staging/ncf.yml: asks for {ONE} already"]


def test_a_protected_environment_gets_one_request_and_the_lines_that_do_the_same(team):
    team.release(1, "production")
    team.repository.git("checkout", "--quiet", "-b", "promotion")
    team.release(2, "production")
    team.repository.git("checkout", "--quiet", "main")
    team.repository.git("merge", "--quiet", "--no-ff", "--no-edit", "promotion")
    merge = team.host.head()
    request = team.rollback("production", automatic=False)
    assert team.rollback("production", automatic=False) == request
    assert [one.state for one in team.host.every] == ["opened"]
    assert team.served("production") == TWO
    revert = next(line.split() for line in team.said if "git revert" in line)
    assert revert[-1] == merge
    team.repository.git(*revert[1:])
    assert team.served("production") == ONE


def test_a_commit_that_changed_more_is_not_reverted_whole(team):
    record = {ledger.path("ncf", TWO): ledger.render(candidate(2).record())}
    team.release(1)
    team.release(2, **record)
    request = team.rollback(automatic=False)
    assert not any("git revert" in line for line in team.said)
    assert any(line.split()[:2] == ["git", "fetch"] and line.endswith(request.branch) for line in team.said)


def test_what_others_put_on_the_branch_is_not_merged_unseen(team):
    team.release(1)
    team.release(2)
    request = team.rollback(automatic=False)
    team.repository.git("checkout", "--quiet", request.branch)
    team.repository.commit({"deploy/production/ncf.yml": "model: ncf\n"})
    team.repository.git("checkout", "--quiet", "main")
    head = team.host.head()
    team.rollback()
    assert git.changed(head, "main", team.repository.root) == ["deploy/staging/ncf.yml"]


def test_a_branch_that_moves_meanwhile_is_said(team):
    team.release(1)
    team.release(2)
    team.host.interruptions.append(lambda: team.release(3))
    with pytest.raises(ConflictError):
        team.rollback()
    assert team.served() == THREE


def test_the_command_rolls_staging_back_and_leaves_production_to_a_person(localcloud, tmp_path):
    team, name = Team(tmp_path / "clone"), f"r{uuid.uuid4().hex[:8]}"
    team.repository.commit({"project.yml": PROJECT.replace("film-recommender", name)})
    bare = localcloud.git_root / f"recsys/{name}.git"
    for number in (1, 2):
        team.release(number)
        team.release(number, "production")
    team.repository.git("clone", "--quiet", "--bare", ".", str(bare))
    team.repository.git("remote", "add", "origin", str(bare))

    def gitops(*words: str) -> str:
        team.repository.git("pull", "--quiet", "--ff-only", "origin", "main")
        access = {"GIT_URL": localcloud.git_url, "GIT_TOKEN": localcloud.tokens["bot"]}
        done = subprocess.run(
            [sys.executable, "-m", "gitops", *words],
            cwd=team.repository.root,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **access},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    assert "merged as" in gitops("rollback", "staging", "ncf")
    assert "was rolled back to" in gitops("rollback", "staging", "ncf")
    assert (team.served(), team.served("production")) == (ONE, TWO)
    said = gitops("rollback", "production", "ncf")
    assert "git revert --no-edit" in said
    reviewer = python_gitlab.Gitlab(localcloud.git_url, private_token=localcloud.tokens["reviewer"])
    (request,) = reviewer.projects.get(f"recsys/{name}").mergerequests.list(state="opened", get_all=True)
    assert request.web_url in said
    assert [row["new_path"] for row in request.changes()["changes"]] == ["deploy/production/ncf.yml"]
    request.approve()
    request.merge()
    assert "was rolled back to" in gitops("rollback", "production", "ncf")
    assert team.served("production") == ONE
    assert "is no environment" in gitops("rollback", "prod", "ncf")
