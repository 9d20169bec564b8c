"""How a shadow variant's answers differ from production's, by their data capture: python -m gitops compare-shadow"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

from gitops import aws
from gitops.errors import GitopsError

LISTS = ("itemList", "personalizedRanking")


@dataclass(frozen=True)
class Answer:
    """One captured call: what pairs it with the other variant's, and its items, best first.

    `items` is None for an answer without a list, such as predictions; `failed` for a call without an answer.
    """

    identity: str
    items: tuple[str, ...] | None
    failed: bool


@dataclass(frozen=True)
class Comparison:
    """What the pairs say. Shares are of the pairs in which both answered with a list; None where there are none."""

    pairs: int  # calls that both variants have captured
    unpaired: int  # calls of one of them only
    production_errors: int
    shadow_errors: int
    compared: int
    equal: float | None  # share of equal lists, order included
    overlap: float | None  # mean share of the first k items that both lists have
    rank_shift: float | None  # mean distance of the places of an item that both lists have
    production_latency_ms: float | None  # medians of ModelLatency
    shadow_latency_ms: float | None


@dataclass(frozen=True)
class Clients:
    """boto3's, of one region."""

    sagemaker: Any
    s3: Any
    cloudwatch: Any


def compare_shadow(clients: Clients, endpoint: str, hours: float = 24.0, k: int = 10) -> Comparison:
    """Read what an endpoint's two variants captured in the last hours, and compare. GitopsError if it keeps nothing."""
    described = clients.sagemaker.describe_endpoint(EndpointName=endpoint)
    captured, shadows = described.get("DataCaptureConfig", {}), described.get("ShadowProductionVariants", [])
    if not shadows:
        raise GitopsError(f"{endpoint}: has no shadow variant; its configuration needs ShadowProductionVariants")
    if not captured.get("EnableCapture"):
        raise GitopsError(f"{endpoint}: captures nothing; its configuration needs a DataCaptureConfig")
    names = [rows[0]["VariantName"] for rows in (described["ProductionVariants"], shadows)]
    end = datetime.now(UTC)
    start = end - timedelta(hours=hours)
    base = f"{captured['DestinationS3Uri'].rstrip('/')}/{endpoint}"
    production, shadow = (answers(lines(clients.s3, f"{base}/{name}", start, end)) for name in names)
    latencies = [median_latency(clients.cloudwatch, endpoint, name, start, end) for name in names]
    return compare(production, shadow, latencies, k)


def lines(s3: Any, base: str, start: datetime, end: datetime) -> Iterable[str]:
    """The captured lines below `s3://bucket/.../<variant>`, from the hour of `start` to that of `end`."""
    bucket, prefix = aws.split_uri(base)
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour <= end:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/{hour:%Y/%m/%d/%H}/")
        for row in (row for page in pages for row in page.get("Contents", [])):
            yield from s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read().decode().splitlines()
        hour += timedelta(hours=1)


def answers(captured: Iterable[str]) -> list[Answer]:
    """Each line of capture files as an answer; GitopsError for one that is none."""
    return [_answer(line) for line in captured if line.strip()]


def compare(
    production: Iterable[Answer],
    shadow: Iterable[Answer],
    latencies: Sequence[float | None] = (None, None),
    k: int = 10,
) -> Comparison:
    """Pair the answers of both variants and count how they differ. Pure; `latencies` are passed through."""
    left, right = ({answer.identity: answer for answer in answered} for answered in (production, shadow))
    pairs = [(left[identity], right[identity]) for identity in left if identity in right]
    lists = [(one.items, other.items) for one, other in pairs if one.items is not None and other.items is not None]
    shifts = [shift for one, other in lists for shift in _shifts(one, other)]
    return Comparison(
        pairs=len(pairs),
        unpaired=len(left.keys() ^ right.keys()),
        production_errors=sum(one.failed for one, _ in pairs),
        shadow_errors=sum(other.failed for _, other in pairs),
        compared=len(lists),
        equal=_mean(float(one == other) for one, other in lists),
        overlap=_mean(overlap(one, other, k) for one, other in lists),
        rank_shift=_mean(shifts),
        production_latency_ms=latencies[0],
        shadow_latency_ms=latencies[1],
    )


def overlap(one: Sequence[str], other: Sequence[str], k: int) -> float:
    """Share of the first k items that both lists have, of the longer one's; 1 for two empty lists."""
    first, second = set(one[:k]), set(other[:k])
    longest = max(len(first), len(second))
    return len(first & second) / longest if longest else 1.0


def median_latency(cloudwatch: Any, endpoint: str, variant: str, start: datetime, end: datetime) -> float | None:
    """The median of ModelLatency in milliseconds, over the whole time; None if CloudWatch has no value."""
    minutes = int((end - start).total_seconds() // 60) + 1
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Dimensions": dimensions}
    query = {"Id": "latency", "MetricStat": {"Metric": metric, "Period": minutes * 60, "Stat": "p50"}}
    begin = end - timedelta(minutes=minutes)
    found = cloudwatch.get_metric_data(
        MetricDataQueries=[query], StartTime=begin, EndTime=end + timedelta(minutes=1), ScanBy="TimestampAscending"
    )
    values = found["MetricDataResults"][0]["Values"]
    return float(values[0]) / 1000 if values else None


def table(comparison: Comparison) -> str:
    """The comparison for people, one figure a line."""
    rows = {name.replace("_", " "): value for name, value in asdict(comparison).items()}
    width = max(map(len, rows))
    return "\n".join(f"{name.ljust(width)}  {_shown(value)}" for name, value in rows.items())


def _answer(line: str) -> Answer:
    try:
        event = json.loads(line)
        metadata, data = event["eventMetadata"], event["captureData"]
        identity = str(metadata.get("inferenceId") or metadata["eventId"])
        output = data.get("endpointOutput")
        return Answer(identity, _items(_text(output)) if output else None, output is None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        shown = line[:80]
        raise GitopsError(f"captured line {shown!r}: is no event of SageMaker's data capture ({error!r})") from error


def _text(output: Mapping[str, str]) -> str:
    try:
        data = output["data"]
        return base64.b64decode(data, validate=True).decode() if output["encoding"] == "BASE64" else data
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _items(text: str) -> tuple[str, ...] | None:
    """The item ids of an answer, best first; None if it has no list of them."""
    try:
        body = json.loads(text)
        rows = next(body[name] for name in LISTS if name in body)
        return tuple(str(row["itemId"]) for row in rows)
    except (ValueError, TypeError, KeyError, StopIteration):
        return None


def _shifts(one: Sequence[str], other: Sequence[str]) -> list[int]:
    places = {item: place for place, item in enumerate(other)}
    return [abs(place - places[item]) for place, item in enumerate(one) if item in places]


def _mean(values: Iterable[float]) -> float | None:
    kept = list(values)
    return fmean(kept) if kept else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
