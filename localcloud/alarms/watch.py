"""Looks at moto's alarms every second: evaluates those that are due, and tells every change of a state.

Time runs twenty times as fast: an alarm's period of 60 s is 3 s here, and never less than the one second in which
metrics arrive.
"""

import json
import sys
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .announcement import announce, statistic
from .evaluation import MORE_PERIODS, Point, evaluable, evaluate, reason

if TYPE_CHECKING:
    from ..cloud import Cloud

SCALE = 20
EVERY_SECONDS = 1.0
# a metric of a moment is there this much later: those of endpoints are gathered for a second
LATE_SECONDS = 2

Alarm = Mapping[str, Any]


def window(period: int) -> int:
    """The whole seconds that stand for an alarm's period."""
    return max(round(period / SCALE), 1)


class Watch:
    """What was seen of the alarms. A state that somebody set by SetAlarmState is told too, until it is evaluated."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._seen: dict[str, Alarm] = {}
        self._ends: dict[str, int] = {}

    def run(self) -> None:
        """Look for ever: this is a daemon thread's function."""
        while True:
            try:
                self.look(time.time())
            except Exception:  # noqa: BLE001 what failed once may pass in a second; the log is read by a person
                print(f"alarms:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            time.sleep(EVERY_SECONDS)

    def look(self, moment: float) -> None:
        """Tell what has changed since the last look, evaluate what is due, and tell what that has changed."""
        alarms = self._alarms()
        self._tell(alarms)
        changed = [alarm for alarm in alarms.values() if evaluable(alarm) and self._evaluate(alarm, moment)]
        if changed:
            self._tell(self._alarms())

    def _alarms(self) -> dict[str, Alarm]:
        pages = self._cloud.client("cloudwatch").get_paginator("describe_alarms").paginate()
        return {alarm["AlarmName"]: alarm for page in pages for alarm in page.get("MetricAlarms", [])}

    def _tell(self, alarms: dict[str, Alarm]) -> None:
        previous, self._seen = self._seen, alarms
        for name, alarm in alarms.items():
            before = previous.get(name)
            if before and before["StateValue"] != alarm["StateValue"] and evaluable(alarm):
                announce(self._cloud, alarm, before)

    def _evaluate(self, alarm: Alarm, moment: float) -> bool:
        """Evaluate an alarm if another of its periods is over; whether its state was set."""
        seconds = window(alarm["Period"])
        end = int(moment - LATE_SECONDS) // seconds * seconds
        key = alarm["AlarmName"]
        if self._ends.get(key) == end:
            return False
        self._ends[key] = end
        points = self._points(alarm, seconds, end)
        state = evaluate(points, alarm)
        if state is None or state == alarm["StateValue"]:
            return False
        data = {"recentDatapoints": points, "threshold": alarm["Threshold"], "period": alarm["Period"]}
        self._cloud.client("cloudwatch").set_alarm_state(
            AlarmName=key,
            StateValue=state,
            StateReason=reason(points, alarm, state),
            StateReasonData=json.dumps({"version": "1.0", **data}),
        )
        return True

    def _points(self, alarm: Alarm, seconds: int, end: int) -> list[Point]:
        """The datapoints of the evaluation range, oldest first."""
        count = alarm["EvaluationPeriods"] + MORE_PERIODS
        start = end - count * seconds
        metric = {"Namespace": alarm["Namespace"], "MetricName": alarm["MetricName"]}
        asked = {
            "Metric": {**metric, "Dimensions": alarm.get("Dimensions", [])},
            "Period": seconds,
            "Stat": statistic(alarm),
        }
        unit = {"Unit": alarm["Unit"]} if alarm.get("Unit") else {}
        found = self._cloud.client("cloudwatch").get_metric_data(
            MetricDataQueries=[{"Id": "points", "MetricStat": {**asked, **unit}}],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
        )["MetricDataResults"][0]
        pairs = zip(found["Timestamps"], found["Values"], strict=True)
        values = {(int(stamp.timestamp()) - start) // seconds: value for stamp, value in pairs}
        return [values.get(index) for index in range(count)]
