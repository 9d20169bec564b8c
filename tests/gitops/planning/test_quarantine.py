"""The share of a data lock that was quarantined: from the records in git, and from real executions on localcloud."""

import pytest

from gitops.errors import GitopsError
from gitops.planning import quarantine, recall
from gitops.planning.quarantine import Memory, Prepared
from tests.gitops.executions import ended, pipeline
from tests.localcloud.sagemaker_lab import Lab

LOCK, OTHER = "a" * 64, "b" * 64
SAID = '{"counts": {"rows": 24000, "bad_rows": 12}, "quarantine": {"time is missing": 12}}'
WRITE = f"""
import pathlib, sys
pathlib.Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
pathlib.Path(sys.argv[1], "manifest.json").write_text({SAID!r})
"""


def prepared(lock: str = LOCK, bad: int = 12, by: str = "ncf-1") -> Prepared:
    return Prepared(lock, 24_000, bad, by)


def record(lock: object = LOCK, **counts: object) -> dict:
    return {"id": "ncf-1", "data_lock_sha256": lock, "data": {"counts": {"rows": 24_000, "bad_rows": 12, **counts}}}


def test_the_last_run_that_prepared_the_lock_counts():
    runs = [prepared(OTHER, 7), prepared(bad=12, by="ncf-2"), prepared(bad=99, by="ncf-1")]
    assert quarantine.line(LOCK, Memory(runs)) == "quarantined 0.05% (12 of 24,000 rows, by ncf-2)"


def test_a_lock_that_no_run_prepared_is_said_to_be_one_with_what_an_older_one_had():
    assert quarantine.line(LOCK, Memory()) == "not prepared yet"
    older = quarantine.line(LOCK, Memory([prepared(OTHER, 24)]))
    assert older == f"not prepared yet; 0.10% (24 of 24,000 rows, by ncf-1, of lock {OTHER[:12]})"


def test_where_nobody_was_asked_it_is_unknown_and_says_why():
    assert quarantine.line(LOCK, Memory((), "no credentials")) == "quarantined share unknown: no credentials"
    assert quarantine.line(LOCK, Memory([prepared()], "no credentials")).startswith("quarantined 0.05%")


@pytest.mark.parametrize(
    "wrong",
    [{}, {"data": None}, {"data": 1}, record(None), record(rows="24000"), record(bad_rows=24_001), record(rows=0),
     record(bad_rows=True)],
)  # fmt: skip
def test_a_record_that_says_nothing_of_it_is_passed_over(wrong: dict):
    assert quarantine.from_records([wrong, record()]) == [prepared()]


def processing(lab: Lab, lock: str) -> dict:
    """A Prepare step that leaves a report, for what lies at a lock's address."""
    report = "/opt/ml/processing/output/report"
    lab.s3.put_object(Bucket=lab.bucket, Key=f"locks/{lock}/lock.json", Body=b"{}")
    request = lab.processing(WRITE, [report])
    del request["ProcessingJobName"]
    source = {"S3Uri": f"s3://{lab.bucket}/locks/{lock}/lock.json", "LocalPath": "/opt/ml/processing/input/lock",
              "S3DataType": "S3Prefix", "S3InputMode": "File"}  # fmt: skip
    place = {"LocalPath": report, "S3Uri": f"s3://{lab.bucket}/{lock[:3]}/report", "S3UploadMode": "EndOfJob"}
    outputs = {"Outputs": [{"OutputName": "report", "S3Output": place}]}
    inputs = [*request["ProcessingInputs"], {"InputName": "lock", "S3Input": source}]
    arguments = {**request, "ProcessingInputs": inputs, "ProcessingOutputConfig": outputs}
    return {"Name": "Prepare", "Type": "Processing", "Arguments": arguments}


def test_a_run_that_came_to_no_release_is_known_too(localcloud, monkeypatch):
    lab = Lab(localcloud)
    no = {"Name": "No", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}, "DependsOn": ["Prepare"]}
    name = pipeline(lab, processing(lab, LOCK), no)
    ended(lab, name)
    for key, value in localcloud.environment.items():
        monkeypatch.setenv(key, value)
    (found,) = recall.prepared(name, "eu-west-1")
    assert (found.lock, found.rows, found.quarantined) == (LOCK, 24_000, 12)
    assert found.by.startswith("run ")
    assert recall.prepared("never-started", "eu-west-1") == []


def test_without_credentials_nobody_is_asked_and_without_an_answer_it_says_so(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert recall.prepared("ncf", "eu-west-1") is None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(GitopsError, match="what was quarantined is as releases/ says"):
        recall.prepared("ncf", "eu-west-1")
