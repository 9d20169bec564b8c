"""Feedback as data: python -m gitops data params/ncf.yml --events 2026-11-20

Makes of a closed day's events (s3://<bucket>/events/date=.../, written by api_code) a partition with the data set's
own columns, raw/<dataset>/events/date=<day>/part-0.parquet. The same events give the same bytes.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.errors import GitopsError
from pipelines.params import Columns

LATE_DAYS = 2  # api_code/feedback.py takes events of a day for so long after it
READERS = 16  # objects asked for at the same time
Event = dict[str, str]


def day_of(text: str) -> date:
    """2026-11-20; GitopsError for no day, or one that nobody can have lived."""
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise GitopsError(f"{text}: is no day; write it as 2026-11-20") from error
    if not 2000 <= found.year < 9000:  # days before and after it are counted
        raise GitopsError(f"{text}: is a day of another century; write it as 2026-11-20")
    return found


def closed(day: date, today: date) -> date:
    """The day, which no event can be added to any more; GitopsError says when that will be so."""
    opens = day + timedelta(days=LATE_DAYS + 1)
    if today < opens:
        raise GitopsError(f"{day}: still takes late events; it is closed from {opens} on (UTC)")
    return day


def today(s3: Any, bucket: str) -> date:
    """Today by S3's clock, in UTC: what is written once must not be by a clock that is fast."""
    moment = aws.told(s3.list_objects_v2(Bucket=bucket, Prefix="events/", MaxKeys=1))
    if moment is None:
        raise GitopsError(f"s3://{bucket}: answered without a date, so nobody knows which days are closed; ask again")
    return moment.date()


def read(s3: Any, bucket: str, day: date) -> list[Event]:
    """The day's events in no order."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"events/date={day}/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", ())]

    def one(key: str) -> Event:
        found: Event = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return found

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(one, keys))


def happened(event: Event) -> str:
    """When, in UTC to the microsecond: what the caller said, else when it came."""
    return event.get("timestamp", event["received"])


def chosen(events: Iterable[Event], types: Iterable[str]) -> list[Event]:
    """Those of the types, the earliest first; at one moment by their ids."""
    wanted = set(types)
    found = [event for event in events if event["eventType"] in wanted]
    return sorted(found, key=lambda event: (happened(event), event["eventId"]))


def partition(events: Sequence[Event], columns: Columns) -> bytes:
    """The events as Parquet with the data set's columns; nothing is known of segments and categories."""
    import pyarrow as pa
    from pyarrow import parquet

    moments = [datetime.fromisoformat(happened(event)) for event in events]
    arrays = {
        columns.user: pa.array([event["userId"] for event in events], pa.string()),
        columns.item: pa.array([event["itemId"] for event in events], pa.string()),
        columns.time: pa.array(moments, pa.timestamp("us", "UTC")),
    }
    for name in (columns.segment, columns.category):
        if name and name not in arrays:
            arrays[name] = pa.nulls(len(events), pa.string())
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(arrays), sink, compression="zstd")
    return bytes(sink.getvalue())


def store(s3: Any, bucket: str, key: str, data: bytes) -> None:
    """Write the partition once; GitopsError if other bytes are there."""
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
    except ClientError as error:
        if aws.code(error) != "PreconditionFailed":
            raise
        if s3.get_object(Bucket=bucket, Key=key)["Body"].read() != data:
            raise GitopsError(
                f"s3://{bucket}/{key}: is there with other bytes (other event types, or another pyarrow); "
                "partitions are write-once, so lock that one with --add"
            ) from error


def compact(s3: Any, bucket: str, place: tuple[date, str], columns: Columns, types: Sequence[str]) -> str | None:
    """The key of the partition of (day, data set); None, and said why, if the day has no event of these types."""
    day, dataset = place
    events = read(s3, bucket, closed(day, today(s3, bucket)))
    found = chosen(events, types)
    if not found:
        counts = Counter(event["eventType"] for event in events)
        has = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no event"
        print(f"{day}: has {has}; none is of {', '.join(types)}, nothing to add")
        return None
    key = f"raw/{dataset}/events/date={day}/part-0.parquet"
    store(s3, bucket, key, partition(found, columns))
    print(f"{day}: {len(found)} of {len(events)} events in s3://{bucket}/{key}")
    return key


def of_days(s3: Any, bucket: str, first: date, last: date) -> Iterator[Event]:
    """The events of these days, both included."""
    for number in range((last - first).days + 1):
        yield from read(s3, bucket, first + timedelta(days=number))


def recommended(events: Iterable[Event]) -> Mapping[str, list[str]]:
    """recommendationId -> the items that something was done with after it."""
    found: dict[str, list[str]] = {}
    for event in events:
        if "recommendationId" in event:
            found.setdefault(event["recommendationId"], []).append(event["itemId"])
    return found
