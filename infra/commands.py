"""What `python -m infra` does; a new command is one function and one line in COMMANDS."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra import packages, stack
from pipelines.errors import ProjectError


@dataclass(frozen=True)
class Clouds:
    """The clients of a command."""

    formation: Any
    s3: Any


def deploy(clouds: Clouds, parameters: dict[str, str]) -> int:
    """The foundation, the functions' code, what stands on them."""
    project = parameters["ProjectName"]
    found = stack.deploy(clouds.formation, project, stack.FOUNDATION, parameters)
    show(found)
    known = stack.handed_on(found)
    keys = packages.upload(clouds.s3, known["BucketName"])
    for name, key in keys.items():
        print(f"{name}: s3://{known['BucketName']}/{key}")
    # what project.yml says is in the foundation's parameters already, and may be overridden there
    for template in (stack.SERVING, stack.REFRESH):
        show(stack.deploy(clouds.formation, project, template, known | parameters | keys))
    return 0


def describe(clouds: Clouds, parameters: dict[str, str]) -> int:
    """What is there of each; an error if nothing is."""
    project = parameters["ProjectName"]
    found = [stack.find(clouds.formation, project + template.suffix) for template in stack.TEMPLATES]
    if not any(found):
        raise ProjectError(f"stack {project}: does not exist; run `python -m infra deploy`")
    for each in found:
        if each:
            show(each)
    return 0


def delete(clouds: Clouds, parameters: dict[str, str]) -> int:
    """In the opposite order. The functions' code goes with them, so that the bucket can."""
    project = parameters["ProjectName"]
    for template in reversed(stack.TEMPLATES):
        name = project + template.suffix
        found = stack.find(clouds.formation, name)
        if found and template is stack.FOUNDATION and (bucket := stack.handed_on(found).get("BucketName")):
            packages.remove(clouds.s3, bucket)
        print(f"stack {name}: {'deleted' if stack.delete(clouds.formation, name) else 'there is none'}")
    return 0


def show(found: dict[str, object]) -> None:
    """The stack's state, then its outputs one to a line."""
    print(f"stack {found['StackName']}: {found['StackStatus']}")
    outputs = found.get("Outputs", [])
    for output in outputs if isinstance(outputs, list) else []:
        print(f"  {output['OutputKey']}: {output['OutputValue']}")


COMMANDS: dict[str, tuple[Callable[[Clouds, dict[str, str]], int], str]] = {
    "deploy": (deploy, "create the stacks, or bring them up to date"),
    "describe": (describe, "print their states and outputs"),
    "delete": (delete, "delete them; the bucket must hold nothing but the functions' code"),
}
