"""What a stack remembers: its template, its resources, its events; and finding one."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from localcloud.cloud import Cloud
from localcloud.service import CloudError

from . import functions, template
from .functions import Scope

UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"  # AWS's own word for a value no one can know yet


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Desired:
    """What a request asks a stack to be."""

    body: str
    data: dict[str, Any]
    parameters: dict[str, str]
    tags: list[dict[str, str]]

    def same_as(self, other: "Desired | None") -> bool:
        """Whether there is nothing to do: comments and layout of the template do not count."""
        return other is not None and (self.data, self.parameters, self.tags) == (
            other.data,
            other.parameters,
            other.tags,
        )


@dataclass
class Record:
    """One resource of a stack as it is now."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    physical_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    status: str = ""
    reason: str = ""
    changed: datetime = field(default_factory=now)
    retain: str = "Delete"  # the resource's DeletionPolicy


@dataclass
class Stack:
    """A stack with all that DescribeStacks and its sisters tell about it."""

    name: str
    id: str
    desired: Desired
    status: str
    capabilities: list[str] = field(default_factory=list)
    on_failure: str = "ROLLBACK"
    reason: str = ""
    created: datetime = field(default_factory=now)
    updated: datetime | None = None
    deleted: datetime | None = None
    records: dict[str, Record] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def turn(self, status: str, reason: str = "") -> None:
        """The stack enters another state; an event says so."""
        self.status, self.reason = status, reason
        self.note(self.name, self.id, "AWS::CloudFormation::Stack", status, reason)

    def mark(self, record: Record, status: str, reason: str = "") -> None:
        """One of its resources enters another state; an event says so."""
        record.status, record.reason, record.changed = status, reason, now()
        self.note(record.logical_id, record.physical_id, record.type, status, reason)

    def note(self, logical_id: str, physical_id: str, type_: str, status: str, reason: str) -> None:
        """Add an event."""
        event = {
            "StackId": self.id,
            "StackName": self.name,
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id,
            "ResourceType": type_,
            "ResourceStatus": status,
            "Timestamp": now(),
        }
        self.events.append(event | ({"ResourceStatusReason": reason} if reason else {}))

    def scope(self, cloud: Cloud, desired: Desired, lenient: bool = False) -> Scope:
        """What the template may refer to, as far as the stack's resources exist; lenient fills in UNKNOWN."""

        def find(name: str) -> Record | None:
            if name in self.records and self.records[name].physical_id:
                return self.records[name]
            if lenient:
                return None
            raise CloudError("ValidationError", f"Unresolved resource dependencies [{name}] in the template")

        def reference(name: str) -> Any:
            record = find(name)
            return record.attributes.get("Ref", record.physical_id) if record else UNKNOWN

        def attribute(name: str, key: str) -> Any:
            record = find(name)
            if record is None:
                return UNKNOWN
            if key not in record.attributes:
                raise CloudError(
                    "ValidationError", f"Requested attribute {key} does not exist in schema for {record.type}"
                )
            return record.attributes[key]

        declared = desired.data.get("Parameters", {})
        values = template.typed_parameters(declared, desired.parameters) | pseudo(cloud, self)
        sections = desired.data.get("Mappings", {}), desired.data.get("Conditions", {})
        return Scope(values, *sections, reference, attribute)


def pseudo(cloud: Cloud, stack: Stack) -> dict[str, Any]:
    """The pseudo parameters, AWS::NoValue aside."""
    return {
        "AWS::AccountId": cloud.account,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": cloud.region,
        "AWS::StackId": stack.id,
        "AWS::StackName": stack.name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def wanted(stack: Stack, cloud: Cloud, desired: Desired) -> dict[str, Any]:
    """The resources whose condition holds, in an order that can be created."""
    scope, resources = stack.scope(cloud, desired, lenient=True), desired.data["Resources"]
    names = template.order(resources)
    return {
        name: resources[name]
        for name in names
        if "Condition" not in resources[name] or functions.truth(resources[name]["Condition"], scope)
    }


def new(cloud: Cloud, name: str, desired: Desired, status: str) -> Stack:
    """A stack that has nothing yet, put on record."""
    arn = f"arn:aws:cloudformation:{cloud.region}:{cloud.account}:stack/{name}/{uuid.uuid4()}"
    stack = Stack(name=name, id=arn, desired=desired, status=status)
    every(cloud)[arn] = stack
    return stack


def every(cloud: Cloud) -> dict[str, Stack]:
    """All stacks by id, deleted ones too."""
    stacks: dict[str, Stack] = cloud.store("cloudformation").setdefault("stacks", {})
    return stacks


def living(cloud: Cloud) -> Iterator[Stack]:
    """The stacks that are not deleted."""
    return (stack for stack in every(cloud).values() if stack.status != "DELETE_COMPLETE")


def lookup(cloud: Cloud, name: str) -> Stack | None:
    """By name a living stack, by id a deleted one too."""
    by_id = every(cloud).get(name)
    return by_id or next((stack for stack in living(cloud) if stack.name == name), None)


def find(cloud: Cloud, name: str) -> Stack:
    """The stack, or AWS's own error."""
    stack = lookup(cloud, name)
    if stack is None:
        raise CloudError("ValidationError", f"Stack with id {name} does not exist")
    return stack
