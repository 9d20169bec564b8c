"""Read a CloudFormation template: JSON or YAML, parameters, order of its resources."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from localcloud.service import CloudError

from .functions import references

SECTIONS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
}
RESOURCE_KEYS = {
    "Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata",
}  # fmt: skip
PSEUDO = {
    "AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region", "AWS::StackId",
    "AWS::StackName", "AWS::URLSuffix",
}  # fmt: skip
LARGEST = 51_200  # bytes of TemplateBody, AWS's own limit


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as CloudFormation reads it: short function tags, and dates are text; read by libyaml where that is there."""


# a date such as an IAM policy's Version stays text: the resolver that would read it is left out
setattr(  # noqa: B010 (types-PyYAML declares the table on the instance)
    Loader,
    "yaml_implicit_resolvers",
    {
        first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    },
)


def _tagged(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _tagged)


def parse(body: str) -> dict[str, Any]:
    """The template as data; CloudError "Template format error" if it is not one."""
    if len(body.encode()) > LARGEST:
        raise CloudError("ValidationError", f"Template may not exceed {LARGEST} bytes in size.")
    try:
        data = json.loads(body) if body.lstrip().startswith("{") else Loader(body).get_single_data()
    except (ValueError, yaml.YAMLError) as error:
        raise CloudError("ValidationError", f"Template format error: {error}") from error
    if not isinstance(data, dict):
        raise CloudError("ValidationError", "Template format error: unsupported structure.")
    check(data)
    return data


def check(data: Mapping[str, Any]) -> None:
    """Refuse what cannot work before anything is created: sections, resources, references, circles."""
    unknown = sorted(set(data) - SECTIONS)
    if unknown:
        raise format_error(f"Invalid template property or properties {unknown}")
    resources = data.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise format_error("At least one Resources member must be defined.")
    for name, resource in resources.items():
        check_resource(name, resource)
    known = PSEUDO | set(data.get("Parameters", {})) | set(resources)
    lost = sorted(set(references([resources, data.get("Outputs", {})])) - known)
    if lost:
        raise format_error(f"Unresolved resource dependencies {lost} in the Resources block of the template")
    order(resources)


def check_resource(name: str, resource: Any) -> None:
    """One resource has a type and only the keys CloudFormation knows (creation policies and the like are refused)."""
    if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
        raise format_error(f"[/Resources/{name}] Every Resources object must contain a Type member.")
    unknown = sorted(set(resource) - RESOURCE_KEYS)
    if unknown:
        raise format_error(f"Invalid or, in localcloud, unsupported resource attributes {unknown} of {name}")


def format_error(message: str) -> CloudError:
    """CloudFormation's answer to a template it cannot read."""
    return CloudError("ValidationError", f"Template format error: {message}")


def dependencies(resources: Mapping[str, Any]) -> dict[str, set[str]]:
    """Which resources each resource needs first, by reference or DependsOn."""
    result = {}
    for name, resource in resources.items():
        named = resource.get("DependsOn", [])
        wanted = {named} if isinstance(named, str) else set(named)
        result[name] = (wanted | set(references(resource.get("Properties", {})))) & set(resources)
    return result


def order(resources: Mapping[str, Any]) -> list[str]:
    """Logical ids so that each comes after all it needs, otherwise as written; a circle is an error."""
    needs, done = dependencies(resources), list[str]()
    while len(done) < len(resources):
        ready = [name for name in resources if name not in done and needs[name] <= set(done)]
        if not ready:
            circle = sorted(set(resources) - set(done))
            raise CloudError("ValidationError", f"Circular dependency between resources: [{', '.join(circle)}]")
        done += ready
    return done


def fill_parameters(
    declared: Mapping[str, Any], given: Iterable[Mapping[str, Any]], previous: Mapping[str, str]
) -> dict[str, str]:
    """The text of every declared parameter: what was given, kept from before or the default."""
    asked = {item["ParameterKey"]: item for item in given}
    unknown = sorted(set(asked) - set(declared))
    if unknown:
        raise CloudError("ValidationError", f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    result, missing = {}, []
    for name, declaration in declared.items():
        value = asked.get(name, {}).get("ParameterValue", declaration.get("Default"))
        if asked.get(name, {}).get("UsePreviousValue"):
            value = previous.get(name)
        if value is None:
            missing.append(name)
        else:
            result[name] = check_parameter(name, as_text(value), declaration)
    if missing:
        raise CloudError("ValidationError", f"Parameters: [{', '.join(missing)}] must have values")
    return result


def as_text(value: Any) -> str:
    """A scalar as CloudFormation writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_parameter(name: str, value: str, declaration: Mapping[str, Any]) -> str:
    """The value, if the declaration's constraints allow it."""
    hint = declaration.get("ConstraintDescription", "")
    allowed = [as_text(item) for item in declaration.get("AllowedValues", [])]
    if allowed and value not in allowed:
        raise _refused(name, hint or f"must be one of [{', '.join(allowed)}]")
    pattern = declaration.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        raise _refused(name, hint or f"must match pattern {pattern}")
    if not int(declaration.get("MinLength", 0)) <= len(value) <= int(declaration.get("MaxLength", 4096)):
        raise _refused(name, hint or "has a length that is not allowed")
    if declaration["Type"] == "Number" and not re.fullmatch(r"-?\d+(\.\d+)?", value):
        raise _refused(name, "must be a number")
    return value


def _refused(name: str, reason: str) -> CloudError:
    return CloudError("ValidationError", f"Parameter '{name}' {reason}")


def typed_parameters(declared: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """What Ref gives for each parameter: a list for list types, otherwise the text."""
    listed = {name for name, item in declared.items() if item["Type"].startswith(("CommaDelimitedList", "List<"))}
    return {
        name: [part.strip() for part in value.split(",")] if name in listed else value for name, value in values.items()
    }


def capabilities(data: Mapping[str, Any]) -> list[str]:
    """The acknowledgement this template needs before it may create IAM resources."""
    types = {"AWS::IAM::Role": "RoleName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName", "AWS::IAM::Policy": ""}
    found = [resource for resource in data["Resources"].values() if resource["Type"] in types]
    if any(types[resource["Type"]] in resource.get("Properties", {}) for resource in found):
        return ["CAPABILITY_NAMED_IAM"]
    return ["CAPABILITY_IAM"] if found else []
