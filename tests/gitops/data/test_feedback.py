"""Events of closed days become partitions that preparation reads, and are joined with captured answers."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

import api_code.feedback
from gitops import aws
from gitops.__main__ import main
from gitops.data import answers, feedback
from gitops.errors import GitopsError
from pipelines import params
from pipelines.params import Columns
from tests.gitops.repository import project

COLUMNS = Columns(user="household_id", item="product_id", time="at", category="department")
ROOT = Path(__file__).parents[3]


def event(number: int, **more: str) -> dict[str, str]:
    return {
        "eventId": f"e{number}", "userId": f"{number}", "itemId": f"m{number}", "eventType": "purchase",
        "received": f"2026-11-10T10:00:{number:02}.000000Z", **more,
    }  # fmt: skip


@pytest.fixture
def bucket(localcloud) -> str:
    name = f"feedback-{uuid.uuid4().hex[:8]}"
    localcloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def put(localcloud, bucket: str, *events: dict[str, str]) -> None:
    for each in events:
        key = f"events/date={feedback.happened(each)[:10]}/{hashlib.sha256(each['eventId'].encode()).hexdigest()}.json"
        localcloud.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(each).encode())


@pytest.fixture
def run(tmp_path, monkeypatch, localcloud, bucket):
    """`python -m gitops ...` in a project of its own: (exit code, its folder)."""
    repository = project(tmp_path / "clone")
    monkeypatch.chdir(repository.root)
    for name, value in {**localcloud.environment, "ARTIFACT_BUCKET": bucket}.items():
        monkeypatch.setenv(name, value)
    return lambda *words: (main(list(words)), repository.root)


class InTwoYears:
    """S3, whose clock is far ahead of this machine's."""

    def __init__(self, s3: Any) -> None:
        self.s3 = s3

    def __getattr__(self, name: str) -> Any:
        return getattr(self.s3, name)

    def list_objects_v2(self, **request: Any) -> Any:
        found = self.s3.list_objects_v2(**request)
        later = aws.told(found) + timedelta(days=730)
        found["ResponseMetadata"]["HTTPHeaders"]["date"] = format_datetime(later, usegmt=True)
        return found


def test_a_day_is_closed_by_s3s_clock_and_never_by_this_machines(localcloud, bucket):
    """A fast clock would write the partition, once and for all, while events still come."""
    s3, here = localcloud.client("s3"), datetime.now(UTC).date()
    with pytest.raises(GitopsError, match="still takes late events"):
        feedback.compact(s3, bucket, (here, "shop"), COLUMNS, ["purchase"])
    assert feedback.compact(InTwoYears(s3), bucket, (here, "shop"), COLUMNS, ["purchase"]) is None


def test_the_api_takes_events_of_a_day_until_it_is_closed_here():
    assert feedback.LATE_DAYS == api_code.feedback.LATE_DAYS
    day, last = date(2026, 11, 10), date(2026, 11, 12)
    noon = datetime.fromisoformat("2026-11-10T12:00:00Z")
    api_code.feedback.in_time(noon, datetime.fromisoformat(f"{last}T23:59:59Z"))
    with pytest.raises(GitopsError, match=r"still takes late events; it is closed from 2026-11-13"):
        feedback.closed(day, last)
    assert feedback.closed(day, last + timedelta(days=1)) == day
    with pytest.raises(api_code.feedback.ApiError, match="closed"):
        api_code.feedback.in_time(noon, datetime.fromisoformat(f"{last + timedelta(days=1)}T00:00:00Z"))


def test_a_closed_days_events_are_a_locked_partition_with_the_data_sets_columns(run, localcloud, bucket, capsys):
    put(localcloud, bucket, event(2), event(1, timestamp="2026-11-10T09:00:00.000000Z"), event(3, eventType="view"))
    code, root = run("data", "params/ncf.yml", "--events", "2026-11-10")
    assert code == 0
    [new] = [each for each in params.load_lock(root / "params/ncf.data.yml").partitions if "events" in each.key]
    assert (new.key, new.rows) == ("raw/completejourney/events/date=2026-11-10/part-0.parquet", 2)
    assert "2 of 3 events" in capsys.readouterr().out
    before = (root / "params/ncf.data.yml").read_text()
    assert run("data", "params/ncf.yml", "--events", "2026-11-10")[0] == 0
    assert (root / "params/ncf.data.yml").read_text() == before
    assert "all of them are locked already" in capsys.readouterr().out


def test_the_same_events_give_the_same_bytes_in_whatever_order_they_come():
    events = [event(number) for number in range(5)]
    one, other = (feedback.partition(feedback.chosen(each, ["purchase"]), COLUMNS) for each in (events, events[::-1]))
    assert one == other


