"""Create, update and delete a stack, with the rollback that each of them may need."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloud import Cloud
from localcloud.service import CloudError

from . import functions, template
from .kinds import Kind, Order, check_properties, gone
from .resources import RESOURCES
from .stacks import Desired, Record, Stack, now, wanted

TROUBLE = (ClientError, BotoCoreError, CloudError, KeyError, TypeError, ValueError)
Undo = Callable[[], None]


class ResourceFailedError(Exception):
    """One resource could not be made; its record and its event say why."""


@dataclass
class Work:
    """One operation on one stack: what it should become, and how to take back what was done so far."""

    cloud: Cloud
    stack: Stack
    desired: Desired
    undo: list[Undo] = field(default_factory=list)
    clean: list[Record] = field(default_factory=list)  # what an update leaves behind, deleted last

    def resolve(self, logical_id: str, definition: dict[str, Any]) -> Record:
        """The resource as the template wants it, its functions evaluated."""
        properties = functions.evaluate(definition.get("Properties", {}), self.stack.scope(self.cloud, self.desired))
        retain = definition.get("DeletionPolicy", "Delete")
        return Record(logical_id, definition["Type"], properties, retain=retain)

    def put(self, logical_id: str, definition: dict[str, Any]) -> None:
        """Create, change or leave one resource; ResourceFailedError if that is not possible."""
        before = self.stack.records.get(logical_id)
        record = before or Record(logical_id, definition["Type"], {})
        step = "UPDATE" if before else "CREATE"
        try:
            asked = self.resolve(logical_id, definition)
            if before and (asked.type, asked.properties) == (before.type, before.properties):
                before.retain = asked.retain
                return
            record = asked
            record.physical_id = before.physical_id if before else ""
            self.make(asked, before)
        except TROUBLE as error:
            self.stack.records[logical_id] = before or record
            self.stack.mark(before or record, f"{step}_FAILED", explain(error))
            raise ResourceFailedError(logical_id) from error

    def make(self, asked: Record, before: Record | None) -> None:
        """Create the resource, change it in place, or create its replacement."""
        kind = kind_of(asked)
        check_properties(order_for(self, asked), kind)
        if before and before.type == asked.type and not replaces(kind, before, asked):
            self.change(kind, asked, before)
            return
        asked.physical_id = ""
        self.stack.records[asked.logical_id] = asked
        self.stack.mark(asked, "UPDATE_IN_PROGRESS" if before else "CREATE_IN_PROGRESS")
        self.undo.append(lambda: self.unmake(asked, before))
        asked.physical_id = kind.create(replace(order_for(self, asked), claim=partial(setattr, asked, "physical_id")))
        asked.attributes = dict(kind.attributes(order_for(self, asked)))  # asks the service: it exists
        self.stack.mark(asked, "UPDATE_COMPLETE" if before else "CREATE_COMPLETE")
        if before:
            self.clean.append(before)

    def change(self, kind: Kind, asked: Record, before: Record) -> None:
        """Change a resource in place."""
        self.stack.records[asked.logical_id] = asked
        self.stack.mark(asked, "UPDATE_IN_PROGRESS")
        self.undo.append(lambda: self.restore(kind, asked, before))
        kind.update(replace(order_for(self, asked), previous=before.properties))
        asked.attributes = dict(kind.attributes(order_for(self, asked)))
        self.stack.mark(asked, "UPDATE_COMPLETE")

    def restore(self, kind: Kind, asked: Record, before: Record) -> None:
        """Take back a change in place."""
        try:
            kind.update(replace(order_for(self, before), previous=asked.properties))
        except TROUBLE as error:
            self.stack.mark(asked, "UPDATE_FAILED", explain(error))
            raise
        self.stack.records[before.logical_id] = before
        self.stack.mark(before, "UPDATE_COMPLETE")

    def unmake(self, made: Record, before: Record | None) -> None:
        """Delete what was created in this operation; what it replaced is on record again."""
        kept = made.retain == "Retain" and before is None and self.stack.status.startswith("ROLLBACK")
        if not kept:
            self.remove(made)
        if before:
            self.stack.records[before.logical_id] = before
        elif not self.stack.status.startswith("ROLLBACK"):
            self.stack.records.pop(made.logical_id, None)

    def remove(self, record: Record) -> None:
        """Delete one resource; one that is gone already counts as deleted."""
        self.stack.mark(record, "DELETE_IN_PROGRESS")
        try:
            if record.physical_id:
                kind_of(record).delete(order_for(self, record))
        except ClientError as error:
            if not gone(error):
                self.stack.mark(record, "DELETE_FAILED", explain(error))
                raise
        except TROUBLE as error:
            self.stack.mark(record, "DELETE_FAILED", explain(error))
            raise
        self.stack.mark(record, "DELETE_COMPLETE")

    def outputs(self) -> list[dict[str, str]]:
        """The Outputs section, evaluated."""
        scope, result = self.stack.scope(self.cloud, self.desired), []
        for key, output in self.desired.data.get("Outputs", {}).items():
            if "Condition" in output and not functions.truth(output["Condition"], scope):
                continue
            value = {"OutputKey": key, "OutputValue": str(functions.evaluate(output["Value"], scope))}
            result.append(value | ({"Description": output["Description"]} if "Description" in output else {}))
        return result


def kind_of(record: Record) -> Kind:
    """How its type is made; CloudError names a type that localcloud does not have."""
    if record.type not in RESOURCES:
        raise CloudError("ValidationError", f"localcloud does not implement the resource type {record.type}")
    return RESOURCES[record.type]


def order_for(work: Work, record: Record) -> Order:
    """The record as its kind wants to see it."""
    return Order(work.cloud, work.stack.name, record.logical_id, record.type, record.properties, record.physical_id)


def replaces(kind: Kind, before: Record, asked: Record) -> bool:
    """Whether the difference needs a new resource."""
    return any(before.properties.get(key) != asked.properties.get(key) for key in kind.fixed)


def explain(error: Exception) -> str:
    """A reason as CloudFormation writes it: the service's own sentence and code."""
    if isinstance(error, ClientError):
        answer = error.response["Error"]
        return f"{answer.get('Message', '')} (Operation: {error.operation_name}, Error Code: {answer['Code']})"
    if isinstance(error, CloudError):
        return error.message
    if isinstance(error, KeyError):
        return f"Properties validation failed: required key [{error.args[0]}] not found"
    return str(error)


