"""The GitHub host against a local server with GitHub's API: what a build asks and does there."""

from dataclasses import replace
from pathlib import Path

import pytest

from gitops import deployment, git, hosts
from gitops.errors import GitopsError
from gitops.hosts import Change, ConflictError, Place
from gitops.hosts.github import Api, GitHub
from gitops.promotion.propose import Policy, Proposer
from tests.gitops.candidates import candidate
from tests.gitops.github_server import PROJECT, serving
from tests.gitops.repository import project

STAGING, PRODUCTION = "deploy/staging/ncf.yml", "deploy/production/ncf.yml"
POLICY = Policy(("staging", "production"), {"staging": "auto", "production": "merge_request"})


@pytest.fixture
def clone(tmp_path):
    found = project(tmp_path / "clone")
    found.git("checkout", "--quiet", "--detach")  # main is the server's to move
    return found


@pytest.fixture
def server(clone):
    with serving(clone.root) as (url, state):
        yield Place(url, PROJECT, "main", "bot-token"), state


@pytest.fixture
def host(server) -> GitHub:
    return hosts.connect("github", server[0])


def change(branch: str = "topic", draft: bool = False, **files: str) -> Change:
    return Change(branch, "Change it", "because", files or {"a.txt": "one\n"}, draft)


def push(state, files: dict[str, str], branch: str = "main") -> str:
    """Someone else's commit."""
    tree = {"base_tree": state.git("rev-parse", f"{branch}^{{tree}}")}
    from tests.gitops.github_server import create_tree

    tree = create_tree(state, "", {**tree, "tree": [{"path": p, "content": t} for p, t in files.items()]}, ())["sha"]
    sha = state.git("commit-tree", tree, "-p", branch, "-m", "theirs")
    state.git("update-ref", f"refs/heads/{branch}", sha)
    return sha


def test_the_head_and_what_is_on_it(host, clone):
    sha = clone.git("rev-parse", "main")
    assert host.head() == sha
    assert host.read(STAGING, "main") == (clone.root / STAGING).read_text()
    assert host.blob(STAGING, sha) == git.blob_sha((clone.root / STAGING).read_bytes())
    assert host.blob("deploy/staging/other.yml", sha) is None


def test_only_commits_of_the_branch_are_on_it(host, server):
    first = host.head()
    second = push(server[1], {"b.txt": "b"})
    request = host.open(change(), second)
    assert [host.contains(sha) for sha in (first, second, request.head, "f" * 40)] == [True, True, False, False]


def test_a_change_is_one_commit_and_a_request_that_can_be_merged(host):
    request = host.open(change(**{"a.txt": "new\n", "deploy/x/y.yml": "changed\n"}), host.head())
    assert (request.state, request.title, host.find("topic")) == ("opened", "Change it", [request])
    sha = host.merge(request)
    assert host.head() == sha
    assert (host.read("deploy/x/y.yml", "main"), host.read("README.md", "main")) == ("changed\n", "# A project\n")
    assert (host.find("topic")[0].state, host.opened("")) == ("merged", [])


def test_a_request_that_conflicts_or_moved_is_begun_again(host, server):
    request = host.open(change(**{"README.md": "ours\n"}), host.head())
    with pytest.raises(ConflictError, match="modified"):
        host.merge(replace(request, head="f" * 40))
    push(server[1], {"README.md": "theirs\n"})
    with pytest.raises(ConflictError, match="dirty"):
        host.merge(request)
    host.close(request, "begun again")
    assert host.find("topic")[0].state == "closed"
    assert [one["body"] for one in server[1].comments.values()] == ["begun again"]
    again = host.open(change(**{"README.md": "ours\n"}), host.head())
    assert host.merge(again) == host.head()


@pytest.mark.parametrize("allowed", ["allow_merge_commit", "allow_squash_merge"])
def test_it_merges_as_the_repository_allows(server, allowed):
    server[1].methods = dict.fromkeys(server[1].methods, False) | {allowed: True}
    host = hosts.connect("github", server[0])
    said: list[str] = []
    Proposer(host, POLICY, candidate(1), said.append).all()
    Proposer(host, POLICY, candidate(1), said.append).all()
    found = deployment.load(Path(STAGING), host.read(STAGING, "main")).release
    assert found.id == "ncf-000000000001"
    assert "is there already" in said[-2]
    assert [one.title for one in host.opened("promote/")] == ["Promote ncf v1 to production: PASS (3 of 3 gates)"]


def test_a_list_of_several_pages_is_read_to_its_end(host):
    head = host.head()
    for number in range(3):
        host.open(change(f"topic-{number}"), head)
    host.api.page = 2
    assert len(host.opened("topic-")) == 3


def test_a_hosts_own_fault_is_asked_about_again_and_nothing_is_sent_twice(host, server):
    server[1].failures = [503]
    assert host.head()
    server[1].failures = [503]
    asked = {"head": "main", "base": "main", "title": "", "body": "", "draft": False}
    with pytest.raises(GitopsError, match="answered 503: try again"):
        host.api.asked("POST", "/pulls", asked)
    assert server[1].pulls == {}


def test_a_draft_is_not_merged(host):
    request = host.open(change(draft=True), host.head())
    with pytest.raises(GitopsError, match="is a draft"):
        host.merge(request)
    assert host.find("topic")[0].state == "opened"


def test_a_branch_that_is_not_protected_is_no_source_of_truth(host, server):
    server[1].protected.clear()
    with pytest.raises(GitopsError, match="not a protected branch"):
        host.head()


def test_a_token_is_not_carried_to_where_a_redirect_points(server):
    with serving(server[1].root) as (other, _):
        server[1].redirect = f"{other}/api/v3/repos/{PROJECT}"
        with pytest.raises(GitopsError, match="answered 301"):
            hosts.connect("github", server[0])


@pytest.mark.parametrize(
    ("field", "value", "sentence"), [("token", "wrong", "answered 401"), ("project", "a/b", "404")]
)
def test_a_place_that_does_not_answer_is_explained(server, field, value, sentence):
    with pytest.raises(GitopsError, match=sentence):
        hosts.connect("github", replace(server[0], **{field: value}))


def test_nobody_there_is_explained():
    with pytest.raises(GitopsError, match="cannot be reached"):
        hosts.connect("github", Place("http://127.0.0.1:9", PROJECT, "main", "t"))


def test_github_com_is_asked_at_its_own_address():
    assert Api(Place("https://github.com", PROJECT, "main", "t")).base == f"https://api.github.com/repos/{PROJECT}"


@pytest.mark.parametrize("repository", [{"full_name": "stranger/film-recommender"}, None])
def test_f58_a_forks_branch_that_is_called_like_a_promotion_is_none(server, host, repository):
    """Else nothing would be proposed any more, and a stranger's request would stand in its place."""
    request = host.open(change("promote/production/ncf-000000000001"), host.head())
    server[1].pulls[request.number]["head"]["repo"] = repository
    assert host.find(request.branch) == []
    assert host.opened("promote/") == []
    assert [one.fork for one in host.opened("")] == [True]
