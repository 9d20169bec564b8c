"""Deploy, describe and delete a stack; the one module here that talks to CloudFormation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import ClientError, WaiterError

from pipelines.errors import ProjectError
from pipelines.project import Project

WAIT = {"Delay": 3, "MaxAttempts": 600}
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


@dataclass(frozen=True)
class Template:
    """A template, and what its stack's name has behind the project's."""

    path: Path
    suffix: str

    def declared(self) -> dict[str, str]:
        """The template's parameters: name -> what it is, and its default."""
        text = self.path.read_text().partition("\nConditions:")[0]  # the part without function tags
        return {
            name: f"{given['Description']} [{given['Default'] or 'empty'}]"
            if "Default" in given
            else given["Description"]
            for name, given in yaml.safe_load(text)["Parameters"].items()
        }


FOUNDATION = Template(Path(__file__).parent / "template.yml", "")
SERVING = Template(Path(__file__).parent / "serving.yml", "-serving")
REFRESH = Template(Path(__file__).parent / "refresh.yml", "-refresh")
TEMPLATES = (FOUNDATION, SERVING, REFRESH)  # in the order they are deployed


def client(region: str) -> Any:
    """CloudFormation in the project's region; AWS_ENDPOINT_URL is boto3's own business."""
    return boto3.client("cloudformation", region_name=region)


def own_parameters(project: Project) -> dict[str, str]:
    """The parameters that project.yml answers."""
    git = project.git
    return {"ProjectName": project.project, "GitUrl": git.url, "GitProject": git.project, "Branch": git.branch}


def find(cloud: Any, name: str) -> dict[str, Any] | None:
    """The stack, or None if there is none."""
    try:
        return dict(cloud.describe_stacks(StackName=name)["Stacks"][0])
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def handed_on(found: Mapping[str, Any]) -> dict[str, str]:
    """What a stack tells the one after it: its parameters and outputs."""
    given = {item["ParameterKey"]: item["ParameterValue"] for item in found.get("Parameters", [])}
    return given | {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}


def deploy(cloud: Any, project: str, template: Template, given: Mapping[str, str]) -> dict[str, Any]:
    """Create the stack or bring it up to date and wait; returns it. Of `given`, what the template declares counts.

    Raises ProjectError saying which resource failed.
    """
    name = project + template.suffix
    before, declared = find(cloud, name), template.declared()
    parameters = {key: value for key, value in given.items() if key in declared}
    if before and before["StackStatus"] in {"ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS"}:
        raise ProjectError(
            f"stack {name}: is in {before['StackStatus']}; run `python -m infra delete`, then deploy again"
        )
    kept = {item["ParameterKey"] for item in before["Parameters"]} & set(declared) if before else set()
    request = {
        "StackName": name,
        "TemplateBody": template.path.read_text(),
        "Capabilities": CAPABILITIES,
        "Tags": [{"Key": "project", "Value": project}],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        + [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept - set(parameters))],
    }
    if before is None:
        cloud.create_stack(**request, OnFailure="ROLLBACK")
        wait(cloud, name, "stack_create_complete")
    elif update(cloud, request):
        wait(cloud, name, "stack_update_complete")
    return find(cloud, name) or {}


def update(cloud: Any, request: Mapping[str, Any]) -> bool:
    """Whether there was anything to update."""
    try:
        cloud.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return False
        raise
    return True


def delete(cloud: Any, name: str) -> bool:
    """Delete the stack and wait; False if there was none. ProjectError says which resource stayed."""
    found = find(cloud, name)
    if found is None:
        return False
    cloud.delete_stack(StackName=found["StackId"])
    wait(cloud, found["StackId"], "stack_delete_complete")
    return True


def wait(cloud: Any, name: str, state: str) -> None:
    """Until the stack is there; ProjectError with the reasons if it does not get there."""
    try:
        cloud.get_waiter(state).wait(StackName=name, WaiterConfig=WAIT)
    except WaiterError as error:
        raise ProjectError(f"stack {name}: {'; '.join(reasons(cloud, name)) or error}") from error


def reasons(cloud: Any, name: str) -> list[str]:
    """Why the last operation failed: the failed resources, oldest first."""
    lines = []
    pages = cloud.get_paginator("describe_stack_events").paginate(StackName=name)
    for event in (event for page in pages for event in page["StackEvents"]):
        if event.get("ResourceStatusReason") == "User Initiated":
            break
        if event["ResourceStatus"].endswith("_FAILED") and event["ResourceType"] != "AWS::CloudFormation::Stack":
            lines.append(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', event['ResourceStatus'])}")
    return lines[::-1]
