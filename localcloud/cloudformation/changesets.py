"""Change sets: what an update would do, written down before it is done."""

import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.cloud import Cloud
from localcloud.service import CloudError

from . import functions
from .changes import replaces
from .resources import RESOURCES
from .stacks import Desired, Record, Stack, every, now, wanted

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


@dataclass
class ChangeSet:
    """One change set of one stack."""

    name: str
    id: str
    stack: Stack
    type: str
    desired: Desired
    changes: list[dict[str, Any]]
    capabilities: list[str]
    description: str = ""
    status: str = "CREATE_COMPLETE"
    reason: str = ""
    execution: str = "AVAILABLE"
    created: datetime = field(default_factory=now)


def all_sets(cloud: Cloud) -> dict[str, ChangeSet]:
    """All change sets by id."""
    sets: dict[str, ChangeSet] = cloud.store("cloudformation").setdefault("change sets", {})
    return sets


def find(cloud: Cloud, request: dict[str, Any]) -> ChangeSet:
    """By ARN, or by name and stack; AWS's own error if there is none."""
    name, stack = request["ChangeSetName"], request.get("StackName")
    for item in reversed(all_sets(cloud).values()):
        if name == item.id or (name == item.name and stack in {item.stack.name, item.stack.id}):
            return item
    raise CloudError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)


def make(cloud: Cloud, stack: Stack, desired: Desired, request: dict[str, Any]) -> ChangeSet:
    """Compare the stack with what is asked; a set without changes has failed, as on AWS."""
    name, type_ = request["ChangeSetName"], request.get("ChangeSetType", "UPDATE")
    if any(item.name == name and item.stack is stack for item in all_sets(cloud).values()):
        raise CloudError("AlreadyExistsException", f"ChangeSet {name} cannot be created because it already exists")
    arn = f"arn:aws:cloudformation:{cloud.region}:{cloud.account}:changeSet/{name}/{uuid.uuid4()}"
    result = ChangeSet(
        name, arn, stack, type_, desired, differences(cloud, stack, desired), request.get("Capabilities", []),
        request.get("Description", ""),
    )  # fmt: skip
    if type_ == "UPDATE" and desired.same_as(stack.desired):
        result.status, result.reason, result.execution = "FAILED", NO_CHANGES, "UNAVAILABLE"
    all_sets(cloud)[arn] = result
    return result


def differences(cloud: Cloud, stack: Stack, desired: Desired) -> list[dict[str, Any]]:
    """Add, Modify and Remove, each with the resource it touches."""
    scope, resources = stack.scope(cloud, desired, lenient=True), wanted(stack, cloud, desired)
    result = []
    for name, definition in resources.items():
        before = stack.records.get(name)
        asked = Record(name, definition["Type"], functions.evaluate(definition.get("Properties", {}), scope))
        if before is None:
            result.append(_change("Add", asked))
        elif (before.type, before.properties) != (asked.type, asked.properties):
            kind = RESOURCES.get(asked.type)
            anew = before.type != asked.type or (kind is not None and replaces(kind, before, asked))
            asked.physical_id = before.physical_id
            result.append(_change("Modify", asked, Replacement=str(anew)))
    return result + [_change("Remove", record) for name, record in stack.records.items() if name not in resources]


def _change(action: str, record: Record, **more: str) -> dict[str, Any]:
    place = {"LogicalResourceId": record.logical_id, "ResourceType": record.type}
    physical = {"PhysicalResourceId": record.physical_id} if record.physical_id else {}
    return {"Type": "Resource", "ResourceChange": {"Action": action, **place, **physical, **more}}


def describe(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """DescribeChangeSet."""
    found = find(cloud, request)
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in found.desired.parameters.items()]
    return {
        "ChangeSetName": found.name,
        "ChangeSetId": found.id,
        "StackId": found.stack.id,
        "StackName": found.stack.name,
        "Description": found.description,
        "Parameters": parameters,
        "CreationTime": found.created,
        "ExecutionStatus": found.execution,
        "Status": found.status,
        "StatusReason": found.reason,
        "Capabilities": found.capabilities,
        "Tags": found.desired.tags,
        "Changes": found.changes,
    }


def remove(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """DeleteChangeSet; a stack that never was more than a review goes with its last set."""
    found = find(cloud, request)
    del all_sets(cloud)[found.id]
    others = any(item.stack is found.stack for item in all_sets(cloud).values())
    if found.stack.status == "REVIEW_IN_PROGRESS" and not others:
        every(cloud).pop(found.stack.id, None)
    return {}


def claim(cloud: Cloud, request: dict[str, Any]) -> ChangeSet:
    """The change set to execute, taken so that no one else can execute it."""
    with cloud.store("cloudformation").setdefault("lock", threading.Lock()):
        found = find(cloud, request)
        if found.execution != "AVAILABLE":
            message = f"ChangeSet [{found.id}] cannot be executed in its current status of [{found.status}]"
            raise CloudError("InvalidChangeSetStatus", message)
        found.execution = "EXECUTE_COMPLETE"
        return found
