import hashlib
import io
import json
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from gitops.__main__ import main
from gitops.data import lockfile
from pipelines import params
from pipelines.errors import ProjectError
from pipelines.params import Partition
from tests.gitops.repository import LOCK, project

FIRST = "raw/completejourney/week=2017-41/part-0.parquet"
SECOND = "raw/completejourney/week=2017-42/part-0.parquet"

TABLE = "raw/completejourney/week=2017-44/part-0.csv"


def rows_of(count: int) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table({"household_id": list(range(count))}), buffer)
    return buffer.getvalue()


def partition(key: str, digit: str = "1") -> Partition:
    return Partition(key=key, sha256=digit * 64, bytes=1, rows=1)


@pytest.fixture(scope="module")
def bucket(localcloud):
    s3, name = localcloud.client("s3"), f"data-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    s3.put_object(Bucket=name, Key=FIRST, Body=rows_of(3))
    s3.put_object(Bucket=name, Key=SECOND, Body=rows_of(5))
    s3.put_object(Bucket=name, Key="raw/completejourney/notes.parquet", Body=b"not parquet")
    s3.put_object(Bucket=name, Key="raw/week.parquet", Body=rows_of(1))
    s3.put_object(Bucket=name, Key=TABLE, Body=b'who,what\nu1,1\n"a\nb",2\nx,y\ntoo,many,fields\n')
    manifest = [{"prefix": f"s3://{name}/raw/completejourney/"}, "week=2017-41/part-0.parquet"]
    s3.put_object(Bucket=name, Key="new.manifest", Body=json.dumps(manifest).encode())
    return name


@pytest.fixture
def run(tmp_path, monkeypatch, localcloud, bucket):
    """`python -m gitops data params/ncf.yml ...` in a project of its own: (exit code, the lock's path)."""
    repository = project(tmp_path / "clone")
    monkeypatch.chdir(repository.root)
    for name, value in {**localcloud.environment, "ARTIFACT_BUCKET": bucket}.items():
        monkeypatch.setenv(name, value)
    lock = repository.root / "params" / "ncf.data.yml"
    return lambda *words: (main(["data", "params/ncf.yml", *words]), lock)


def test_partitions_are_measured_and_locked_sorted_by_key(run, bucket):
    code, lock = run("--add", SECOND, f"s3://{bucket}/{FIRST}", "--reason", "backfill")
    assert code == 0
    locked = params.load_lock(lock)
    assert [each.key for each in locked.partitions][1:] == [FIRST, SECOND]
    assert (locked.dataset, locked.reason) == ("completejourney", "backfill")
    added = locked.partitions[2]
    assert (added.rows, added.bytes, added.sha256) == (5, len(rows_of(5)), hashlib.sha256(rows_of(5)).hexdigest())
    assert lock.read_text().splitlines()[3] == LOCK.splitlines()[3]


def test_a_csv_partition_is_locked_with_its_rows_torn_ones_too(run):
    code, lock = run("--add", TABLE)
    assert (code, params.load_lock(lock).partitions[1].rows) == (0, 4)


def test_a_manifest_in_the_bucket_or_here_lists_the_keys(run, bucket, tmp_path):
    code, lock = run("--from-manifest", "new.manifest")
    assert (code, params.load_lock(lock).partitions[1].key) == (0, FIRST)
    here = tmp_path / "here.json"
    here.write_text(json.dumps([{"prefix": f"s3://{bucket}/"}, SECOND]))
    code, lock = run("--from-manifest", str(here))
    assert (code, params.load_lock(lock).partitions[2].key) == (0, SECOND)


def test_what_is_locked_already_changes_nothing(run, capsys):
    _, lock = run("--add", FIRST)
    text, before = lock.read_text(), lock.stat().st_mtime_ns
    code, _ = run("--add", FIRST)
    assert (code, lock.read_text(), lock.stat().st_mtime_ns) == (0, text, before)
    assert "all of them are locked already" in capsys.readouterr().out


def test_a_first_lock_takes_the_name_of_its_data_set(run):
    _, lock = run("--add", FIRST)
    lock.unlink()
    code, _ = run("--dataset", "completejourney", "--add", FIRST)
    assert (code, params.load_lock(lock).dataset) == (0, "completejourney")


WRONG = {
    "raw/completejourney/week=2017-43/part-0.parquet": f"is not there; the nearest that exists is {SECOND}",
    "raw/completejourney/notes.parquet": "is not a Parquet file",
    "raw/week.parquet": "write raw/<dataset>/week=YYYY-WW/part-0.parquet",
    "s3://elsewhere/raw/a/b.parquet": "is in another bucket",
}


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_key_is_an_error_that_leaves_the_lock_alone(run, capsys, key):
    code, lock = run("--add", FIRST, key)
    assert code == 1
    assert key in capsys.readouterr().err.replace("\n", " ")
    assert lock.read_text() == LOCK


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_key_is_explained(run, capsys, key):
    run("--add", key)
    assert WRONG[key] in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", ["elsewhere/ncf.data.yml", "../ncf.data.yml", "params/../../ncf.data.yml", "/tmp/a.yml"]
)
def test_a_lock_lies_in_params_and_nowhere_else(tmp_path, path):
    given = tmp_path / "params" / "ncf.yml"
    given.parent.mkdir()
    given.write_text(f"data: {path}\n")
    with pytest.raises(ProjectError, match=r"data: must be the path"):
        lockfile.lock_path(given, tmp_path)


def test_other_bytes_under_a_locked_key_are_refused():
    with pytest.raises(ProjectError, match="partitions are write-once"):
        lockfile.merged([partition(FIRST, "1")], [partition(FIRST, "2")])


def test_comments_on_top_of_a_lock_are_kept(tmp_path):
    lock = tmp_path / "ncf.data.yml"
    lock.write_text("# ours\n# really\n" + LOCK)
    lockfile.add(lock, [partition(FIRST)], {"dataset": "", "reason": "manual"})
    assert lock.read_text().startswith("# ours\n# really\ndataset: completejourney\nreason: manual\n")
    assert [path.name for path in tmp_path.iterdir()] == [lock.name]


def test_a_lock_for_another_data_set_is_refused(tmp_path):
    lock = tmp_path / "ncf.data.yml"
    lock.write_text(LOCK)
    with pytest.raises(ProjectError, match="locks completejourney, not other"):
        lockfile.add(lock, [partition(FIRST)], {"dataset": "other", "reason": "manual"})
    assert lock.read_text() == LOCK


@pytest.mark.parametrize("manifest", ["{}", "[]", "5", '[{"prefix": "s3://b/"}]', '[{"prefix": "s3://b/"}, 5]'])
def test_what_is_no_manifest_is_refused(manifest):
    with pytest.raises(ProjectError, match=r"m\.json: "):
        lockfile.keys_of(json.loads(manifest), "b", "m.json")


def test_nothing_to_add_is_an_error(run, capsys):
    assert run()[0] == 1
    assert "give --add" in capsys.readouterr().err


def test_the_shipped_lock_is_written_as_the_command_writes_it():
    lock = Path(__file__).parents[3] / "params" / "ncf.data.yml"
    locked = params.load_lock(lock)
    text = lockfile.render(locked.dataset, locked.reason, locked.partitions)
    assert lock.read_text().endswith(text.split("partitions:")[1])
