"""Status: what it says of each state, and that it says `unknown` rather than nothing."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitops import deployment, ledger, specs
from gitops.delivery.capacity import COUNT, Drift
from gitops.delivery.decide import MOVING, STATES
from gitops.delivery.endpoint import ATTEMPT_DIGEST, VERIFIED_CONFIG, VERIFIED_P99
from gitops.deployment import Autoscaling
from gitops.errors import GitopsError
from gitops.hosts import Change
from gitops.oncall import status
from gitops.oncall.live import Live
from tests.gitops.candidates import candidate
from tests.gitops.host import RepositoryHost
from tests.gitops.repository import FILES, project

ROOT = Path(__file__).parents[3]
FOUND = candidate(1)
PATH = "deploy/production/ncf.yml"
DESIRED = deployment.load(Path(PATH), deployment.with_release(FILES[PATH], FOUND.release, Path(PATH)))
NOTHING = deployment.load(Path(PATH), FILES[PATH])
NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


def live(state: str = "InService", release=FOUND.release, **more) -> Live:
    told = specs.asked(DESIRED.model_copy(update={"release": release}))
    return Live(state, told, FOUND.execution.run_id, "ncf", **more)


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_endpoint_state_has_a_row(state):
    found = status.row("production", DESIRED, live(state))
    expected = "Progressing" if state in MOVING else "Healthy" if state == "InService" else "Degraded"
    assert found.health == expected
    assert found.well == (state == "InService")
    assert bool(found.reason) == (state != "InService")


def test_what_serves_what_git_asks_for_but_never_proved_itself_is_not_healthy():
    found = status.row("production", DESIRED, live(notes={ATTEMPT_DIGEST: "d" * 64}))
    assert (found.sync, found.health, found.well) == ("Synced", "Unverified", False)
    assert "did not prove itself" in found.reason


def test_the_p99_of_golden_requests_is_shown_for_the_config_that_was_verified():
    notes = {VERIFIED_CONFIG: "one", VERIFIED_P99: "3.2"}
    assert "3.2 ms" in status.table([status.row("production", DESIRED, live(config="one", notes=notes))])
    assert "3.2 ms" not in status.table([status.row("production", DESIRED, live(config="two", notes=notes))])


def test_a_rolled_back_update_shows_its_reason_and_the_old_release_as_healthy():
    old = candidate(2).release.model_copy(update={"archive_uri": "s3://film-recommender/old/model.tar.gz"})
    found = status.row("production", DESIRED, live(release=old, failure="the container did not pass its ping"))
    assert (found.sync, found.health) == ("OutOfSync", "Healthy")
    assert found.reason == "InService: the container did not pass its ping"


def test_the_same_release_served_otherwise_than_git_says_is_out_of_sync_and_the_difference_is_told():
    more = DESIRED.model_copy(update={"serving": DESIRED.serving.model_copy(update={"instances": 3})})
    found = status.row("production", more, live())
    assert (found.sync, found.health, found.well) == ("OutOfSync", "Healthy", False)
    assert found.reason == "main.instances is 1, git says 3"


def test_instances_that_a_hand_changed_are_told_and_those_of_scaling_are_not():
    changed = live(drift=(Drift("main", COUNT, 2, 1),))
    found = status.row("production", DESIRED, changed)
    assert (found.sync, found.reason) == ("OutOfSync", "main: DesiredInstanceCount is 2, git asks for 1")
    scaled = DESIRED.model_copy(update={"autoscaling": Autoscaling(min=1, max=3, invocations_per_instance=100)})
    assert status.row("production", scaled, changed).well


def test_an_endpoint_that_git_asks_nothing_of_is_out_of_sync():
    found = status.row("production", NOTHING, live())
    assert (found.sync, found.reason) == ("OutOfSync", "no release is asked for")


def test_nothing_asked_for_and_nothing_there_is_well():
    assert status.row("production", NOTHING, None).well
    assert not status.row("production", DESIRED, None).well


def test_the_age_of_model_and_data_comes_from_the_record_and_the_locks_history(tmp_path):
    repository = project(tmp_path)
    record = FOUND.record() | {"commit": repository.git("rev-parse", "HEAD")}
    repository.commit({ledger.path("ncf", FOUND.release.id): ledger.render(record)})
    found = status.aged(status.row("production", DESIRED, live()), tmp_path)
    assert found.model_made == "2026-11-20T12:00:00+00:00"
    assert found.data_locked == repository.git("log", "-1", "--format=%cI", "HEAD~1")
    assert "model 5 d, data " in status.table([found], now=NOW)


def test_a_record_that_is_not_there_or_no_record_has_no_age(tmp_path):
    found = status.row("production", DESIRED, live())
    assert status.aged(found, tmp_path) == found
    file = tmp_path / ledger.path("ncf", found.live)
    file.parent.mkdir(parents=True)
    for text in ("{", "[]", "{}"):
        file.write_text(text)
        assert status.aged(found, tmp_path) == found


def test_f54_a_record_names_a_commit_and_never_an_option_of_git(tmp_path):
    repository = project(tmp_path)
    evil = FOUND.record() | {"commit": f"--output={tmp_path / 'evil'}"}
    repository.commit({ledger.path("ncf", FOUND.release.id): ledger.render(evil)})
    assert status.aged(status.row("production", DESIRED, live()), tmp_path).data_locked == ""
    assert not (tmp_path / "evil").exists()


def test_a_deploy_file_that_nobody_can_read_still_shows_what_serves():
    found = status.unread("production", "ncf", live(), "deploy/production/ncf.yml: not UTF-8")
    assert (found.desired, found.live, found.sync, found.health) == ("unknown", FOUND.release.id, "Unknown", "Healthy")
    assert "production/ncf: deploy/production/ncf.yml: not UTF-8" in status.table([found])


@pytest.mark.parametrize(
    ("text", "shown"),
    [("2026-11-25T11:30:00+00:00", "0 h"), ("2026-11-23T12:00:00", "2 d"), ("2027-01-01T00:00:00+00:00", "0 h")],
)
def test_an_age_is_never_negative_whatever_the_clocks_say(text, shown):
    assert status.age(text, NOW) == shown


BRANCHES = {
    "staging": ["release/ncf-000000000001", "data/ncf-00000000", "image/staging-000000000003"],
    "production": [
        "promote/production/ncf-000000000002",
        "rollback/production/ncf/ncf-a-to-ncf-b",
        "revert/production/ncf-000000000004",
        "drift/production/ncf-000000000005",
        "teardown/production/ncf/ncf-000000000006",
    ],
    "": ["rollback/production/other/a-to-b", "promote/production/ncf-two-000000000002", "release/ncf-x", "topic"],
}


def test_every_open_request_is_shown_beside_its_environment_and_model_only(tmp_path):
    """Releases and data locks stand at the model's first environment."""
    host = RepositoryHost(project(tmp_path))
    for branch in (name for names in BRANCHES.values() for name in names):
        draft = branch.startswith("release/")
        host.open(Change(branch, f"From {branch}", "", {"a.txt": branch}, draft), host.head())
    rows, silence = status.asked([status.row(name, NOTHING, None) for name in ("staging", "production")], lambda: host)
    shown = {row.environment: [text.partition(" (")[0].rpartition("From ")[2] for text in row.requests] for row in rows}
    assert (silence, shown) == ("", {name: names for name, names in BRANCHES.items() if name})
    assert "staging/ncf: open: Draft: From release/ncf-000000000001 (https://git.example.com/1)" in status.table(rows)


