"""New partitions become commits of the data lock, by merge request."""

import json
import uuid

import pytest

from gitops.data.relock import Order, Relocker, params_files
from gitops.errors import GitopsError
from pipelines.params import Refresh
from tests.gitops.data.test_lockfile import rows_of
from tests.gitops.host import RepositoryHost
from tests.gitops.repository import project

LOCK = "params/ncf.data.yml"
FIRST, SECOND = (f"raw/completejourney/week=2017-{week}/part-0.parquet" for week in (41, 42))


@pytest.fixture
def team(tmp_path, localcloud):
    """A project whose lock names a partition that nobody reads again, and a bucket with two new ones."""
    s3, bucket = localcloud.client("s3"), f"relock-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    for key, rows in ((FIRST, 3), (SECOND, 5), ("raw/other/week=1/a.parquet", 1)):
        s3.put_object(Bucket=bucket, Key=key, Body=rows_of(rows))
    s3.put_object(Bucket=bucket, Key="raw/completejourney/notes.txt", Body=b"no partition")
    said: list[str] = []
    return Relocker(RepositoryHost(project(tmp_path / "origin")), s3, bucket, said.append)


def partitions(team: Relocker) -> list[tuple[str, int]]:
    return [(each.key, each.rows) for each in team.locked(LOCK).partitions[1:]]


def new(team: Relocker) -> list[str]:
    return team.new_keys(team.locked(LOCK))


def test_what_is_new_is_what_lies_there_and_is_not_locked(team):
    assert new(team) == [FIRST, SECOND]


def test_a_lock_that_params_let_the_bot_merge_lands_at_once_and_once(team):
    order = Order(LOCK, "new-partition", automatic=True)
    team.propose(order, new(team))
    assert partitions(team) == [(FIRST, 3), (SECOND, 5)]
    assert team.locked(LOCK).reason == "new-partition"
    head = team.host.head()
    team.propose(order, [FIRST, SECOND])
    assert (team.host.head(), len(team.host.every)) == (head, 1)
    assert "nothing new" in team.say.__self__[-1]


def test_the_merge_changes_the_lock_and_nothing_else(team):
    team.propose(Order(LOCK, "schedule", automatic=False), [FIRST])
    (request,) = team.host.every
    assert team.host.changed_by(request) == [LOCK]
    assert partitions(team) == []
    assert FIRST in team.host.bodies[1]


def test_a_request_that_is_open_or_was_turned_down_is_not_made_again(team):
    order = Order(LOCK, "drift", automatic=False, note="users drifted")
    team.propose(order, [FIRST])
    team.propose(order, [FIRST])
    assert len(team.host.every) == 1
    assert "users drifted" in team.host.bodies[1]
    team.host.close(team.host.every[0], "not now")
    team.propose(order, [FIRST])
    assert len(team.host.every) == 1
    team.propose(order, [FIRST, SECOND])
    assert len(team.host.every) == 2


def test_a_branch_that_moves_meanwhile_is_begun_again_and_loses_nothing(team):
    other = Order(LOCK, "new-partition", automatic=True)
    team.host.interruptions.append(lambda: team.propose(other, [SECOND]))
    team.propose(other, [FIRST])
    assert partitions(team) == [(FIRST, 3), (SECOND, 5)]


def test_a_partition_that_is_not_there_is_refused_and_proposes_nothing(team):
    with pytest.raises(GitopsError, match="the nearest that exists is"):
        team.propose(Order(LOCK, "new-partition", automatic=True), [FIRST, FIRST.replace("41", "43")])
    assert team.host.every == []


def test_a_key_that_is_code_is_no_partition(team):
    with pytest.raises(Exception, match="raw/"):
        team.propose(Order(LOCK, "new-partition", automatic=True), ["raw/completejourney/$(touch canary)/a.parquet"])
    assert team.host.every == []


def test_who_merges_is_said_by_reason_and_a_persons_own_reasons_are_a_persons_to_merge():
    policy = Refresh()
    assert [policy.automatic(reason) for reason in ("new-partition", "schedule")] == [True, True]
    assert [policy.automatic(reason) for reason in ("drift", "backfill", "manual")] == [False, False, False]
    assert json.loads(policy.model_dump_json())["drift"] == "merge_request"


def test_a_manifest_is_for_the_model_that_its_key_names(team):
    root = team.host.repository.root
    key = "manifests/ncf/2026-11.json"
    listed = [{"prefix": f"s3://{team.bucket}/raw/completejourney/"}, "week=2017-41/part-0.parquet"]
    team.s3.put_object(Bucket=team.bucket, Key=key, Body=json.dumps(listed).encode())
    (file,) = params_files(root, key)
    team.relock(file, "new-partition", key)
    assert partitions(team) == [(FIRST, 3)]


@pytest.mark.parametrize("key", ["manifests/other/a.json", "manifests/../ncf/a.json", "raw/ncf/a.json", "manifests"])
def test_a_manifest_that_names_no_model_is_refused(team, key):
    with pytest.raises(GitopsError, match="names no model"):
        params_files(team.host.repository.root, key)


def test_without_a_manifest_everything_new_of_every_model_is_proposed(team):
    (file,) = params_files(team.host.repository.root)
    team.relock(file, "schedule")
    assert partitions(team) == [(FIRST, 3), (SECOND, 5)]
