"""The clock of scheduled rules: once a second, every rule whose time has come sends its event to its targets."""

import time
import uuid
from datetime import UTC, datetime
from typing import Any

from ..cloud import Cloud
from ..service import CloudError
from . import cron, delivery
from .store import Rule, buses, locked

_SECONDS = 1.0


def check(expression: str, bus: str) -> cron.Rate | cron.Cron:
    """The schedule; CloudError if it cannot be read, or is not on the default bus."""
    if bus != "default":
        raise CloudError("ValidationException", "ScheduleExpression is supported only on the default event bus.")
    try:
        return cron.parse(expression)
    except ValueError as error:
        message = f"Parameter ScheduleExpression is not valid. ({expression}: {error})"
        raise CloudError("ValidationException", message) from error


def begin(cloud: Cloud) -> None:
    """Start the clock, once."""
    with locked(cloud):
        if cloud.store("events").setdefault("clock", False):
            return
        cloud.store("events")["clock"] = True
    cloud.spawn(lambda: _run(cloud), "event-clock")


def _run(cloud: Cloud) -> None:
    since = datetime.now(UTC)
    while True:
        time.sleep(_SECONDS)
        until = datetime.now(UTC)
        tick(cloud, since, until)
        since = until


def tick(cloud: Cloud, since: datetime, until: datetime) -> list[str]:
    """Send the event of every enabled rule that has a time in (since, until]; the names of those rules."""
    with locked(cloud):
        rules = [rule for rule in buses(cloud)["default"].rules.values() if rule.schedule and rule.state == "ENABLED"]
    due = [rule for rule in rules if rule.schedule and rule.schedule.due(since, until, rule.made)]
    for rule in due:
        delivery.send(cloud, rule, _event(cloud, rule, until))
    return [rule.name for rule in due]


def _event(cloud: Cloud, rule: Rule, at: datetime) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": cloud.account,
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "region": cloud.region,
        "resources": [rule.arn],
        "detail": {},
    }
