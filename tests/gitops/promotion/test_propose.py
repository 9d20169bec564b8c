import json
from pathlib import Path

import pytest

from gitops import deployment, git
from gitops.hosts import Change
from gitops.promotion import review
from gitops.promotion.propose import Policy, Proposer
from tests.gitops.candidates import candidate
from tests.gitops.host import RepositoryHost
from tests.gitops.repository import FILES, PARAMS, project

POLICY = Policy(("staging", "production"), {"staging": "auto", "production": "merge_request"})


@pytest.fixture
def host(tmp_path):
    return RepositoryHost(project(tmp_path / "origin"))


def propose(host: RepositoryHost, found, policy: Policy = POLICY) -> list[str]:
    said: list[str] = []
    Proposer(host, policy, found, said.append).all()
    return said


def release(host: RepositoryHost, environment: str) -> str | None:
    path = f"deploy/{environment}/ncf.yml"
    found = deployment.load(Path(path), host.read(path, "main")).release
    return found and found.id


def states(host: RepositoryHost) -> dict[str, str]:
    return {request.branch: request.state for request in host.every}


def test_a_candidate_reaches_staging_with_its_evidence_and_asks_for_production(host):
    before = host.head()
    propose(host, candidate(1))
    assert release(host, "staging") == "ncf-000000000001"
    assert release(host, "production") is None
    assert git.changed(before, "main", host.repository.root) == [
        "deploy/staging/ncf.yml",
        "releases/ncf/ncf-000000000001.json",
    ]
    assert states(host) == {
        "release/ncf-000000000001": "merged",
        "promote/production/ncf-000000000001": "opened",
    }


def test_the_evidence_says_where_the_candidate_comes_from_and_how_good_it_is(host):
    propose(host, candidate(1))
    record = json.loads(host.read("releases/ncf/ncf-000000000001.json", "main"))
    assert record["commit"] == "c" * 40
    assert record["package_arn"].endswith("/1")
    assert record["archive"]["sha256"] == "a" * 64
    assert record["metrics"]["ndcg@10"] == {"value": 0.0312, "low": 0.0301, "high": 0.0323}
    assert (record["gate"]["verdict"], record["pipeline_version"]) == ("pass", 2)
    assert record["created"] == "2026-11-20T12:00:00+00:00"


def test_a_promotion_touches_one_file_and_in_it_only_the_release_block(host):
    propose(host, candidate(1))
    promotion = host.every[1]
    assert host.changed_by(promotion) == ["deploy/production/ncf.yml"]
    text = host.read("deploy/production/ncf.yml", promotion.branch)
    before, after = FILES["deploy/production/ncf.yml"].split("release: null")
    assert text.startswith(before + "release:")
    assert text.endswith(after.split("yet", 1)[1])
    assert promotion.title == "Promote ncf v1 to production: PASS (3 of 3 gates)"


def test_f01_a_second_event_changes_nothing_and_says_so_in_one_line_each(host):
    propose(host, candidate(1))
    head, count = host.head(), len(host.every)
    said = propose(host, candidate(1))
    assert (host.head(), len(host.every)) == (head, count)
    assert [line.split(":")[0] for line in said] == ["staging", "production"]


def test_a_newer_candidate_closes_the_older_promotion(host):
    propose(host, candidate(1))
    propose(host, candidate(2))
    assert states(host)["promote/production/ncf-000000000001"] == "closed"
    assert states(host)["promote/production/ncf-000000000002"] == "opened"
    assert "newer candidate" in host.notes[2]
    assert release(host, "staging") == "ncf-000000000002"


def test_an_older_candidate_that_comes_late_proposes_nothing(host):
    propose(host, candidate(2))
    head, count = host.head(), len(host.every)
    said = propose(host, candidate(1))
    assert (host.head(), len(host.every)) == (head, count)
    assert all("superseded" in line for line in said)


def pushed(host: RepositoryHost, epochs: int) -> str:
    return host.repository.commit({"params/ncf.yml": PARAMS.replace("epochs: 10", f"epochs: {epochs}")})


def of_commit(version: int, sha: str):
    found = candidate(version)
    found.package["CustomerMetadataProperties"]["commit"] = sha
    return found


@pytest.mark.parametrize("first", ["the later commit's", "the earlier commit's"])
def test_f03_of_two_pushes_the_later_commits_candidate_counts_however_long_the_runs_took(host, first):
    """The earlier commit trained longer, so its version is the higher one."""
    earlier, later = of_commit(2, pushed(host, 20)), of_commit(1, pushed(host, 30))
    said = [propose(host, found) for found in ((later, earlier) if "later" in first else (earlier, later))]
    assert release(host, "staging") == "ncf-000000000001"
    opened = [branch for branch, state in states(host).items() if state == "opened"]
    assert opened == ["promote/production/ncf-000000000001"]
    assert "superseded" in said[1][0] or "earlier" in first


