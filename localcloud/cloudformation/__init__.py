"""CloudFormation: stacks whose every resource is created through its own service, or refused by name."""

import threading
from typing import Any

from localcloud.cloud import Cloud
from localcloud.service import CloudError, Service

from . import changes, changesets, stacks, template
from .requests import describe_record, describe_stack, desired_from, refuse_unsupported, run, summarise_stack

Request = dict[str, Any]
UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}


def create_stack(cloud: Cloud, request: Request) -> Request:
    """CreateStack."""
    desired = desired_from(request, None)
    with cloud.store("cloudformation").setdefault("lock", threading.Lock()):
        if stacks.lookup(cloud, request["StackName"]):
            raise CloudError("AlreadyExistsException", f"Stack [{request['StackName']}] already exists")
        stack = stacks.new(cloud, request["StackName"], desired, "CREATE_IN_PROGRESS")
    stack.capabilities = request.get("Capabilities", [])
    stack.on_failure = "DO_NOTHING" if request.get("DisableRollback") else request.get("OnFailure", "ROLLBACK")
    run(cloud, stack, lambda: changes.create(cloud, stack))
    return {"StackId": stack.id}


def update_stack(cloud: Cloud, request: Request) -> Request:
    """UpdateStack; nothing to do is an error, as on AWS."""
    stack = stacks.find(cloud, request["StackName"])
    desired = desired_from(request, stack.desired)
    if desired.same_as(stack.desired):
        raise CloudError("ValidationError", "No updates are to be performed.")
    begin_update(stack)
    stack.capabilities = request.get("Capabilities", [])
    run(cloud, stack, lambda: changes.update(cloud, stack, desired))
    return {"StackId": stack.id}


def begin_update(stack: stacks.Stack) -> None:
    """Refuse a stack that is busy or never came up."""
    if stack.status not in UPDATABLE:
        message = f"Stack:{stack.id} is in {stack.status} state and can not be updated."
        raise CloudError("ValidationError", message)


def delete_stack(cloud: Cloud, request: Request) -> Request:
    """DeleteStack; one that does not exist is no error."""
    refuse_unsupported(request)
    stack = stacks.lookup(cloud, request["StackName"])
    if stack and stack.status != "DELETE_COMPLETE":
        run(cloud, stack, lambda: changes.delete(cloud, stack))
    return {}


def describe_stacks(cloud: Cloud, request: Request) -> Request:
    """DescribeStacks: one, or all that live."""
    name = request.get("StackName")
    found = [stacks.find(cloud, name)] if name else list(stacks.living(cloud))
    return {"Stacks": [describe_stack(stack) for stack in found]}


def list_stacks(cloud: Cloud, request: Request) -> Request:
    """ListStacks, deleted ones too."""
    states = request.get("StackStatusFilter")
    found = [stack for stack in stacks.every(cloud).values() if not states or stack.status in states]
    return {"StackSummaries": [summarise_stack(stack) for stack in found]}


def describe_stack_resources(cloud: Cloud, request: Request) -> Request:
    """DescribeStackResources of one stack, or of the one resource named."""
    if "StackName" not in request:
        raise CloudError("ValidationError", "localcloud describes resources by StackName only")
    stack, logical_id = stacks.find(cloud, request["StackName"]), request.get("LogicalResourceId")
    records = [record for record in stack.records.values() if logical_id in {None, record.logical_id}]
    both = {"StackName": stack.name, "StackId": stack.id}
    return {"StackResources": [both | describe_record(stack, record, "Timestamp") for record in records]}


def describe_stack_resource(cloud: Cloud, request: Request) -> Request:
    """DescribeStackResource."""
    stack, logical_id = stacks.find(cloud, request["StackName"]), request["LogicalResourceId"]
    record = stack.records.get(logical_id)
    if record is None:
        message = f"Resource {logical_id} does not exist for stack {stack.name}"
        raise CloudError("ValidationError", message)
    both = {"StackName": stack.name, "StackId": stack.id}
    return {"StackResourceDetail": both | describe_record(stack, record, "LastUpdatedTimestamp")}


def list_stack_resources(cloud: Cloud, request: Request) -> Request:
    """ListStackResources."""
    stack = stacks.find(cloud, request["StackName"])
    found = [describe_record(stack, record, "LastUpdatedTimestamp") for record in stack.records.values()]
    return {"StackResourceSummaries": found}


