"""CloudWatch's alarms: which state datapoints lead to, and alarms that fire through boto3."""

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.alarms.evaluation import evaluate, reason
from localcloud.alarms.watch import window
from tests.localcloud.sagemaker_lab import Lab, until

OVER = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 5.0, "EvaluationPeriods": 3}


def points(text: str) -> list[float | None]:
    """`0` does not breach, `X` does, `-` is missing: as in CloudWatch's user guide, most recent last."""
    return [{"0": 0.0, "X": 9.0, "-": None}[sign] for sign in text.split()]


# the tables of https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
# in the order missing, ignore, breaching, notBreaching; None keeps the state
@pytest.mark.parametrize(
    ("needed", "text", "states"),
    [
        (3, "0 - X - X", ("OK", "OK", "OK", "OK")),
        (3, "0 - - - -", ("OK", "OK", "OK", "OK")),
        (3, "- - - - -", ("INSUFFICIENT_DATA", None, "ALARM", "OK")),
        (3, "0 X X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (3, "- - X - -", ("ALARM", None, "ALARM", "OK")),
        (2, "0 - X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 0 X 0 X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 - X - -", ("OK", "OK", "ALARM", "OK")),
        (2, "- - - - 0", ("OK", "OK", "ALARM", "OK")),
        (2, "- - - X -", ("ALARM", None, "ALARM", "OK")),
    ],
)
def test_missing_datapoints_are_treated_as_in_cloudwatchs_own_tables(
    needed: int, text: str, states: tuple[str | None, ...]
):
    treatments = ("missing", "ignore", "breaching", "notBreaching")
    alarms = [{**OVER, "DatapointsToAlarm": needed, "TreatMissingData": treatment} for treatment in treatments]
    assert tuple(evaluate(points(text), alarm) for alarm in alarms) == states


@pytest.mark.parametrize(
    ("operator", "breaching"),
    [
        ("GreaterThanThreshold", {6}),
        ("GreaterThanOrEqualToThreshold", {5, 6}),
        ("LessThanThreshold", {4}),
        ("LessThanOrEqualToThreshold", {4, 5}),
    ],
)
def test_each_operator_compares_with_the_threshold(operator: str, breaching: set[int]):
    alarm = {"ComparisonOperator": operator, "Threshold": 5.0, "EvaluationPeriods": 1}
    assert {value for value in (4, 5, 6) if evaluate([float(value)], alarm) == "ALARM"} == breaching


@given(st.lists(st.sampled_from([0.0, 9.0, None]), min_size=5, max_size=5), st.integers(1, 3))
def test_without_missing_datapoints_only_their_number_decides(found: list[float | None], needed: int):
    alarm = {**OVER, "DatapointsToAlarm": needed}
    present = [point for point in found if point is not None][-3:]
    if len(present) == 3:
        assert evaluate(found, alarm) == ("ALARM" if present.count(9.0) >= needed else "OK")


def test_the_reason_names_the_datapoints_and_the_threshold():
    assert reason(points("0 0 X X X"), OVER, "ALARM") == (
        "Threshold Crossed: 3 out of the last 3 datapoints [9.0, 9.0, 9.0] was greater than the threshold (5.0) "
        "(minimum 3 for the state ALARM)."
    )
    assert reason(points("- - - - -"), OVER, "INSUFFICIENT_DATA") == "Insufficient Data: 3 datapoints were unknown."
    assert "treated as not breaching" in reason(points("- - - - -"), OVER, "OK")


def test_a_minute_is_three_seconds_here_and_nothing_is_less_than_one():
    assert [window(period) for period in (10, 60, 300)] == [1, 3, 15]


class AlarmLab(Lab):
    """Metrics and alarms of names of their own."""

    def __init__(self, cloud: Any) -> None:
        super().__init__(cloud)
        self.cloudwatch = cloud.client("cloudwatch")

    def alarm(self, **changes: Any) -> str:
        """An alarm on the metric of its own name."""
        name = self.name("alarm")
        row = {**OVER, "EvaluationPeriods": 1, "Period": 20, "Namespace": "Tests", "MetricName": name}
        row |= {} if "ExtendedStatistic" in changes else {"Statistic": "Maximum"}
        self.cloudwatch.put_metric_alarm(AlarmName=name, **{**row, **changes})
        return name

    def put(self, name: str, *values: float) -> None:  # type: ignore[override]
        row = {"MetricName": name, "Values": list(values)}
        self.cloudwatch.put_metric_data(Namespace="Tests", MetricData=[row])

    def state(self, name: str) -> str:
        return self.described(name)["StateValue"]

    def described(self, name: str) -> dict[str, Any]:
        return self.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]

    def queue(self) -> tuple[str, str]:
        """Address and ARN of a new queue."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=self.name("alarms"))["QueueUrl"]
        return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def received(self, url: str) -> dict[str, Any]:
        """The one message of a queue, once it is there."""
        (message,) = until(lambda: self.client("sqs").receive_message(QueueUrl=url).get("Messages"))
        return json.loads(message["Body"])


@pytest.fixture(scope="module")
def lab(localcloud) -> AlarmLab:
    return AlarmLab(localcloud)


@dataclass(frozen=True)
class Fired:
    """Alarms after a few seconds, in which the one called `loud` fired. Queues got its event and its message."""

    loud: str
    quiet: str
    percentile: str
    kept: str
    math: str
    events: str
    messages: str


@pytest.fixture(scope="module")
def fired(lab: AlarmLab) -> Fired:
    sns, events = lab.client("sns"), lab.client("events")
    (messages, arn), topic = lab.queue(), sns.create_topic(Name=lab.name("topic"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    loud, quiet = lab.alarm(AlarmActions=[topic], TreatMissingData="notBreaching"), lab.alarm()
    percentile = lab.alarm(ExtendedStatistic="p90")
    url, arn = lab.queue()
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [loud], "state": {"value": ["ALARM"]}}}
    events.put_rule(Name=loud, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=loud, Targets=[{"Id": "queue", "Arn": arn}])
    kept, math = lab.alarm(TreatMissingData="ignore"), lab.name("math")
    lab.cloudwatch.set_alarm_state(AlarmName=kept, StateValue="ALARM", StateReason="a test")
    lab.cloudwatch.put_metric_alarm(
        AlarmName=kept,
        **{**OVER, "Period": 40},
        Namespace="Tests",
        MetricName=kept,
        Statistic="Sum",
        TreatMissingData="ignore",
    )
    lab.cloudwatch.put_metric_alarm(
        AlarmName=math,
        ComparisonOperator="GreaterThanThreshold",
        Threshold=1,
        EvaluationPeriods=1,
        TreatMissingData="breaching",
        Metrics=[{"Id": "e", "Expression": "1 + 1", "Period": 60, "ReturnData": True}],
    )

    def look() -> bool:
        lab.put(loud, 1, 9)
        lab.put(percentile, *[1] * 19, 9)  # the 90th percentile is 1
        time.sleep(0.2)
        return lab.state(loud) == "ALARM" and lab.state(percentile) == "OK"

    until(look)
    return Fired(loud, quiet, percentile, kept, math, url, messages)


def test_an_alarm_whose_metric_breaches_says_why(lab: AlarmLab, fired: Fired):
    said = lab.described(fired.loud)
    assert "was greater than the threshold (5.0)" in said["StateReason"]
    assert json.loads(said["StateReasonData"])["threshold"] == 5.0


def test_a_percentile_is_not_moved_by_a_few_values(lab: AlarmLab, fired: Fired):
    assert "was not greater than" in lab.described(fired.percentile)["StateReason"]


def test_an_alarm_without_data_has_not_enough_of_it(lab: AlarmLab, fired: Fired):
    assert lab.state(fired.quiet) == "INSUFFICIENT_DATA"


def test_eventbridge_is_told_of_a_state_that_changed(lab: AlarmLab, fired: Fired):
    event = lab.received(fired.events)
    arn = lab.described(fired.loud)["AlarmArn"]
    assert (event["detail-type"], event["resources"]) == ("CloudWatch Alarm State Change", [arn])
    assert event["detail"]["previousState"]["value"] in ("OK", "INSUFFICIENT_DATA")
    stat = event["detail"]["configuration"]["metrics"][0]["metricStat"]
    assert (stat["metric"]["name"], stat["period"], stat["stat"]) == (fired.loud, 20, "Maximum")


def test_a_topic_among_the_actions_gets_cloudwatchs_message(lab: AlarmLab, fired: Fired):
    message = lab.received(fired.messages)
    assert (message["AlarmName"], message["NewStateValue"]) == (fired.loud, "ALARM")
    assert (message["Trigger"]["Statistic"], message["Trigger"]["Threshold"]) == ("MAXIMUM", 5.0)


def test_an_alarm_that_is_changed_keeps_its_state(lab: AlarmLab, fired: Fired):
    assert lab.state(fired.kept) == "ALARM"


def test_an_alarm_on_metric_math_is_not_evaluated(lab: AlarmLab, fired: Fired):
    assert lab.state(fired.math) == "INSUFFICIENT_DATA"