def test_f02_a_candidate_of_an_earlier_commit_counts_again_when_the_branch_has_gone_back_to_it(host):
    """Its run failed at first, and was continued by the revert: it still carries the first commit's name."""
    earlier, later = of_commit(2, pushed(host, 20)), of_commit(1, pushed(host, 30))
    propose(host, later)
    pushed(host, 20)
    propose(host, earlier)
    assert release(host, "staging") == "ncf-000000000002"


def test_another_models_promotion_stays_open(host):
    propose(host, candidate(1))
    other = host.every[1]
    host.every.append(type(other)(3, "other", "promote/production/ncf-two-000000000001", "opened", "u", ""))
    propose(host, candidate(2))
    assert states(host)["promote/production/ncf-two-000000000001"] == "opened"


def test_an_inconclusive_candidate_is_a_draft_everywhere_and_never_merged(host):
    reasons = ["120 holdout users; at least 200 are asked"]
    propose(host, candidate(1, "inconclusive", users=120, reasons=reasons))
    assert {request.state for request in host.every} == {"opened"}
    assert release(host, "staging") is None
    assert host.every[1].title == "Draft: Promote ncf v1 to production: INCONCLUSIVE (2 of 3 gates)"
    assert host.bodies[2].splitlines()[0] == "**INCONCLUSIVE**: 120 holdout users; at least 200 are asked"


@pytest.mark.parametrize("text", ["release: null", "release: [", "# as it was"])
def test_f58_a_request_by_the_promotions_name_that_asks_for_something_else_is_closed(host, text):
    path = "deploy/production/ncf.yml"
    evil = FILES[path].replace("release: null", text) if ":" in text else f"{text}\n{FILES[path]}"
    host.open(Change("promote/production/ncf-000000000001", "Promote ncf v1: PASS", "", {path: evil}), host.head())
    propose(host, candidate(1))
    assert [request.state for request in host.every if request.branch.startswith("promote/")] == ["closed", "opened"]
    asked = deployment.load(Path(path), host.read(path, "promote/production/ncf-000000000001")).release
    assert asked == candidate(1).release


def test_a_promotion_turned_down_is_not_opened_again(host):
    propose(host, candidate(1))
    host.close(host.every[1], "no")
    assert "turned down" in propose(host, candidate(1))[1]
    assert len(host.every) == 2


def test_a_staging_release_that_was_reverted_is_not_released_again(host):
    propose(host, candidate(1))
    host.repository.git("revert", "--no-edit", "--mainline", "1", "HEAD")
    assert "merged before" in propose(host, candidate(1))[0]
    assert release(host, "staging") is None


def test_f34_a_branch_that_moves_meanwhile_is_begun_again_from_its_new_head(host):
    def someone_deploys_another() -> None:
        text = host.read("deploy/staging/ncf.yml", "main")
        host.repository.commit({"deploy/staging/ncf.yml": text.replace("release: null", "release: null #")})

    host.interruptions = [someone_deploys_another] * 2
    propose(host, candidate(1))
    assert release(host, "staging") == "ncf-000000000001"
    assert [request.state for request in host.find("release/ncf-000000000001")] == ["closed", "closed", "merged"]


def test_f11_a_run_killed_before_its_merge_is_begun_again(host):
    def killed() -> None:
        raise KeyboardInterrupt

    host.interruptions = [killed]
    with pytest.raises(KeyboardInterrupt):
        propose(host, candidate(1))
    propose(host, candidate(1))
    assert [request.state for request in host.find("release/ncf-000000000001")] == ["closed", "merged"]


def test_what_others_put_on_the_bots_branch_is_not_merged(host):
    def sneak(base: str) -> None:
        host.repository.git("checkout", "--quiet", "-B", "release/ncf-000000000001", base)
        host.repository.commit({"buildspec.yml": "mine now"})
        host.repository.git("checkout", "--quiet", "main")

    host.open(Change("release/ncf-000000000001", "Promote", "", {"buildspec.yml": "mine"}), host.head())
    host.interruptions = [lambda: sneak("release/ncf-000000000001")]
    before = host.read("buildspec.yml", "main")
    propose(host, candidate(1))
    assert host.read("buildspec.yml", "main") == before
    assert release(host, "staging") == "ncf-000000000001"


def test_an_environment_the_policy_leaves_out_is_left_alone(host):
    propose(host, candidate(1), Policy(("staging", "production"), {"production": "merge_request"}))
    assert list(states(host)) == ["promote/production/ncf-000000000001"]


