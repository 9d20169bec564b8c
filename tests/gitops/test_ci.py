"""The CI file is read as GitLab reads it: the offline schema, and the rules that decide which job runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FILE = Path(__file__).parents[2] / ".gitlab-ci.yml"
JOBS = {"lint", "tests", "plan", "notify"}


@pytest.fixture(scope="module")
def ci() -> dict:
    return yaml.safe_load(FILE.read_text())


def test_it_satisfies_gitlabs_own_schema():
    words = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(FILE)]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_it_has_the_four_jobs_and_no_other(ci):
    keywords = {"default", "variables", "workflow", "stages"}
    assert set(ci) - keywords == JOBS


def matches(expression: str, variables: dict[str, str]) -> bool:
    """GitLab's `if`, as far as this file uses it: equality of a variable, joined by &&."""
    terms = [re.fullmatch(r'\$(\w+) == (?:"([^"]*)"|\$(\w+))', term.strip()) for term in expression.split("&&")]
    assert all(terms), f"{expression}: only equality is used here; a pattern would have to be anchored"
    return all(variables.get(term[1]) == (term[2] if term[3] is None else variables.get(term[3])) for term in terms)


def runs(ci: dict, job: str, variables: dict[str, str]) -> bool:
    rules = [*ci["workflow"]["rules"]], ci[job].get("rules")
    return all(group is None or any(matches(rule["if"], variables) for rule in group) for group in rules)


PUSH = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}
REQUEST = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_DEFAULT_BRANCH": "main"}


def test_a_push_to_main_notifies_and_plans_nothing(ci):
    assert {job for job in JOBS if runs(ci, job, PUSH)} == {"lint", "tests", "notify"}


def test_f58_a_merge_request_is_planned_and_notifies_nothing(ci):
    assert {job for job in JOBS if runs(ci, job, REQUEST)} == {"lint", "tests", "plan"}


@pytest.mark.parametrize("branch", ["main2", "not-main", "feature/main", "Main", ""])
def test_a_branch_that_only_looks_like_main_does_not_notify(ci, branch):
    assert not runs(ci, "notify", {**PUSH, "CI_COMMIT_BRANCH": branch})


@pytest.mark.parametrize("source", ["schedule", "web", "merge_request_event", "pipeline"])
def test_only_a_push_notifies(ci, source):
    assert not runs(ci, "notify", {**PUSH, "CI_PIPELINE_SOURCE": source})


def test_every_pattern_is_anchored():
    patterns = re.findall(r"[=!]~\s*/(.*?)/", FILE.read_text())
    assert all(pattern.startswith("^") and pattern.endswith("$") for pattern in patterns)


def test_the_next_push_does_not_cancel_a_notify_job_that_has_not_begun(ci):
    assert ci["workflow"]["auto_cancel"] == {"on_new_commit": "interruptible"}
    assert [job for job in sorted(JOBS) if not ci[job].get("interruptible", ci["default"]["interruptible"])] == [
        "notify"
    ]


def test_commits_are_fetched_in_full(ci):
    assert ci["variables"]["GIT_DEPTH"] == "0"


def test_f58_only_notify_gets_a_token_and_no_job_a_key(ci):
    assert [job for job in sorted(JOBS) if "id_tokens" in ci[job]] == ["notify"]
    assert not {"id_tokens", "secrets"} & {*ci, *ci["default"]}  # what stands there is every job's
    assert ci["notify"]["id_tokens"] == {"AWS_ID_TOKEN": {"aud": "sts.amazonaws.com"}}
    assert not re.search(r"AWS_(SECRET_)?ACCESS_KEY|AWS_SESSION_TOKEN", FILE.read_text())


def test_each_job_runs_the_commands_people_run(ci):
    makefile = (FILE.parent / "Makefile").read_text()
    for job in JOBS:
        for line in ci[job]["script"]:
            target = re.fullmatch(r"make (\w+)", line)
            known = target and re.search(rf"^{target[1]}:", makefile, flags=re.M)
            ours = (".venv/bin/python -m gitops", "umask 077", "rm -rf", "git worktree add --detach", "cd ")
            assert known or line.startswith(ours), line


@pytest.mark.parametrize("job", ["plan", "notify"])
def test_the_program_takes_the_arguments_the_job_gives(ci, job):
    from gitops.__main__ import parser

    (line,) = [line for line in ci[job]["script"] if "gitops" in line]
    words = [word.strip('"').replace("${GIT_TOKEN:+--post}", "--post") for word in line.split()[3:]]
    assert parser().parse_args(words).command == job


def test_f58_the_plan_job_runs_the_bases_code_and_posts_only_with_a_token(ci):
    """A fork's merge request: its own Makefile, lock and gitops/ stay untouched, and it has no token."""
    script = ci["plan"]["script"]
    # beside the checkout, not inside of it: uv and others look for their settings in the folders above
    assert script[1:3] == [
        'git worktree add --detach "$CI_PROJECT_DIR.base" "$CI_MERGE_REQUEST_DIFF_BASE_SHA"',
        'cd "$CI_PROJECT_DIR.base"',
    ]
    assert not {"id_tokens", "variables", "secrets", "before_script", "cache"} & set(ci["plan"])
    assert "before_script" not in ci["default"]
    assert [line.rpartition(" ")[2] for line in script if "gitops" in line] == ["${GIT_TOKEN:+--post}"]
