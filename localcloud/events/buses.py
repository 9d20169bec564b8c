"""Event buses, their permissions, and the tags of buses and rules."""

import json
from typing import Any

from ..cloud import Cloud
from ..service import CloudError
from .store import Bus, Rule, bus_of, buses, locked, page


def create_event_bus(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """A custom bus; partner sources are not offered."""
    name = given["Name"]
    if "EventSourceName" in given or "/" in name:
        raise CloudError("UnsupportedOperation", "localcloud has no partner event sources")
    _refuse("CreateEventBus", given, ("KmsKeyIdentifier", "DeadLetterConfig", "LogConfig"))
    with locked(cloud):
        if name in buses(cloud):
            raise CloudError("ResourceAlreadyExistsException", f"Event bus {name} already exists.")
        bus = Bus(name, f"arn:aws:events:{cloud.region}:{cloud.account}:event-bus/{name}", given.get("Description", ""))
        bus.tags = {tag["Key"]: tag["Value"] for tag in given.get("Tags", [])}
        buses(cloud)[name] = bus
    return {"EventBusArn": bus.arn}


def describe_event_bus(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """The bus; the default one if none is named."""
    return bus_of(cloud, given.get("Name")).shown()


def update_event_bus(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """Another description; all else that a bus has here has operations of its own."""
    _refuse("UpdateEventBus", given, ("KmsKeyIdentifier", "DeadLetterConfig", "LogConfig"))
    bus = bus_of(cloud, given.get("Name"))
    with locked(cloud):
        bus.description = given.get("Description", "")
    return {"Arn": bus.arn, "Name": bus.name, "Description": bus.description}


def delete_event_bus(cloud: Cloud, given: dict[str, Any]) -> None:
    """Deleting what is not there succeeds, as on AWS."""
    name = given["Name"].rpartition("/")[2]
    with locked(cloud):
        if name == "default":
            raise CloudError("ValidationException", "Cannot delete event bus default.")
        bus = buses(cloud).get(name)
        if bus and bus.rules:
            raise CloudError("ValidationException", "Event bus can't be deleted since it has rules.")
        buses(cloud).pop(name, None)


def list_event_buses(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """Buses by name."""
    found = [bus.shown() for name, bus in sorted(buses(cloud).items()) if name.startswith(given.get("NamePrefix", ""))]
    return page("EventBuses", found, given)


def put_permission(cloud: Cloud, given: dict[str, Any]) -> None:
    """Keep the statement in the bus's policy. localcloud has one account, so nothing is ever denied by it."""
    _refuse("PutPermission", given, ("Condition",))
    bus = bus_of(cloud, given.get("EventBusName"))
    with locked(cloud):
        if "Policy" in given:
            bus.policy = {s["Sid"]: s for s in json.loads(given["Policy"])["Statement"]}
            return
        principal = given.get("Principal", "*")
        bus.policy[given["StatementId"]] = {
            "Sid": given["StatementId"],
            "Effect": "Allow",
            "Principal": "*" if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"},
            "Action": given.get("Action", "events:PutEvents"),
            "Resource": bus.arn,
        }


def remove_permission(cloud: Cloud, given: dict[str, Any]) -> None:
    """Remove one statement, or all."""
    bus = bus_of(cloud, given.get("EventBusName"))
    with locked(cloud):
        if given.get("RemoveAllPermissions"):
            bus.policy = {}
        elif given.get("StatementId") not in bus.policy:
            raise CloudError("ResourceNotFoundException", f"Statement {given.get('StatementId')} does not exist.")
        else:
            del bus.policy[given["StatementId"]]


def tag_resource(cloud: Cloud, given: dict[str, Any]) -> None:
    """Tags of a bus or a rule."""
    _tagged(cloud, given["ResourceARN"]).tags.update({tag["Key"]: tag["Value"] for tag in given["Tags"]})


def untag_resource(cloud: Cloud, given: dict[str, Any]) -> None:
    """Keys that are not there do not matter."""
    tags = _tagged(cloud, given["ResourceARN"]).tags
    for key in given["TagKeys"]:
        tags.pop(key, None)


def list_tags_for_resource(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """Tags of a bus or a rule."""
    tags = _tagged(cloud, given["ResourceARN"]).tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _refuse(operation: str, given: dict[str, Any], members: tuple[str, ...]) -> None:
    """A member that would be dropped in silence is refused by name."""
    for member in members:
        if member in given:
            raise CloudError("UnsupportedOperation", f"localcloud does not implement events:{operation} with {member}")


def _tagged(cloud: Cloud, arn: str) -> Bus | Rule:
    found_buses = list(buses(cloud).values())
    every: list[Bus | Rule] = [*found_buses, *(rule for bus in found_buses for rule in bus.rules.values())]
    found = next((resource for resource in every if resource.arn == arn), None)
    if found is None:
        raise CloudError("ResourceNotFoundException", f"{arn} does not exist on EventBridge.")
    return found
