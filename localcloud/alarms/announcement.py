"""How a change of an alarm's state is told: an EventBridge event, and a message to each SNS topic among its actions."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..cloud import Cloud

Alarm = Mapping[str, Any]
_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_STATISTICS = {"SampleCount", "Average", "Sum", "Minimum", "Maximum"}


def announce(cloud: "Cloud", alarm: Alarm, previous: Alarm) -> None:
    """Tell that an alarm that was `previous` is now `alarm`, both of DescribeAlarms' shape."""
    cloud.emit("aws.cloudwatch", "CloudWatch Alarm State Change", event(alarm, previous), [alarm["AlarmArn"]])
    if not alarm.get("ActionsEnabled", True):
        return
    for action in alarm.get(_ACTIONS[alarm["StateValue"]], []):
        if action.startswith("arn:aws:sns:"):
            subject = f'{alarm["StateValue"]}: "{alarm["AlarmName"]}" in {cloud.region}'[:100]
            text = json.dumps(message(cloud, alarm, previous))
            cloud.client("sns").publish(TopicArn=action, Subject=subject, Message=text)


def event(alarm: Alarm, previous: Alarm) -> dict[str, Any]:
    """The detail of `CloudWatch Alarm State Change`."""
    metric = {"namespace": alarm["Namespace"], "name": alarm["MetricName"], "dimensions": _dimensions(alarm)}
    stat = {"metric": metric, "period": alarm["Period"], "stat": statistic(alarm)}
    metrics = [{"id": str(uuid.uuid5(uuid.NAMESPACE_URL, alarm["AlarmArn"])), "metricStat": stat, "returnData": True}]
    return {
        "alarmName": alarm["AlarmName"],
        "state": _state(alarm),
        "previousState": _state(previous),
        "configuration": {"description": alarm.get("AlarmDescription") or "", "metrics": metrics},
    }


def message(cloud: "Cloud", alarm: Alarm, previous: Alarm) -> dict[str, Any]:
    """What CloudWatch publishes to an SNS topic."""
    name = statistic(alarm)
    return {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription"),
        "AWSAccountId": cloud.account,
        "NewStateValue": alarm["StateValue"],
        "NewStateReason": alarm["StateReason"],
        "StateChangeTime": _moment(alarm["StateUpdatedTimestamp"]),
        "Region": cloud.region,
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": previous["StateValue"],
        "Trigger": {
            "MetricName": alarm["MetricName"],
            "Namespace": alarm["Namespace"],
            "StatisticType": "Statistic" if name in _STATISTICS else "ExtendedStatistic",
            "Statistic": name.upper() if name in _STATISTICS else name,
            "Unit": alarm.get("Unit"),
            "Dimensions": [{"name": row["Name"], "value": row["Value"]} for row in alarm.get("Dimensions", [])],
            "Period": alarm["Period"],
            "EvaluationPeriods": alarm["EvaluationPeriods"],
            "ComparisonOperator": alarm["ComparisonOperator"],
            "Threshold": alarm["Threshold"],
            "TreatMissingData": alarm.get("TreatMissingData") or "missing",
        },
    }


def statistic(alarm: Alarm) -> str:
    """The statistic or percentile that an alarm looks at."""
    return str(alarm.get("Statistic") or alarm.get("ExtendedStatistic"))


def _dimensions(alarm: Alarm) -> dict[str, str]:
    return {row["Name"]: row["Value"] for row in alarm.get("Dimensions", [])}


def _state(alarm: Alarm) -> dict[str, Any]:
    state = {"value": alarm["StateValue"], "reason": alarm["StateReason"]}
    data = alarm.get("StateReasonData")
    more = {"reasonData": data} if data and data != "{}" else {}
    return {**state, **more, "timestamp": _moment(alarm["StateUpdatedTimestamp"])}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
