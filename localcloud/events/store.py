"""What EventBridge remembers: buses with their rules and targets."""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..cloud import Cloud
from ..service import CloudError
from .cron import Cron, Rate


@dataclass
class Rule:
    """A pattern, a schedule, or both, and where events go."""

    name: str
    arn: str
    bus: str
    text: str | None = None
    pattern: dict[str, Any] | None = None
    expression: str | None = None
    schedule: Rate | Cron | None = None
    made: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: str = "ENABLED"
    description: str | None = None
    role: str | None = None
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """As DescribeRule and ListRules show it."""
        return {
            "Name": self.name,
            "Arn": self.arn,
            "EventPattern": self.text,
            "ScheduleExpression": self.expression,
            "State": self.state,
            "Description": self.description,
            "RoleArn": self.role,
            "EventBusName": self.bus,
        }


@dataclass
class Bus:
    """A stream of events and its rules."""

    name: str
    arn: str
    description: str = ""
    rules: dict[str, Rule] = field(default_factory=dict)
    policy: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def shown(self) -> dict[str, Any]:
        """As DescribeEventBus and ListEventBuses show it."""
        statements = list(self.policy.values())
        return {
            "Name": self.name,
            "Arn": self.arn,
            "Description": self.description or None,
            "Policy": json.dumps({"Version": "2012-10-17", "Statement": statements}) if statements else None,
            "CreationTime": self.created,
            "LastModifiedTime": self.created,
        }


_PAGE = 100
_creating = threading.Lock()


def _state(cloud: Cloud) -> dict[str, Any]:
    state = cloud.store("events")
    with _creating:
        if "buses" not in state:
            arn = f"arn:aws:events:{cloud.region}:{cloud.account}:event-bus/default"
            state |= {"lock": threading.RLock(), "buses": {"default": Bus("default", arn)}}
    return state


def locked(cloud: Cloud) -> threading.RLock:
    """The lock to hold while changing buses or rules."""
    lock: threading.RLock = _state(cloud)["lock"]
    return lock


def buses(cloud: Cloud) -> dict[str, Bus]:
    """Every bus by name; `default` is always there."""
    found: dict[str, Bus] = _state(cloud)["buses"]
    return found


def bus_of(cloud: Cloud, name: str | None) -> Bus:
    """The bus of a name or ARN; CloudError ResourceNotFoundException if there is none."""
    short = (name or "default").rpartition("event-bus/")[2]
    bus = buses(cloud).get(short)
    if bus is None:
        raise CloudError("ResourceNotFoundException", f"Event bus {short} does not exist.")
    return bus


def rule_of(cloud: Cloud, name: str, bus: str | None) -> Rule:
    """The rule of a name on a bus; CloudError ResourceNotFoundException if there is none."""
    found = bus_of(cloud, bus)
    if name not in found.rules:
        raise CloudError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {found.name}.")
    return found.rules[name]


def page(name: str, items: list[Any], given: dict[str, Any]) -> dict[str, Any]:
    """One page; the token is the index of the next item."""
    token = given.get("NextToken", "0")
    if not token.isdigit():
        raise CloudError("ValidationException", "Parameter NextToken is not valid.")
    start, limit = int(token), given.get("Limit", _PAGE)
    more = {"NextToken": str(start + limit)} if start + limit < len(items) else {}
    return {name: items[start : start + limit], **more}
