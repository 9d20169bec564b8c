"""Schedules: AWS's cron and rate expressions, and the clock that sends a rule's event to a real queue."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.cloud import Cloud
from localcloud.events import cron, rules, schedules
from localcloud.images import Images

from .test_events import names, queue, receive

MADE = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def fires(expression: str, moment: str) -> bool:
    """Whether the schedule has a time in the minute that begins at `moment`."""
    return cron.parse(expression).due(at(moment) - timedelta(seconds=1), at(moment), MADE)


@pytest.mark.parametrize(
    ("expression", "when", "not_when"),
    [
        ("cron(0 3 * * ? *)", "2026-11-21 03:00", "2026-11-21 03:01"),
        ("cron(0/15 * * * ? *)", "2026-11-21 03:45", "2026-11-21 03:46"),
        ("cron(5,10-12 * * * ? *)", "2026-11-21 03:11", "2026-11-21 03:13"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-20 18:00", "2026-11-21 18:00"),  # a Friday and a Saturday
        ("cron(0 18 ? * 1 *)", "2026-11-22 18:00", "2026-11-23 18:00"),  # 1 is Sunday
        ("cron(0 0 L * ? *)", "2028-02-29 00:00", "2028-02-28 00:00"),
        ("cron(0 0 1W * ? *)", "2026-08-03 00:00", "2026-08-01 00:00"),  # the 1st is a Saturday
        ("cron(0 0 31W * ? *)", "2027-01-29 00:00", "2027-01-31 00:00"),  # the 31st is a Sunday
        ("cron(0 0 15W * ? *)", "2026-11-16 00:00", "2026-11-15 00:00"),  # the 15th is a Sunday
        ("cron(0 0 ? * 6L *)", "2026-11-27 00:00", "2026-11-20 00:00"),
        ("cron(0 0 ? * FRI#3 *)", "2026-11-20 00:00", "2026-11-27 00:00"),
        ("cron(0 0 ? * L *)", "2026-11-21 00:00", "2026-11-22 00:00"),
        ("cron(0 12 1 JAN,JUL ? 2026-2027)", "2027-07-01 12:00", "2028-07-01 12:00"),
        ("rate(5 minutes)", "2026-01-01 00:10", "2026-01-01 00:11"),
        ("rate(1 hour)", "2026-01-03 07:00", "2026-01-03 07:30"),
        ("rate(2 days)", "2026-01-03 00:00", "2026-01-02 00:00"),
    ],
)
def test_a_schedule_fires_when_it_says_and_not_beside(expression, when, not_when):
    assert (fires(expression, when), fires(expression, not_when)) == (True, False)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minutes)", "rate(2 minute)", "rate(0 minutes)", "rate(5 seconds)", "rate(5  minutes)", "rate(-1 days)",
        "rate(9999999 days)", "cron(* * * * *)", "cron(0 3 * * * *)", "cron(0 3 ? * ? *)", "cron(60 3 * * ? *)",
        "cron(0 24 * * ? *)", "cron(0 3 0 * ? *)", "cron(0 3 ? * 8 *)", "cron(0 3 ? * MON#6 *)", "cron(0 3 L-3 * ? *)",
        "cron(5-1 3 * * ? *)", "cron(0/0 3 * * ? *)", "cron(0 3 * FOO ? *)", "cron(, 3 * * ? *)",
        "at(2026-01-01T00:00)", "0 3 * * *", "",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(expression):
    with pytest.raises(ValueError, match=r"."):
        cron.parse(expression)


@settings(deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"cron\([0-9A-Z*?LW#,/ -]{0,30}\)"))
def test_a_text_is_read_or_refused(expression):
    with suppress(ValueError):
        cron.parse(expression).due(MADE, MADE + timedelta(hours=1), MADE)


@settings(deadline=None)
@given(st.integers(1, 90), st.lists(st.integers(1, 10_000), min_size=1, max_size=20))
def test_a_rate_fires_as_often_as_it_says_however_the_clock_is_cut(minutes, seconds):
    rate, since, count = cron.Rate(timedelta(minutes=minutes)), MADE, 0
    for step in seconds:
        until = since + timedelta(seconds=step)
        inside = (until - MADE) // rate.every - (since - MADE) // rate.every
        assert rate.due(since, until, MADE) == (inside > 0)
        since, count = until, count + inside
    assert count == sum(seconds) // (minutes * 60)


def test_a_minute_that_was_slept_through_is_made_up_for_once():
    daily = cron.parse("cron(0 3 * * ? *)")
    assert daily.due(at("2026-11-20 02:00"), at("2026-11-20 09:00"), MADE)
    assert not daily.due(at("2026-11-20 09:00"), at("2026-11-20 09:01"), MADE)


@pytest.fixture
def cloud(localcloud, tmp_path: Path) -> Cloud:
    """The events service in this process, whose targets are those of the session's localcloud."""
    nothing: Any = None
    return Cloud(tmp_path, localcloud.endpoint, "eu-west-1", Images(), nothing, nothing)


