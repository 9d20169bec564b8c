"""Which state an alarm's datapoints put it in. Nothing here does I/O.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
OPERATORS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "GreaterThanThreshold": ("greater than", operator.gt),
    "GreaterThanOrEqualToThreshold": ("greater than or equal to", operator.ge),
    "LessThanThreshold": ("less than", operator.lt),
    "LessThanOrEqualToThreshold": ("less than or equal to", operator.le),
}
# CloudWatch looks at a few periods more than are evaluated: real datapoints there stand in for missing ones
MORE_PERIODS = 2

Point = float | None


def evaluable(alarm: Mapping[str, Any]) -> bool:
    """Whether this is an alarm on one metric against a fixed threshold, the only kind evaluated here."""
    return alarm["ComparisonOperator"] in OPERATORS and "Threshold" in alarm and bool(alarm.get("MetricName"))


def evaluate(points: Sequence[Point], alarm: Mapping[str, Any]) -> str | None:
    """The state; None to keep the present one.

    `points` are the datapoints of the last `EvaluationPeriods` and a few more periods, oldest first, None for a
    period without one. `alarm` is of DescribeAlarms' shape.
    """
    needed = _needed(alarm)
    breaches = _breaches(points, alarm)
    missing = alarm["EvaluationPeriods"] - len(breaches)
    treated = alarm.get("TreatMissingData") or "missing"
    count = sum(breaches) + (missing if treated == "breaching" else 0)
    if count >= needed:
        return ALARM
    if not missing or treated in ("breaching", "notBreaching") or not all(breaches):
        return OK
    if treated == "ignore":
        return None
    return ALARM if breaches else INSUFFICIENT


def reason(points: Sequence[Point], alarm: Mapping[str, Any], state: str) -> str:
    """CloudWatch's sentence for a state that these datapoints led to."""
    if state == INSUFFICIENT:
        periods = alarm["EvaluationPeriods"]
        return f"Insufficient Data: {periods} datapoint{'s were' if periods > 1 else ' was'} unknown."
    present = [point for point in points if point is not None][-alarm["EvaluationPeriods"] :]
    word, threshold = OPERATORS[alarm["ComparisonOperator"]][0], alarm["Threshold"]
    if not present:
        verdict = "treated as breaching" if state == ALARM else "treated as not breaching"
        return f"Threshold Crossed: no datapoints were received for {alarm['EvaluationPeriods']} periods, {verdict}."
    breaches = _breaches(points, alarm)
    count = sum(breaches) if state == ALARM else len(breaches) - sum(breaches)
    was = "was" if state == ALARM else "was not"
    return (
        f"Threshold Crossed: {count} out of the last {len(present)} datapoints {present} {was} {word} the threshold "
        f"({threshold}) (minimum {_needed(alarm)} for the state {ALARM})."
    )


def _needed(alarm: Mapping[str, Any]) -> int:
    return int(alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"])


def _breaches(points: Sequence[Point], alarm: Mapping[str, Any]) -> list[bool]:
    """For each of the most recent real datapoints, at most as many as are evaluated, whether it breaches."""
    compare, threshold = OPERATORS[alarm["ComparisonOperator"]][1], alarm["Threshold"]
    return [compare(point, threshold) for point in points if point is not None][-alarm["EvaluationPeriods"] :]