def test_a_pause_or_freeze_of_the_policy_is_shown_and_a_silent_host_is_said(tmp_path):
    host = RepositoryHost(project(tmp_path))
    host.repository.commit({"deploy/production/_policy.yml": "paused: true\nreason: the market is closed\n"})
    row = status.row("production", NOTHING, None)
    found, silence = status.asked([row], lambda: host)
    assert "production/ncf: held: paused: the market is closed" in status.table(found, silence)

    def silent() -> RepositoryHost:
        raise GitopsError("nobody answers")

    assert "open requests: unknown; nobody answers" in status.table(*status.asked([row], silent))


def gitops(cwd: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(cwd), "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "gitops", "status", *words]
    return subprocess.run(command, cwd=cwd, env=base | environment, capture_output=True, text=True, check=False)


def test_without_aws_and_git_host_everything_is_unknown_and_nothing_crashes(tmp_path):
    project(tmp_path)
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    done = gitops(tmp_path, "--json", GIT_URL="http://127.0.0.1:9", GIT_TOKEN="x", **away)
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    assert {(row["live"], row["sync"], row["health"]) for row in shown} == {("unknown", "Unknown", "Unknown")}
    assert not any(row["requests_known"] for row in shown)
    done = gitops(tmp_path, "--check")
    assert (done.returncode, done.stderr) == (1, "")
    assert "AWS cannot be asked" in done.stdout
    assert "open requests: unknown; GIT_TOKEN" in done.stdout


def test_one_broken_deploy_file_does_not_hide_the_other_rows(tmp_path):
    project(tmp_path).commit({"deploy/staging/ncf.yml": "a: &b [*b]\n"})
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    done = gitops(tmp_path, "--json", **away)
    assert (done.returncode, done.stderr) == (0, "")
    assert [(row["environment"], row["desired"]) for row in json.loads(done.stdout)] == [
        ("staging", "unknown"),
        ("production", "-"),
    ]
