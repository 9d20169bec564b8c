"""From a request to what the stack should be, and from a stack to what the API tells about it."""

import threading
from collections.abc import Callable
from typing import Any

from localcloud.cloud import Cloud
from localcloud.service import CloudError

from . import template
from .stacks import Desired, Record, Stack

WAIT = 20.0  # seconds a call may take: most stacks are at rest by then, which spares the caller a 30 s poll
STACK_INPUT = {
    "StackName", "TemplateBody", "UsePreviousTemplate", "Parameters", "Capabilities", "Tags", "DisableRollback",
    "OnFailure", "ClientRequestToken", "ChangeSetName", "ChangeSetType", "Description", "ClientToken",
}  # fmt: skip


def refuse_unsupported(request: dict[str, Any]) -> None:
    """An option that would be dropped silently is refused by name."""
    for key, value in request.items():
        if key not in STACK_INPUT and value:
            raise CloudError("ValidationError", f"localcloud does not support the option {key} of CloudFormation")


def desired_from(request: dict[str, Any], before: Desired | None) -> Desired:
    """The template, parameters and tags a request asks for, all checked; CloudError says what is wrong."""
    refuse_unsupported(request)
    body = before.body if before and request.get("UsePreviousTemplate") else request.get("TemplateBody")
    if not body:
        raise CloudError("ValidationError", "Either Template URL or Template Body must be specified.")
    data = template.parse(body)
    declared = data.get("Parameters", {})
    parameters = template.fill_parameters(declared, request.get("Parameters", []), before.parameters if before else {})
    given = set(request.get("Capabilities", []))
    needed = template.capabilities(data)
    if needed and not given & {"CAPABILITY_NAMED_IAM", *needed}:
        raise CloudError("InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(needed)}]")
    tags = request.get("Tags", before.tags if before else [])
    return Desired(body, data, parameters, tags)


def run(cloud: Cloud, stack: Stack, work: Callable[[], None]) -> None:
    """Do the work in a thread of its own and give it a moment to end."""
    done = threading.Event()

    def task() -> None:
        try:
            work()
        finally:
            done.set()

    cloud.spawn(task, f"cloudformation {stack.name}")
    done.wait(WAIT)


def describe_stack(stack: Stack) -> dict[str, Any]:
    """A stack as DescribeStacks gives it; a parameter marked NoEcho stays hidden."""
    declared = stack.desired.data.get("Parameters", {})
    hidden = {name for name, item in declared.items() if template.as_text(item.get("NoEcho", "")) == "true"}
    result: dict[str, Any] = {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": stack.desired.data.get("Description", ""),
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": "****" if key in hidden else value}
            for key, value in stack.desired.parameters.items()
        ],
        "CreationTime": stack.created,
        "StackStatus": stack.status,
        "DisableRollback": stack.on_failure == "DO_NOTHING",
        "Capabilities": stack.capabilities,
        "Outputs": stack.outputs,
        "Tags": stack.desired.tags,
    }
    more = {"StackStatusReason": stack.reason, "LastUpdatedTime": stack.updated, "DeletionTime": stack.deleted}
    return result | {key: value for key, value in more.items() if value}


def summarise_stack(stack: Stack) -> dict[str, Any]:
    """A stack as ListStacks gives it."""
    keys = (
        "StackId",
        "StackName",
        "CreationTime",
        "StackStatus",
        "StackStatusReason",
        "LastUpdatedTime",
        "DeletionTime",
    )
    described = describe_stack(stack)
    return {key: described[key] for key in keys if key in described}


def describe_record(stack: Stack, record: Record, time_key: str) -> dict[str, Any]:
    """A resource as the three operations give it, which differ only in how they name the time."""
    result = {
        "LogicalResourceId": record.logical_id,
        "PhysicalResourceId": record.physical_id,
        "ResourceType": record.type,
        time_key: record.changed,
        "ResourceStatus": record.status,
    }
    if time_key != "LastUpdatedTimestamp" or record.reason:
        result |= {"ResourceStatusReason": record.reason} if record.reason else {}
    return result
