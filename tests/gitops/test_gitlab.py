"""The GitLab host, through python-gitlab, against localcloud's git host: what a build asks and does there."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import gitlab as python_gitlab
import pytest

from gitops import deployment, git, hosts
from gitops.errors import GitopsError
from gitops.events import origin
from gitops.hosts import Change, ConflictError, Place
from gitops.hosts.gitlab import GitLab
from gitops.promotion.propose import Policy, Proposer
from tests.gitops.candidates import candidate
from tests.gitops.repository import Repository, project

STAGING, PRODUCTION = "deploy/staging/ncf.yml", "deploy/production/ncf.yml"
POLICY = Policy(("staging", "production"), {"staging": "auto", "production": "merge_request"})


@dataclass
class Origin:
    """A project on the git host, and a clone that pushes to it."""

    host: GitLab
    clone: Repository
    place: Place
    reviewer: object
    origin: Path

    def commit(self, files: dict[str, str | None]) -> str:
        """Someone pushes to main."""
        self.clone.git("pull", "--quiet", "--ff-only", "origin", "main")
        sha = self.clone.commit(files)
        self.clone.git("push", "--quiet", "origin", "main")
        return sha


@pytest.fixture
def team(localcloud, tmp_path) -> Origin:
    name = f"recsys/p-{uuid.uuid4().hex[:8]}"
    bare = localcloud.git_root / f"{name}.git"
    clone = project(tmp_path / "clone")
    clone.git("clone", "--quiet", "--bare", ".", str(bare))
    clone.git("remote", "add", "origin", str(bare))
    place = Place(localcloud.git_url, name, "main", localcloud.tokens["bot"])
    reviewer = python_gitlab.Gitlab(localcloud.git_url, private_token=localcloud.tokens["reviewer"]).projects.get(name)
    return Origin(hosts.connect("gitlab", place), clone, place, reviewer, bare)


def change(branch: str = "topic", draft: bool = False, **files: str) -> Change:
    return Change(branch, "Change it", "because", files or {"a.txt": "one\n"}, draft)


def test_the_head_and_what_is_on_it(team):
    sha = team.clone.git("rev-parse", "HEAD")
    assert team.host.head() == sha
    assert team.host.read(STAGING, "main") == (team.clone.root / STAGING).read_text()
    assert team.host.blob(STAGING, sha) == git.blob_sha((team.clone.root / STAGING).read_bytes())
    assert team.host.blob("deploy/staging/other.yml", sha) is None


def test_only_commits_of_the_branch_are_on_it(team):
    first = team.clone.git("rev-parse", "HEAD")
    second = team.commit({"a.txt": "1"})
    request = team.host.open(change(), second)
    topic = team.reviewer.branches.get(request.branch).commit["id"]
    assert [team.host.contains(sha) for sha in (first, second, topic, "f" * 40)] == [True, True, False, False]


def test_a_change_is_one_commit_and_a_request_that_can_be_merged(team):
    files = {"a.txt": "new\n", "README.md": "changed\n"}
    request = team.host.open(Change("topic", "Change it", "because", files), team.host.head())
    assert (request.state, request.title, team.host.find("topic")) == ("opened", "Change it", [request])
    sha = team.host.merge(request)
    assert team.host.head() == sha
    assert [team.host.read(path, "main") for path in files] == list(files.values())
    assert team.host.find("topic")[0].state == "merged"
    assert team.host.opened("") == []


def test_f11_a_branch_left_by_a_killed_run_is_begun_again(team):
    team.reviewer.branches.create({"branch": "topic", "ref": "main"})
    head = team.commit({"a.txt": "moved on"})
    request = team.host.open(change("topic", **{"b.txt": "b"}), head)
    team.host.merge(request)
    assert team.host.read("b.txt", "main") == "b"


def test_f34_a_request_that_conflicts_says_so(team):
    request = team.host.open(change(**{"README.md": "ours\n"}), team.host.head())
    team.commit({"README.md": "theirs\n"})
    with pytest.raises(ConflictError):
        team.host.merge(request)
    team.host.close(request, "begun again")
    assert team.host.find("topic")[0].state == "closed"
    assert "topic" not in [branch.name for branch in team.reviewer.branches.list(get_all=True)]
    assert [note.body for note in team.reviewer.mergerequests.get(request.number).notes.list()] == ["begun again"]


def test_f58_what_others_push_to_the_branch_is_not_merged(team):
    request = team.host.open(change(**{"a.txt": "ours\n"}), team.host.head())
    actions = [{"action": "create", "file_path": "b.txt", "content": "theirs\n"}]
    team.reviewer.commits.create({"branch": "topic", "commit_message": "Sneak", "actions": actions})
    with pytest.raises(ConflictError):
        team.host.merge(request)
    assert team.host.read("b.txt", "main") is None


def test_the_bot_cannot_merge_its_own_promotion(team):
    request = team.host.open(change(**{PRODUCTION: "model: ncf\n"}), team.host.head())
    with pytest.raises(GitopsError, match="cannot be merged"):
        team.host.merge(request)
    assert team.host.find("topic")[0].state == "opened"


def test_a_draft_is_marked_and_not_merged(team):
    request = team.host.open(change(draft=True), team.host.head())
    assert request.title == "Draft: Change it"
    with pytest.raises(GitopsError, match="draft"):
        team.host.merge(request)


def test_a_branch_that_is_not_protected_is_no_source_of_truth(team):
    team.host.open(change("topic"), team.host.head())
    with pytest.raises(GitopsError, match="not a protected branch"):
        GitLab(team.host.project, "topic").head()
    with pytest.raises(GitopsError, match="has no branch nowhere"):
        GitLab(team.host.project, "nowhere").head()


def test_a_tree_from_another_place_is_refused(team):
    commit, root = team.host.head(), team.clone.root
    assert origin.standing(team.host, commit, root, STAGING) is origin.Standing.CURRENT
    text = (root / STAGING).read_text()
    team.commit({STAGING: text + "# newer\n"})
    (root / STAGING).write_text(text)
    assert origin.standing(team.host, commit, root, STAGING) is origin.Standing.SUPERSEDED
    (root / STAGING).write_text(text + "# tampered\n")
    with pytest.raises(GitopsError, match="changed on its way"):
        origin.standing(team.host, commit, root, STAGING)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [("token", "wrong", "answered 401"), ("project", "recsys/nothing", "answered 404"), ("token", "", "GIT_TOKEN")],
)
def test_a_place_that_does_not_answer_is_explained(team, field, value, sentence):
    from dataclasses import replace

    with pytest.raises(GitopsError, match=sentence):
        hosts.connect("gitlab", replace(team.place, **{field: value}))


def test_an_unknown_provider_is_refused(team):
    with pytest.raises(GitopsError, match="must be one of github, gitlab"):
        hosts.connect("sourceforge", team.place)


def test_a_candidate_is_released_and_promoted_through_the_api(team):
    said: list[str] = []
    Proposer(team.host, POLICY, candidate(1), said.append).all()
    Proposer(team.host, POLICY, candidate(2), said.append).all()

    def release(path: str) -> str | None:
        found = deployment.load(Path(path), team.host.read(path, "main")).release
        return found and found.id

    assert (release(STAGING), release(PRODUCTION)) == ("ncf-000000000002", None)
    (request,) = team.host.opened("promote/production/")
    assert request.title == "Promote ncf v2 to production: PASS (3 of 3 gates)"
    live = team.reviewer.mergerequests.get(request.number)
    assert [row["new_path"] for row in live.changes()["changes"]] == [PRODUCTION]
    live.approve()
    live.merge()
    assert release(PRODUCTION) == "ncf-000000000002"
    count = len(said)
    Proposer(team.host, POLICY, candidate(2), said.append).all()
    assert [line.split(":")[1] for line in said[count:]] == [" ncf-000000000002 is there already"] * 2


@pytest.mark.parametrize(("method", "squash"), [("merge", "always"), ("ff", "never"), ("ff", "always")])
def test_releases_and_promotions_survive_however_the_host_merges(team, method, squash):
    """What is deployed and what was proposed is read from files and requests, never from the shape of history."""
    team.reviewer.merge_method, team.reviewer.squash_option = method, squash
    team.reviewer.save()
    said: list[str] = []
    for number in (1, 2):
        Proposer(team.host, POLICY, candidate(number), said.append).all()
        (request,) = team.host.opened("promote/production/")
        live = team.reviewer.mergerequests.get(request.number)
        live.approve()
        live.merge()
        count = len(said)
        Proposer(team.host, POLICY, candidate(number), said.append).all()
        assert [line.split(": ")[1] for line in said[count:]] == [f"ncf-{number:012x} is there already"] * 2
    parents = git.text("log", "--first-parent", "-4", "--format=%P", "main", cwd=team.origin).splitlines()
    assert {len(line.split()) for line in parents} == ({2} if method == "merge" else {1})
    assert [team.host.contains(team.host.find(f"promote/production/ncf-{n:012x}")[0].head) for n in (1, 2)] == [
        squash == "never"
    ] * 2
    assert sorted(path for path in git.changed("", "main", team.origin) if path.startswith("releases/")) == [
        f"releases/ncf/ncf-{n:012x}.json" for n in (1, 2)
    ]


def test_a_fast_forward_that_needs_a_rebase_is_begun_again_from_the_new_head(team):
    team.reviewer.merge_method = "ff"
    team.reviewer.save()
    request = team.host.open(change(**{"a.txt": "ours\n"}), team.host.head())
    team.commit({"b.txt": "theirs\n"})
    with pytest.raises(ConflictError, match="need_rebase"):
        team.host.merge(request)
    again = team.host.open(change("again", **{"a.txt": "ours\n"}), team.host.head())
    assert team.host.merge(again) == team.host.head() == again.head


class Listed:
    """A project whose one open request comes from a fork, as GitLab lists it."""

    class mergerequests:  # noqa: N801 - python-gitlab's name
        @staticmethod
        def list(**_: object) -> list[SimpleNamespace]:
            facts = {"iid": 1, "title": "Promote ncf", "source_branch": "promote/production/ncf-000000000001"}
            ids = {"source_project_id": 2, "target_project_id": 1}
            return [SimpleNamespace(**facts, **ids, state="opened", web_url="u", sha="a" * 40)]


def test_f58_a_forks_branch_that_is_called_like_a_promotion_is_none():
    """Else nothing would be proposed any more, and a stranger's request would stand in its place."""
    host = GitLab(Listed, "main")
    assert host.find("promote/production/ncf-000000000001") == []
    assert host.opened("promote/") == []
    assert [one.fork for one in host.opened("")] == [True]  # a plan is posted there as well