def describe_stack_events(cloud: Cloud, request: Request) -> Request:
    """DescribeStackEvents, the newest first."""
    return {"StackEvents": stacks.find(cloud, request["StackName"]).events[::-1]}


def get_template(cloud: Cloud, request: Request) -> Request:
    """GetTemplate, as it was sent."""
    if "ChangeSetName" in request:
        return {"TemplateBody": changesets.find(cloud, request).desired.body, "StagesAvailable": ["Original"]}
    body = stacks.find(cloud, request["StackName"]).desired.body
    return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}


def validate_template(cloud: Cloud, request: Request) -> Request:
    """ValidateTemplate."""
    data = template.parse(request.get("TemplateBody", ""))
    parameters = [
        {"ParameterKey": name, "NoEcho": template.as_text(item.get("NoEcho", "")) == "true"}
        | ({"DefaultValue": template.as_text(item["Default"])} if "Default" in item else {})
        | ({"Description": item["Description"]} if "Description" in item else {})
        for name, item in data.get("Parameters", {}).items()
    ]
    return {"Parameters": parameters, "Description": data.get("Description", "")} | _capabilities(data)


def get_template_summary(cloud: Cloud, request: Request) -> Request:
    """GetTemplateSummary of a template or of a stack's."""
    if "StackName" in request:
        data = stacks.find(cloud, request["StackName"]).desired.data
    else:
        data = template.parse(request.get("TemplateBody", ""))
    parameters = [
        {
            "ParameterKey": name,
            "ParameterType": item["Type"],
            "NoEcho": template.as_text(item.get("NoEcho", "")) == "true",
        }
        | ({"DefaultValue": template.as_text(item["Default"])} if "Default" in item else {})
        for name, item in data.get("Parameters", {}).items()
    ]
    types = sorted({resource["Type"] for resource in data["Resources"].values()})
    result = {"Parameters": parameters, "ResourceTypes": types, "Description": data.get("Description", "")}
    return result | _capabilities(data)


def _capabilities(data: dict[str, Any]) -> Request:
    needed = template.capabilities(data)
    reason = "The following resource(s) require capabilities: [AWS::IAM]"
    return {"Capabilities": needed, "CapabilitiesReason": reason} if needed else {"Capabilities": []}


def create_change_set(cloud: Cloud, request: Request) -> Request:
    """CreateChangeSet for a new stack or an existing one."""
    stack = stacks.lookup(cloud, request["StackName"])
    if request.get("ChangeSetType", "UPDATE") == "UPDATE":
        stack = stacks.find(cloud, request["StackName"])
        begin_update(stack)
        desired = desired_from(request, stack.desired)
    else:
        if stack and stack.status != "REVIEW_IN_PROGRESS":
            raise CloudError("ValidationError", f"Stack {stack.name} already exists and cannot be created again")
        desired = desired_from(request, None)
        stack = stack or stacks.new(cloud, request["StackName"], desired, "REVIEW_IN_PROGRESS")
    made = changesets.make(cloud, stack, desired, request)
    return {"Id": made.id, "StackId": stack.id}


def execute_change_set(cloud: Cloud, request: Request) -> Request:
    """ExecuteChangeSet."""
    found = changesets.claim(cloud, request)
    stack = found.stack
    stack.capabilities = found.capabilities
    if found.type == "CREATE":
        stack.desired = found.desired
        run(cloud, stack, lambda: changes.create(cloud, stack))
    else:
        begin_update(stack)
        run(cloud, stack, lambda: changes.update(cloud, stack, found.desired))
    return {}


SERVICE = Service(
    name="cloudformation",
    operations={
        "CreateStack": create_stack,
        "UpdateStack": update_stack,
        "DeleteStack": delete_stack,
        "DescribeStacks": describe_stacks,
        "ListStacks": list_stacks,
        "DescribeStackResources": describe_stack_resources,
        "DescribeStackResource": describe_stack_resource,
        "ListStackResources": list_stack_resources,
        "DescribeStackEvents": describe_stack_events,
        "GetTemplate": get_template,
        "GetTemplateSummary": get_template_summary,
        "ValidateTemplate": validate_template,
        "CreateChangeSet": create_change_set,
        "DescribeChangeSet": changesets.describe,
        "ExecuteChangeSet": execute_change_set,
        "DeleteChangeSet": changesets.remove,
    },
)