def create(cloud: Cloud, stack: Stack) -> None:
    """Make every resource of a new stack, or roll back."""
    stack.turn("CREATE_IN_PROGRESS", "User Initiated")
    work = Work(cloud, stack, stack.desired)
    try:
        for logical_id, definition in wanted(stack, cloud, stack.desired).items():
            work.put(logical_id, definition)
        stack.outputs = work.outputs()
    except (ResourceFailedError, CloudError) as failure:
        reason = f"The following resource(s) failed to create: [{failure}]."
        if stack.on_failure == "DO_NOTHING":
            stack.turn("CREATE_FAILED", reason)
            return
        stack.turn("ROLLBACK_IN_PROGRESS", f"{reason} Rollback requested by user.")
        complete = take_back(work)
        stack.turn("ROLLBACK_COMPLETE" if complete else "ROLLBACK_FAILED")
        if complete and stack.on_failure == "DELETE":
            delete(cloud, stack)
    else:
        stack.turn("CREATE_COMPLETE")


def take_back(work: Work) -> bool:
    """Undo in reverse all that this operation did; False if something could not be undone."""
    complete = True
    for undo in reversed(work.undo):
        try:
            undo()
        except TROUBLE:
            complete = False  # its own event says why
    return complete


def update(cloud: Cloud, stack: Stack, desired: Desired) -> None:
    """Bring a stack to another template, or back to the one it had."""
    before, records, stack.updated = stack.desired, dict(stack.records), now()
    stack.turn("UPDATE_IN_PROGRESS", "User Initiated")
    work = Work(cloud, stack, desired)
    try:
        resources = wanted(stack, cloud, desired)
        for logical_id, definition in resources.items():
            work.put(logical_id, definition)
        stack.outputs = work.outputs()
    except (ResourceFailedError, CloudError) as failure:
        stack.turn("UPDATE_ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to update: [{failure}].")
        complete = take_back(work)
        stack.records = {name: record for name, record in stack.records.items() if name in records}
        stack.turn("UPDATE_ROLLBACK_COMPLETE" if complete else "UPDATE_ROLLBACK_FAILED")
        return
    stack.turn("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    stack.desired = desired
    clean_up(work, set(resources), before)
    stack.turn("UPDATE_COMPLETE")


def clean_up(work: Work, kept: set[str], before: Desired) -> None:
    """Delete what the new template no longer has, then what was replaced; what fails stays behind, as on AWS."""
    stack, old = work.stack, before.data["Resources"]
    left = [name for name in reversed(template.order(old)) if name in stack.records and name not in kept]
    policy = {record.logical_id: old[record.logical_id].get("UpdateReplacePolicy", "Delete") for record in work.clean}
    doomed = [stack.records.pop(name) for name in left]
    doomed += [record for record in reversed(work.clean) if policy[record.logical_id] == "Delete"]
    for record in doomed:
        if record.retain != "Delete" and record not in work.clean:
            stack.mark(record, "DELETE_SKIPPED")
            continue
        take_back(replace(work, undo=[lambda record=record: work.remove(record)]))  # type: ignore[misc]
    for record in work.clean:  # its successor keeps the logical id, whose last event should be its own
        successor = stack.records[record.logical_id]
        stack.mark(successor, "UPDATE_COMPLETE")


def delete(cloud: Cloud, stack: Stack) -> None:
    """Delete every resource, dependants first; what a failed one needs stays too."""
    stack.turn("DELETE_IN_PROGRESS", "User Initiated")
    work, needs = Work(cloud, stack, stack.desired), template.dependencies(stack.desired.data["Resources"])
    blocked, failed = set[str](), list[str]()
    for name in reversed(template.order(stack.desired.data["Resources"])):
        record = stack.records.get(name)
        if record is None or record.status == "DELETE_COMPLETE":
            continue
        if name in blocked:
            blocked |= needs[name]
        elif record.retain != "Delete" and record.physical_id:
            stack.mark(record, "DELETE_SKIPPED")
        elif not take_back(replace(work, undo=[lambda record=record: work.remove(record)])):  # type: ignore[misc]
            failed.append(name)
            blocked |= needs[name]
    if failed:
        stack.turn("DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}].")
        return
    stack.deleted = now()
    stack.turn("DELETE_COMPLETE")