def test_a_rule_whose_time_has_come_sends_a_scheduled_event_to_its_targets(cloud, localcloud):
    url, arn = queue(localcloud)
    rules.put_rule(cloud, {"Name": "nightly", "ScheduleExpression": "cron(0 3 * * ? *)"})
    rules.put_rule(cloud, {"Name": "off", "ScheduleExpression": "cron(0 3 * * ? *)", "State": "DISABLED"})
    for name in ("nightly", "off"):
        rules.put_targets(cloud, {"Rule": name, "Targets": [{"Id": "1", "Arn": arn}]})
    night = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert schedules.tick(cloud, night - timedelta(seconds=2), night - timedelta(seconds=1)) == []
    assert schedules.tick(cloud, night - timedelta(seconds=1), night) == ["nightly"]
    event = json.loads(receive(localcloud, url)["Body"])
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})
    assert event["resources"] == ["arn:aws:events:eu-west-1:123456789012:rule/nightly"]
    assert event["time"] == f"{night:%Y-%m-%dT%H:%M:%SZ}"


def test_a_schedule_is_shown_changed_and_kept_to_the_default_bus(localcloud):
    events, name, bus = localcloud.client("events"), names("rule"), names("bus")
    events.put_rule(Name=name, ScheduleExpression="rate(1 day)")
    shown = events.describe_rule(Name=name)
    assert (shown["ScheduleExpression"], "EventPattern" in shown) == ("rate(1 day)", False)
    events.put_rule(Name=name, EventPattern='{"source": ["x"]}')
    assert "ScheduleExpression" not in events.describe_rule(Name=name)
    events.create_event_bus(Name=bus)
    with pytest.raises(ClientError, match="only on the default event bus"):
        events.put_rule(Name=name, EventBusName=bus, ScheduleExpression="rate(1 day)")
    with pytest.raises(ClientError, match="ScheduleExpression is not valid"):
        events.put_rule(Name=name, ScheduleExpression="rate(1 days)")


def test_a_rule_with_only_a_schedule_takes_no_event(localcloud):
    events, (url, arn), name = localcloud.client("events"), queue(localcloud), names("rule")
    events.put_rule(Name=name, ScheduleExpression="rate(1 day)")
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    events.put_events(Entries=[{"Source": "x", "DetailType": "y", "Detail": "{}"}])
    time.sleep(0.3)
    assert "Messages" not in localcloud.client("sqs").receive_message(QueueUrl=url)


@pytest.mark.heavy
def test_the_clock_runs_by_itself(localcloud):
    events, (url, arn), name = localcloud.client("events"), queue(localcloud), names("rule")
    events.put_rule(Name=name, ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    deadline = time.monotonic() + 75
    while time.monotonic() < deadline:
        if found := localcloud.client("sqs").receive_message(QueueUrl=url).get("Messages"):
            assert json.loads(found[0]["Body"])["detail-type"] == "Scheduled Event"
            return
        time.sleep(0.5)
    raise AssertionError("a minute passed and nothing came")
