"""Reads a training job's metrics out of its log, as `AlgorithmSpecification.MetricDefinitions` ask."""

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from .store import Row, invalid, now

if TYPE_CHECKING:
    from ..cloud import Cloud

NAMESPACE = "/aws/sagemaker/TrainingJobs"


def compile_all(definitions: list[Row]) -> dict[str, re.Pattern[str]]:
    """Metric name to pattern; a pattern that is none is refused."""
    patterns = {}
    for definition in definitions:
        try:
            patterns[definition["Name"]] = re.compile(definition["Regex"])
        except re.error as error:
            raise invalid(f"Invalid regular expression for metric {definition['Name']}: {error}") from error
    return patterns


class Metrics:
    """The values found so far, and the way they reach CloudWatch."""

    def __init__(self, cloud: "Cloud", job: str, patterns: dict[str, re.Pattern[str]]) -> None:
        self._cloud = cloud
        self._job = job
        self._patterns = patterns
        self.final: dict[str, Row] = {}

    def observe(self, lines: list[str]) -> None:
        """Find values in new lines and put each into CloudWatch."""
        found = [
            row for line in lines for name, pattern in self._patterns.items() for row in _values(line, name, pattern)
        ]
        self.final.update({row["MetricName"]: row for row in found})
        dimensions = [{"Name": "TrainingJobName", "Value": self._job}]
        data = [{**row, "Dimensions": dimensions} for row in found]
        for start in range(0, len(data), 1000):
            self._cloud.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data[start : start + 1000])


def _values(line: str, name: str, pattern: re.Pattern[str]) -> list[Row]:
    rows = []
    for match in pattern.finditer(line):
        with suppress(ValueError, IndexError, TypeError):  # a group that holds no number is no value, as on AWS
            value = float(match.group(1))
            if math.isfinite(value):  # CloudWatch takes neither NaN nor infinity
                rows.append({"MetricName": name, "Value": value, "Timestamp": now()})
    return rows
