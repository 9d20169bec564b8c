"""Where moto's CloudWatch answers other than AWS does, put right at import."""

import math
import re
from collections.abc import Sequence
from typing import Any

from moto.cloudwatch import models, responses

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
_standard = models.Statistics.get_statistics_for_type
_statistics = responses.CloudWatchResponse.get_metric_statistics
_put_alarm = models.CloudWatchBackend.put_metric_alarm


def percentile(values: Sequence[float], share: float) -> float | None:
    """The least value that `share` percent of the values do not exceed; None of no values."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share / 100 * len(ordered)), 1) - 1] if ordered else None


def _statistic(self: Any, name: str) -> Any:
    """GetMetricData's `Stat` pNN: moto answers null. Statistic sets hold no percentiles, as on AWS."""
    match = _PERCENTILE.fullmatch(name)
    return percentile(self.metric_single_values_list, float(match[1])) if match else _standard(self, name)


def _get_statistics(self: Any) -> Any:
    """GetMetricStatistics' `ExtendedStatistics`: moto leaves them out."""
    answer = _statistics(self)
    for point in answer.result["Datapoints"]:
        found = {name: _statistic(point, name) for name in self._get_param("ExtendedStatistics") or []}
        point.extended_statistics = {name: value for name, value in found.items() if value is not None}
    return answer


def _same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """moto finds two dimensions never the same, and so lists a metric once for each of its values."""
    return _pairs(one) == _pairs(other)


def _pairs(dimensions: Sequence[Any]) -> list[tuple[str, str]]:
    return sorted((dimension.name, dimension.value) for dimension in dimensions)


def _before(self: Any, other: Any) -> bool:
    """moto compares a value with a name, so that the order in which dimensions are given would matter."""
    return (self.name, self.value) < (other.name, other.value)


def _put(self: Any, name: str, *arguments: Any, **members: Any) -> Any:
    """A new alarm has not enough data yet, and one that is changed keeps its state; moto says OK of both."""
    known = self.alarms.get(name)
    alarm = _put_alarm(self, name, *arguments, **members)
    alarm.state_value = known.state_value if known else "INSUFFICIENT_DATA"
    return alarm


models.Statistics.get_statistics_for_type = _statistic
responses.CloudWatchResponse.get_metric_statistics = _get_statistics
models.are_dimensions_same = _same
models.Dimension.__lt__ = _before
models.CloudWatchBackend.put_metric_alarm = _put
