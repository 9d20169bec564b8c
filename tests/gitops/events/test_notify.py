import io
import json
import os
import subprocess
import sys
import threading
import uuid
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitops.errors import GitopsError
from gitops.events import notify, source
from gitops.events.notify import Push, Target
from tests.gitops.repository import PROJECT, project

ROOT = Path(__file__).parents[3]
ZERO = "0" * 40


class Bus:
    """Takes entries, and refuses the first `failures` of them as EventBridge does: with a 200."""

    def __init__(self, failures: int = 0) -> None:
        self.entries: list[dict] = []
        self.failures = failures

    def put_events(self, Entries: list[dict]) -> dict:  # noqa: N803 - boto3's name
        if self.failures:
            self.failures -= 1
            refused = [{"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}]
            return {"FailedEntryCount": 1, "Entries": refused}
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}

    @property
    def details(self) -> list[dict]:
        return [json.loads(entry["Detail"]) for entry in self.entries]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    found = project(tmp_path / "clone")
    monkeypatch.chdir(found.root)  # notify is run inside a clone
    return found


@pytest.fixture
def target(localcloud):
    s3, name = localcloud.client("s3"), f"notify-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    return Target(s3, Bus(), name, "film-recommender", "film-recommender")


def head(target: Target) -> dict:
    return json.loads(target.s3.get_object(Bucket=target.bucket, Key=source.HEAD)["Body"].read())


def test_a_push_is_an_event_with_the_paths_that_differ(repository):
    before = repository.git("rev-parse", "HEAD")
    sha = repository.commit({"params/ncf.yml": "changed", "docs/ü b.md": "new", "README.md": None})
    assert notify.detail(Push("main", before, sha), "film-recommender") == {
        "version": 1,
        "project": "film-recommender",
        "branch": "main",
        "sha": sha,
        "before": before,
        "sequence": 2,
        "changedFiles": ["README.md", "docs/ü b.md", "params/ncf.yml"],
        "truncated": False,
    }


@pytest.mark.parametrize("before", [ZERO, "f" * 40, ""])
def test_with_no_known_before_every_file_has_changed(repository, before):
    sha = repository.git("rev-parse", "HEAD")
    files = notify.detail(Push("main", before, sha), "p")["changedFiles"]
    assert files == sorted(repository.git("ls-files").splitlines())


def test_a_moved_file_is_listed_under_both_names(repository):
    before = repository.git("rev-parse", "HEAD")
    repository.git("mv", "params/ncf.yml", "docs.yml")
    sha = repository.commit({})
    assert notify.detail(Push("main", before, sha), "p")["changedFiles"] == ["docs.yml", "params/ncf.yml"]


def test_a_merge_lists_what_it_brought_and_counts_once(repository):
    before = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.commit({"params/a.yml": "1"})
    repository.commit({"params/b.yml": "1"})
    repository.git("checkout", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "--message", "merge", "topic")
    detail = notify.detail(Push("main", before, "HEAD"), "p")
    assert (detail["changedFiles"], detail["sequence"]) == (["params/a.yml", "params/b.yml"], 2)


def test_a_shallow_clone_is_refused_because_it_cannot_count(repository, tmp_path, monkeypatch):
    sha = repository.commit({"README.md": "2"})
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.root}", str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    with pytest.raises(GitopsError, match="GIT_DEPTH"):
        notify.detail(Push("main", ZERO, sha), "p")


def test_the_source_is_there_before_the_event_and_is_that_commit(repository, target):
    sha = repository.git("rev-parse", "HEAD")
    notify.notify(Push("refs/heads/main", ZERO, sha), target, say=lambda line: None)
    archive = target.s3.get_object(Bucket=target.bucket, Key=f"source/{sha}.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        assert sorted(name for name in zipped.namelist() if not name.endswith("/")) == sorted(
            repository.git("ls-files").splitlines()
        )
    assert head(target) == {"sha": sha, "sequence": 1, "key": f"source/{sha}.zip"}
    (entry,) = target.events.entries
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == (
        "gitops.commit",
        "Commit",
        "film-recommender",
    )
    assert json.loads(entry["Detail"])["branch"] == "main"


def test_f58_attributes_of_the_commit_neither_hide_nor_rewrite_a_file_of_the_source(repository):
    """Else a build would train and deploy something else than what was reviewed, or refuse it for ever."""
    evil = "params/** export-ignore\ndeploy/** export-subst ident\n*.yml text eol=crlf\n"
    repository.commit({".gitattributes": evil, "deploy/staging/a.yml": "a: $Format:%H$ $Id$\n", "b.sh": "b\n"})
    (repository.root / "c").symlink_to("b.sh")
    (repository.root / "b.sh").chmod(0o755)
    sha = repository.commit({"params/ü.yml": "1\n"})
    with zipfile.ZipFile(io.BytesIO(source.pack(sha))) as zipped:
        listed = {info.filename: info for info in zipped.infolist()}
        assert sorted(listed) == sorted(repository.git("-c", "core.quotePath=no", "ls-files").splitlines())
        for name, info in listed.items():
            assert zipped.read(info) == repository.git("cat-file", "blob", f"{sha}:{name}", strip=False).encode()
        modes = {name: f"{listed[name].external_attr >> 16:o}" for name in ("README.md", "b.sh", "c")}
    assert modes == {"README.md": "100644", "b.sh": "100755", "c": "120777"}


