"""How a shadow variant's answers differ from production's, by their data capture: python -m gitops compare-shadow"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

from gitops.data import captures
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
    production, shadow = (answers(captures.read(clients.s3, base, name, (start, end))) for name in names)
    latencies = [median_latency(clients.cloudwatch, endpoint, name, start, end) for name in names]
    return compare(production, shadow, latencies, k)


def answers(calls: Iterable[captures.Capture]) -> list[Answer]:
    """What the calls were answered with."""
    return [Answer(call.inference_id or call.event_id, _items(call.answers), not call.answered) for call in calls]


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


def _items(found: Sequence[Any]) -> tuple[str, ...] | None:
    """The item ids of an answer, best first; None if it has no list of them, or is of a batch."""
    try:
        (body,) = found
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
