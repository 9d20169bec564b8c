"""An endpoint's metrics as SageMaker puts them into CloudWatch, gathered and sent about every second.

Names and units: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..batches import Batches
from .exchange import Exchange
from .store import Row, lock, now, table

if TYPE_CHECKING:
    from ..cloud import Cloud

NAMESPACE = "AWS/SageMaker"
Dimensions = tuple[tuple[str, str], ...]
MICROSECONDS = frozenset(
    (
        "ModelLatency",
        "OverheadLatency",
        "ModelLoadingWaitTime",
        "ModelLoadingTime",
        "ModelDownloadingTime",
        "ModelUnloadingTime",
    )
)
# what one datum of PutMetricData may hold; and how much one request of it
VALUES = 150
DATA = 500


@dataclass(frozen=True)
class Sample:
    """The metrics of one call, by name; `config` where those of one fleet are told apart from the endpoint's."""

    endpoint: str
    variant: str
    moment: datetime
    metrics: Mapping[str, float]
    config: str = ""

    @property
    def dimensions(self) -> Dimensions:
        """CloudWatch's dimensions."""
        more = (("EndpointConfigName", self.config),) if self.config else ()
        return (("EndpointName", self.endpoint), ("VariantName", self.variant), *more)


def record(cloud: "Cloud", endpoint: str, exchange: Exchange, overhead: float | None, config: str = "") -> None:
    """Note one call; again for the fleet alone if its `config` is given.

    `overhead` is what SageMaker itself took of the answer's time, in seconds; a copy has none.
    """
    sample = Sample(endpoint, exchange.variant, now(), metrics(exchange, overhead))
    _batches(cloud).add(sample)
    if config:
        _batches(cloud).add(replace(sample, config=config))


def metrics(exchange: Exchange, overhead: float | None) -> dict[str, float]:
    """What SageMaker says of one call: counts, and times in microseconds."""
    return {
        "Invocations": 1.0,
        "InvocationsPerInstance": 1.0 / exchange.instances,
        "Invocation4XXErrors": float(400 <= exchange.reply.status < 500),
        "Invocation5XXErrors": float(exchange.reply.status >= 500),
        "InvocationModelErrors": float(not exchange.reply.succeeded),
        "ModelLatency": exchange.reply.seconds * 1e6,
        **({} if overhead is None else {"OverheadLatency": overhead * 1e6}),
        **exchange.reply.loading,
    }


def summarize(samples: Iterable[Sample]) -> list[Row]:
    """PutMetricData's rows: for every second, endpoint, variant and metric one.

    Times are sent value by value, from which percentiles can be told; counts as a statistic set.
    """
    groups: dict[tuple[str, Dimensions, datetime], list[float]] = {}
    for sample in samples:
        second = sample.moment.replace(microsecond=0)
        for name, value in sample.metrics.items():
            groups.setdefault((name, sample.dimensions, second), []).append(value)
    return [_datum(*key, values) for key, values in groups.items()]


def _datum(name: str, dimensions: Dimensions, second: datetime, values: list[float]) -> Row:
    named = [{"Name": key, "Value": value} for key, value in dimensions]
    row: Row = {"MetricName": name, "Dimensions": named, "Timestamp": second}
    if name in MICROSECONDS:
        counts = Counter(_thinned(values))
        return {**row, "Unit": "Microseconds", "Values": list(counts), "Counts": [float(n) for n in counts.values()]}
    statistics = {"SampleCount": len(values), "Sum": sum(values), "Minimum": min(values), "Maximum": max(values)}
    return {**row, "Unit": "None", "StatisticValues": {key: float(value) for key, value in statistics.items()}}


def _thinned(values: list[float]) -> list[float]:
    """The values, those between two of 150 quantiles taken for the lower one if there are more; extremes stay."""
    ordered = sorted(values)
    if len(ordered) <= VALUES:
        return ordered
    last = len(ordered) - 1
    return [ordered[(index * (VALUES - 1) // last) * last // (VALUES - 1)] for index in range(len(ordered))]


def _batches(cloud: "Cloud") -> Batches[Sample]:
    kept: dict[str, Batches[Sample]] = table(cloud, "traffic")
    if not kept:
        with lock(cloud):
            kept.setdefault("batches", Batches("endpoint metrics", lambda samples: _send(cloud, samples)))
    return kept["batches"]


def _send(cloud: "Cloud", samples: list[Sample]) -> None:
    rows = summarize(samples)
    for start in range(0, len(rows), DATA):
        cloud.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=rows[start : start + DATA])