def test_f58_the_source_that_is_uploaded_obeys_no_attribute(repository, target):
    sha = repository.commit({".gitattributes": "params/** export-ignore\n"})
    notify.notify(Push("main", ZERO, sha), target, say=lambda line: None)
    archive = target.s3.get_object(Bucket=target.bucket, Key=f"source/{sha}.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        assert "params/ncf.yml" in zipped.namelist()


def test_equal_commits_are_packed_into_equal_bytes(repository):
    assert source.pack("HEAD") == source.pack("HEAD")


def test_f01_a_source_is_written_once(repository, target):
    sha = repository.git("rev-parse", "HEAD")
    assert source.upload(target.s3, target.bucket, sha, b"first")
    assert not source.upload(target.s3, target.bucket, sha, b"second")
    assert target.s3.get_object(Bucket=target.bucket, Key=source.key(sha))["Body"].read() == b"first"


def test_f02_an_older_commit_does_not_move_the_head_back_but_is_still_announced(repository, target):
    first = repository.git("rev-parse", "HEAD")
    second = repository.commit({"README.md": "2"})
    said: list[str] = []
    notify.notify(Push("main", first, second), target, said.append)
    notify.notify(Push("main", ZERO, first), target, said.append)
    assert head(target)["sha"] == second
    assert [detail["sha"] for detail in target.events.details] == [second, first]
    assert any("superseded" in line for line in said)


def test_the_head_follows_a_branch_that_was_rewritten_to_a_shorter_history(repository, target):
    """Else what nobody calls, the hourly repair, would start from a commit that is gone."""
    kept = repository.git("rev-parse", "HEAD")
    middle = repository.commit({"README.md": "2"})
    gone = repository.commit({"README.md": "3"})
    notify.notify(Push("main", middle, gone), target, say=lambda line: None)
    notify.notify(Push("main", gone, kept), target, say=lambda line: None)
    assert head(target)["sha"] == kept
    notify.notify(Push("main", kept, middle), target, say=lambda line: None)
    assert head(target)["sha"] == middle


def test_f02_many_notifies_at_once_leave_the_head_at_the_newest(target):
    heads = [source.Head(f"{number:040}", number, "k") for number in range(1, 9)]
    threads = [threading.Thread(target=source.move_head, args=(target.s3, target.bucket, each)) for each in heads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert head(target)["sequence"] == 8


class Meanwhile:
    """S3, where a newer commit's head arrives between the first look at head.json and the write after it."""

    def __init__(self, s3, newer: source.Head) -> None:
        self.s3, self.newer = s3, [newer]

    def __getattr__(self, name: str):
        return getattr(self.s3, name)

    def get_object(self, **request):
        answer = self.s3.get_object(**request)
        while self.newer:
            source.move_head(self.s3, request["Bucket"], self.newer.pop())
        return answer


def test_f02_a_head_that_moves_between_look_and_write_is_looked_at_again(target):
    oldest, older, newest = (source.Head(f"{number:040}", number, "k") for number in (1, 2, 3))
    source.move_head(target.s3, target.bucket, oldest)
    assert source.move_head(Meanwhile(target.s3, newest), target.bucket, older) == newest
    assert head(target)["sequence"] == 3


def test_f06_an_entry_refused_at_first_is_put_again(repository, target):
    bus = Bus(failures=2)
    notify.put(Target(target.s3, bus, "b", "film-recommender", "p"), {"sha": "1"})
    assert bus.details == [{"sha": "1"}]


def test_an_entry_refused_for_good_is_an_error_that_names_the_bus(target):
    with pytest.raises(GitopsError, match=r"event bus film-recommender: .*InternalFailure: try again"):
        notify.put(Target(target.s3, Bus(failures=99), "b", "film-recommender", "p"), {"sha": "1"})


def command(cwd: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(cwd), **more}
    return subprocess.run(
        [sys.executable, "-m", "gitops", "notify", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("branch", ["topic", "mainline", "not-main", "refs/tags/main"])
def test_f05_another_branch_is_ignored_in_one_line(repository, branch):
    sha = repository.git("rev-parse", "HEAD")
    done = command(repository.root, "--branch", branch, "--before", ZERO, "--sha", sha)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"ignored: {branch} is not main, the branch project.yml names\n"


def test_f05_a_deleted_branch_is_ignored_in_one_line(repository):
    done = command(repository.root, "--branch", "main", "--before", "a" * 40, "--sha", ZERO)
    assert (done.returncode, done.stdout) == (0, "ignored: branch main was deleted\n")


def test_f05_ignored_pushes_are_counted(repository, localcloud):
    name = f"n{uuid.uuid4().hex[:8]}"
    sha = repository.commit({"project.yml": PROJECT.replace("film-recommender", name)})
    cloud = {**localcloud.environment, "PYTHONPATH": str(ROOT), "EVENT_BUS": name}
    for branch, after in (("topic", sha), ("main", ZERO)):
        done = command(repository.root, "--branch", branch, "--before", "a" * 40, "--sha", after, **cloud)
        assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")
    now = datetime.now(UTC)
    points = localcloud.client("cloudwatch").get_metric_statistics(
        Namespace=name, MetricName=notify.IGNORED, Statistics=["Sum"], Period=3600,
        StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1),
    )["Datapoints"]  # fmt: skip
    assert sum(point["Sum"] for point in points) == 2


@pytest.mark.parametrize("repair", [{}, {"project.yml": None}])
def test_f05_an_ignored_push_that_cannot_be_counted_is_no_failure(repository, repair):
    repository.commit(repair)
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    gone = ("--branch", "main", "--before", "a" * 40, "--sha", ZERO)
    done = command(repository.root, *gone, **nowhere, EVENT_BUS="bus")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["ignored", "not counted"]


def test_a_commit_this_clone_lacks_is_an_error_with_its_remedy(repository):
    done = command(repository.root, "--branch", "main", "--before", ZERO, "--sha", "b" * 40)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {'b' * 40}: this clone has no such commit; ")
