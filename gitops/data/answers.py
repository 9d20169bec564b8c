"""What came of answers: python -m gitops feedback --from 2026-11-18 --to 2026-11-20

Joins feedback events with the answers that the endpoint captured (SageMaker's capture format), by recommendationId.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.data import captures
from gitops.errors import GitopsError

BEFORE_DAYS = 2  # an event may answer what was recommended so many days before it


@dataclass
class Tally:
    """What one variant and strategy did. A hit is an event about an item of the answer; its position begins at 1."""

    variant: str
    strategy: str
    answers: int = 0
    answered: int = 0  # answers with a hit
    hits: int = 0
    positions: int = 0  # their sum

    @property
    def row(self) -> dict[str, Any]:
        """As it is printed."""
        return {
            "variant": self.variant,
            "strategy": self.strategy,
            "answers": self.answers,
            "hits": self.hits,
            "rate": round(self.answered / self.answers, 4),
            "position": round(self.positions / self.hits, 2) if self.hits else None,
        }


@dataclass(frozen=True)
class Report:
    """`unknown`: recommendations that events name and no captured answer has, for captures are a sample."""

    rows: list[dict[str, Any]]
    unknown: int


def captured(sagemaker: Any, endpoint: str) -> str:
    """Where the endpoint's captures are, without a slash at the end; GitopsError if it captures nothing."""
    try:
        found = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if not aws.missing(error):
            raise
        raise GitopsError(
            f"{endpoint}: there is no such endpoint; name another with --environment or --model"
        ) from error
    where = found.get("DataCaptureConfig", {}).get("DestinationS3Uri")
    if not where:
        raise GitopsError(f"{endpoint}: captures no answers, so events cannot be joined; give it a DataCaptureConfig")
    return f"{str(where).rstrip('/')}/{endpoint}"


def read(s3: Any, where: str, first: date, last: date) -> Iterator[tuple[str, dict[str, Any]]]:
    """(variant, answer) for each captured recommendation of these days, both included."""
    hours = (datetime.combine(first, time.min, UTC), datetime.combine(last, time.max, UTC))
    for variant in captures.variants(s3, where):
        for call in captures.read(s3, where, variant, hours):
            for answer in call.answers:
                if isinstance(answer, dict) and "recommendationId" in answer and "itemList" in answer:
                    yield variant, answer


def join(answers: Iterator[tuple[str, dict[str, Any]]], done: Mapping[str, list[str]]) -> Report:
    """Count hits per variant and strategy. `done`: recommendationId -> items of its events."""
    tallies: dict[tuple[str, str], Tally] = {}
    known = set()
    for variant, answer in answers:
        strategy = str(answer.get("strategy", "unknown"))
        tally = tallies.setdefault((variant, strategy), Tally(variant, strategy))
        tally.answers += 1
        items = done.get(answer["recommendationId"])
        if items is None:
            continue
        known.add(answer["recommendationId"])
        places = {item["itemId"]: place for place, item in enumerate(answer["itemList"], 1)}
        hits = [places[item] for item in dict.fromkeys(items) if item in places]
        tally.hits += len(hits)
        tally.positions += sum(hits)
        tally.answered += bool(hits)
    return Report([tallies[key].row for key in sorted(tallies)], len(done.keys() - known))


def table(report: Report) -> str:
    """The report for people."""
    head = f"{'variant':<12} {'strategy':<14} {'answers':>8} {'hits':>6} {'rate':>7} {'position':>9}"
    lines = [
        f"{row['variant']:<12} {row['strategy']:<14} {row['answers']:>8} {row['hits']:>6} {row['rate']:>7.4f} "
        f"{'-' if row['position'] is None else row['position']:>9}"
        for row in report.rows
    ]
    return "\n".join([head, *lines, f"{report.unknown} recommendations of events are in no captured answer"])