def test_preparation_reads_the_partition_beside_raw_ones(tmp_path):
    """rows.py as it ships, in a process of its own."""
    (tmp_path / "part.parquet").write_bytes(feedback.partition([event(7)], COLUMNS))
    names = {"user": COLUMNS.user, "item": COLUMNS.item, "time": COLUMNS.time, "category": COLUMNS.category}
    script = f"import rows; print(rows.read(['{tmp_path}/part.parquet'], {names!r}).read_all().to_pylist())"
    for name in ("rows.py", "problems.py"):
        shutil.copy(ROOT / "processing_code" / name, tmp_path)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    micros = int(datetime.fromisoformat("2026-11-10T10:00:07Z").timestamp()) * 1_000_000
    assert f"'user_id': '7', 'item_id': 'm7', 'occurred': None, 'micros': {micros}" in done.stdout
    assert parquet.read_schema(tmp_path / "part.parquet").names == ["household_id", "product_id", "at", "department"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--events", "2026-11-32"], "is no day"),
        (["--events", "2999-01-01"], "still takes late events"),
        (["--events", "9999-12-31"], "is a day of another century"),
        (["--events", "0001-01-01"], "is a day of another century"),
        (["--events", "2026-11-10", "--dataset", "other"], "locks completejourney, not other"),
    ],
)
def test_what_the_user_can_put_right_is_one_line(run, capsys, words, sentence):
    assert run("data", "params/ncf.yml", *words)[0] == 1
    assert sentence in capsys.readouterr().err


def test_a_day_without_such_events_adds_nothing_and_says_so(run, localcloud, bucket, capsys):
    put(localcloud, bucket, event(1, eventType="view"))
    assert run("data", "params/ncf.yml", "--events", "2026-11-10", "2026-11-09")[0] == 0
    said = capsys.readouterr().out
    assert "2026-11-10: has 1 view; none is of purchase" in said
    assert "2026-11-09: has no event" in said


def test_a_partition_with_other_bytes_is_never_overwritten(run, localcloud, bucket, capsys):
    key = "raw/completejourney/events/date=2026-11-10/part-0.parquet"
    localcloud.client("s3").put_object(Bucket=bucket, Key=key, Body=b"other")
    put(localcloud, bucket, event(1))
    assert run("data", "params/ncf.yml", "--events", "2026-11-10")[0] == 1
    assert "is there with other bytes" in capsys.readouterr().err


def captured(text: str, encoding: str = "JSON") -> bytes:
    """A line as SageMaker captures an invocation."""
    data = base64.b64encode(text.encode()).decode() if encoding == "BASE64" else text
    content = {"observedContentType": "application/json", "encoding": encoding}
    line = {
        "captureData": {
            "endpointInput": content | {"mode": "INPUT", "data": "{}"},
            "endpointOutput": content | {"mode": "OUTPUT", "data": data},
        },
        "eventMetadata": {"eventId": "x", "inferenceTime": "2026-11-10T10:00:00Z"},
        "eventVersion": "0",
    }
    return json.dumps(line).encode()


def answer(identity: str, *items: str, strategy: str = "personalized") -> str:
    return json.dumps(
        {"recommendationId": identity, "strategy": strategy, "itemList": [{"itemId": item} for item in items]}
    )


class Endpoints:
    """DescribeEndpoint of one endpoint that captures."""

    def __init__(self, where: str | None) -> None:
        self.where = where

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        return {"DataCaptureConfig": {"EnableCapture": True, "DestinationS3Uri": self.where}} if self.where else {}


def test_hits_are_counted_per_variant_and_strategy_with_their_positions(localcloud, bucket):
    s3 = localcloud.client("s3")
    lines = {
        "p/film/a/2026/11/10/10/00-00-000-x.jsonl": [
            captured(answer("r1", "m1", "m2", "m3")), captured(answer("r2", "m4"), "BASE64"),
            captured(answer("r5", "m1", strategy="popular")),
        ],
        "p/film/b/2026/11/09/23/00-00-000-x.jsonl": [captured(answer("r3", "m1") + "\n" + answer("r4", "m9"))],
        "p/film/b/2026/11/01/23/00-00-000-x.jsonl": [captured(answer("r9", "m1"))],
        "p/film/b/2026/11/10/23/00-00-000-x.jsonl": [captured("no JSON"), captured('{"x": []}')],
    }  # fmt: skip
    for key, rows in lines.items():
        s3.put_object(Bucket=bucket, Key=key, Body=b"\n".join(rows) + b"\n")
    put(
        localcloud, bucket, event(1, recommendationId="r1", itemId="m3"), event(2, recommendationId="r1", itemId="m1"),
        event(3, recommendationId="r1", itemId="m1"), event(4, recommendationId="r2", itemId="other"),
        event(5, recommendationId="r3", itemId="m1"), event(6, recommendationId="r7"), event(7),
    )  # fmt: skip
    where = answers.captured(Endpoints(f"s3://{bucket}/p/"), "film")
    done = feedback.recommended(feedback.of_days(s3, bucket, date(2026, 11, 9), date(2026, 11, 10)))
    report = answers.join(answers.read(s3, where, date(2026, 11, 8), date(2026, 11, 10)), done)
    assert report.rows == [
        {"variant": "a", "strategy": "personalized", "answers": 2, "hits": 2, "rate": 0.5, "position": 2.0},
        {"variant": "a", "strategy": "popular", "answers": 1, "hits": 0, "rate": 0.0, "position": None},
        {"variant": "b", "strategy": "personalized", "answers": 2, "hits": 1, "rate": 0.5, "position": 1.0},
    ]
    assert report.unknown == 1
    assert len(answers.table(report).splitlines()) == 5


def test_an_endpoint_that_captures_nothing_is_said(run, capsys):
    with pytest.raises(GitopsError, match="captures no answers"):
        answers.captured(Endpoints(None), "film")
    assert run("feedback", "--from", "2026-11-10", "--to", "2026-11-09")[0] == 1
    assert run("feedback", "--from", "2026-11-09", "--to", "2026-11-10")[0] == 1
    said = capsys.readouterr().err
    assert "turn them round" in said
    assert "there is no such endpoint" in said