def test_the_text_of_a_promotion_is_decision_first_and_short(host):
    propose(host, candidate(1))
    body = host.bodies[2]
    assert body.startswith("**PASS**")
    assert "| ndcg@10 at least 0.02 | 0.0312 | [0.0301, 0.0323] | 801 | pass |" in body
    assert "| at least 200 holdout users | 801 |  | 801 | pass |" in body
    assert "On the same 801 users of the holdout:" in body
    assert "| **neumf**, this candidate | 0.0312 | [0.0301, 0.0323] |  |" in body
    assert "| popularity, baseline | 0.0201 | [0.0190, 0.0210] | +0.0111 [0.0090, 0.0120] |" in body
    assert "| ease, of the same run | 0.0309 | [0.0301, 0.0323] |  |" in body
    assert "Rollout: merging starts the deploy build (all_at_once, 0 s under watch, no alarm)" in body
    assert "Rollback: `python -m gitops rollback production ncf`" in body
    assert "Report: `s3://film-recommender/steps/Evaluate/1/report.html`" in body
    assert "+  id: ncf-000000000001" in body
    assert unfolded(body) <= 60


def unfolded(body: str) -> int:
    """How many lines a reader sees before they open anything."""
    return sum(len(part.partition("<details>")[0].splitlines()) for part in body.split("</details>"))


CHANGES = {
    "length": 10,
    "users": 801,
    "overlap": 0.714,
    "identical": 0.02,
    "first": 0.55,
    "examples": [{"user": "0a1b2c3d", "before": ["aa", "bb"], "after": ["aa", "cc"]}] * 9,
}


def test_what_changes_for_users_is_said_with_a_few_lists_under_hashed_names():
    body = described(candidate(1, changes=CHANGES))
    assert "71 % of a top-10 stays, the first item for 55 % of 801 users, the whole list for 2 %." in body
    assert "- before: `aa` `bb`\n- after: `aa` **`cc`**\n" in body
    assert body.count("user `0a1b2c3d`, 1 of 2 kept") == 3


def test_f58_no_item_of_the_data_is_a_mention_a_picture_or_a_command():
    """A git host carries out what stands in a request's text, with the bot's rights."""
    evil = ["@all", "![](//x/a.png)", "\n/merge", "`\n/approve"]
    examples = [{"user": "0a1b2c3d", "before": evil, "after": ["aa"]}]
    body = described(candidate(1, changes=CHANGES | {"examples": examples}))
    assert "- before: `@all` `![](//x/a.png)` `/merge` `' /approve`\n" in body


def test_f58_no_line_of_a_deploy_file_ends_the_diff():
    promotion = review.Promotion("production", "deploy/production/ncf.yml", "a: |\n```\n/merge", "release: {}")
    assert review.description(candidate(1), promotion).count("```") == 2


def test_without_a_champion_nothing_is_said_to_change():
    assert "What changes for users: not known, no champion was compared." in described(candidate(1))


def test_many_rules_and_models_are_folded_and_those_that_did_not_pass_come_first():
    rule = {"verdict": "pass", "finding": "", "rule": "hr@10 at least 0.1", "value": 0.2, "users": 9}
    doubt = {"verdict": "inconclusive", "finding": "the champion cannot be read"}
    models = {f"m{number}": {"metrics": {}} for number in range(30)}
    body = described(candidate(1, findings=[rule] * 40 + [doubt], models=models, changes=CHANGES))
    assert unfolded(body) <= 60
    assert "29 more rules" in body
    first = body.index("| the champion cannot be read | - |  | - | inconclusive |")
    assert first < body.index("| hr@10 at least 0.1 |")


def described(found) -> str:
    promotion = review.Promotion("production", "deploy/production/ncf.yml", "release: null", "release: {}")
    return review.description(found, promotion)


def test_a_champion_stands_beside_its_challenger():
    champion = {
        "metrics": {"ndcg@10": {"value": 0.03, "low": 0.029, "high": 0.031}},
        "difference": {"ndcg@10": {"value": 0.0012, "low": -0.0001, "high": 0.0025}},
    }
    body = described(candidate(1, champion=champion))
    assert "| champion, scored again | 0.0300 | [0.0290, 0.0310] | +0.0012 [-0.0001, 0.0025] |" in body


@pytest.mark.parametrize("value", [None, float("nan"), "0.9", True, {}, {"value": None}])
def test_what_is_no_number_is_shown_as_a_dash(value):
    assert "| **neumf**, this candidate | - |  |  |" in described(candidate(1, metrics={"ndcg@10": value}))


def test_a_finding_cannot_break_out_of_its_row():
    body = described(candidate(1, findings=[{"verdict": "pass", "finding": "a | b\n<script>"}]))
    assert "| a \\| b &lt;script> |" in body


def test_a_new_release_keeps_the_image_that_serves_and_takes_it_on_to_production(host):
    propose(host, candidate(1))
    path = "deploy/staging/ncf.yml"
    text = host.read(path, "main")
    before = deployment.load(Path(path), text).release
    newer = before.image.rpartition(":")[0] + ":" + "f" * 64
    host.repository.commit({path: text.replace(before.image, newer)})
    propose(host, candidate(2))
    for environment, ref in (("staging", "main"), ("production", host.every[-1].branch)):
        path = f"deploy/{environment}/ncf.yml"
        found = deployment.load(Path(path), host.read(path, ref)).release
        assert (found.id, found.image) == ("ncf-000000000002", newer)
