"""IAM as CloudFormation resources: roles, policies and OIDC providers."""

from dataclasses import replace
from typing import Any

from .kinds import Kind, Order, as_string, names, removing, sync_tags


def create_role(order: Order) -> str:
    """A role with its trust, its managed and its inline policies."""
    values = order.only(
        "AssumeRolePolicyDocument", "Path", "Description", "MaxSessionDuration", "PermissionsBoundary", "Tags"
    )
    name = order.name("RoleName")
    order.call("iam", "CreateRole", RoleName=name, **values)
    order.claim(name)
    for arn in order.properties.get("ManagedPolicyArns", []):
        order.call("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn)
    for policy in order.properties.get("Policies", []):
        order.call("iam", "PutRolePolicy", RoleName=name, **policy)
    return name


def update_role(order: Order) -> None:
    """Trust, description, duration, boundary, policies and tags in place."""
    name = order.physical_id
    trust = order.properties["AssumeRolePolicyDocument"]
    if trust != order.previous["AssumeRolePolicyDocument"]:
        order.call("iam", "UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=trust)
    order.call("iam", "UpdateRole", RoleName=name, **order.only("Description", "MaxSessionDuration"))
    set_boundary(order)
    set_managed_policies(order)
    set_inline_policies(order)
    sync_tags(
        order,
        lambda tags: order.call("iam", "TagRole", RoleName=name, Tags=tags),
        lambda keys: order.call("iam", "UntagRole", RoleName=name, TagKeys=keys),
    )


def set_boundary(order: Order) -> None:
    """Give the role its permissions boundary, or take it away."""
    boundary = order.properties.get("PermissionsBoundary")
    if boundary:
        order.call("iam", "PutRolePermissionsBoundary", RoleName=order.physical_id, PermissionsBoundary=boundary)
    elif order.previous.get("PermissionsBoundary"):
        order.call("iam", "DeleteRolePermissionsBoundary", RoleName=order.physical_id)


def set_managed_policies(order: Order) -> None:
    """Attach and detach until the role has the managed policies of the template."""
    wanted = order.properties.get("ManagedPolicyArns", [])
    before = order.previous.get("ManagedPolicyArns", [])
    for arn in set(wanted) - set(before):
        order.call("iam", "AttachRolePolicy", RoleName=order.physical_id, PolicyArn=arn)
    for arn in set(before) - set(wanted):
        order.call("iam", "DetachRolePolicy", RoleName=order.physical_id, PolicyArn=arn)


def set_inline_policies(order: Order) -> None:
    """Write the inline policies of the template and remove those it no longer names."""
    wanted = {policy["PolicyName"]: policy for policy in order.properties.get("Policies", [])}
    for policy in wanted.values():
        order.call("iam", "PutRolePolicy", RoleName=order.physical_id, **policy)
    for policy in order.previous.get("Policies", []):
        if policy["PolicyName"] not in wanted:
            order.call("iam", "DeleteRolePolicy", RoleName=order.physical_id, PolicyName=policy["PolicyName"])


def delete_role(order: Order) -> None:
    """IAM deletes only a role without policies, so those that the template gave go first."""
    name = order.physical_id
    for policy in order.properties.get("Policies", []):
        order.drop("iam", "DeleteRolePolicy", RoleName=name, PolicyName=policy["PolicyName"])
    for arn in order.properties.get("ManagedPolicyArns", []):
        order.drop("iam", "DetachRolePolicy", RoleName=name, PolicyArn=arn)
    order.call("iam", "DeleteRole", RoleName=name)


def describe_role(order: Order) -> dict[str, Any]:
    """Arn and RoleId."""
    role = order.call("iam", "GetRole", RoleName=order.physical_id)["Role"]
    return {"Arn": role["Arn"], "RoleId": role["RoleId"]}


def put_policy(order: Order) -> str:
    """One inline policy, written into each of the roles."""
    for role in order.properties["Roles"]:
        order.call("iam", "PutRolePolicy", RoleName=role, **order.only("PolicyName", "PolicyDocument"))
    return order.physical_id or order.name("")


def delete_policy(order: Order) -> None:
    """Take the inline policy out of each role."""
    for role in order.properties["Roles"]:
        order.drop("iam", "DeleteRolePolicy", RoleName=role, PolicyName=order.properties["PolicyName"])


def update_policy(order: Order) -> None:
    """Take it out of the roles it was in, under its old name, and write it anew."""
    delete_policy(replace(order, properties=order.previous))
    put_policy(order)


def describe_policy(order: Order) -> dict[str, Any]:
    """No attributes; every role has the policy."""
    for role in order.properties["Roles"]:
        order.call("iam", "GetRolePolicy", RoleName=role, PolicyName=order.properties["PolicyName"])
    return {}


def create_managed_policy(order: Order) -> str:
    """A managed policy, attached to its roles; its physical id is its ARN."""
    values = order.only("PolicyDocument", "Path", "Description")
    name = order.name("ManagedPolicyName")
    arn = str(order.call("iam", "CreatePolicy", PolicyName=name, **values)["Policy"]["Arn"])
    order.claim(arn)
    for role in order.properties.get("Roles", []):
        order.call("iam", "AttachRolePolicy", RoleName=role, PolicyArn=arn)
    return arn


def update_managed_policy(order: Order) -> None:
    """A new default version, and only one old one kept: IAM allows five."""
    arn = order.physical_id
    for version in order.call("iam", "ListPolicyVersions", PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            order.call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])
    document = as_string(order.properties["PolicyDocument"])
    order.call("iam", "CreatePolicyVersion", PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    wanted, before = set(order.properties.get("Roles", [])), set(order.previous.get("Roles", []))
    for role in wanted - before:
        order.call("iam", "AttachRolePolicy", RoleName=role, PolicyArn=arn)
    for role in before - wanted:
        order.call("iam", "DetachRolePolicy", RoleName=role, PolicyArn=arn)


def delete_managed_policy(order: Order) -> None:
    """Detach it from its roles, drop its old versions, delete it."""
    arn = order.physical_id
    for role in order.properties.get("Roles", []):
        order.drop("iam", "DetachRolePolicy", RoleName=role, PolicyArn=arn)
    for version in order.call("iam", "ListPolicyVersions", PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            order.call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])
    order.call("iam", "DeletePolicy", PolicyArn=arn)


def describe_managed_policy(order: Order) -> dict[str, Any]:
    """PolicyArn, PolicyId."""
    policy = order.call("iam", "GetPolicy", PolicyArn=order.physical_id)["Policy"]
    return {"PolicyArn": policy["Arn"], "PolicyId": policy["PolicyId"]}


def create_provider(order: Order) -> str:
    """An OIDC provider; its physical id is its ARN."""
    values = order.only("Url", "ClientIdList", "ThumbprintList", "Tags")
    return str(
        order.call("iam", "CreateOpenIDConnectProvider", **{"ThumbprintList": [], **values})["OpenIDConnectProviderArn"]
    )


def update_provider(order: Order) -> None:
    """Thumbprints and audiences in place."""
    arn = {"OpenIDConnectProviderArn": order.physical_id}
    order.call(
        "iam", "UpdateOpenIDConnectProviderThumbprint", **arn, ThumbprintList=order.properties.get("ThumbprintList", [])
    )
    wanted, before = set(order.properties.get("ClientIdList", [])), set(order.previous.get("ClientIdList", []))
    for client in sorted(wanted - before):
        order.call("iam", "AddClientIDToOpenIDConnectProvider", **arn, ClientID=client)
    for client in sorted(before - wanted):
        order.call("iam", "RemoveClientIDFromOpenIDConnectProvider", **arn, ClientID=client)


def describe_provider(order: Order) -> dict[str, Any]:
    """Arn."""
    order.call("iam", "GetOpenIDConnectProvider", OpenIDConnectProviderArn=order.physical_id)
    return {"Arn": order.physical_id}


KINDS = {
    "AWS::IAM::Role": Kind(
        create_role,
        update_role,
        delete_role,
        describe_role,
        names(
            "RoleName AssumeRolePolicyDocument Path Description MaxSessionDuration PermissionsBoundary "
            "ManagedPolicyArns Policies Tags"
        ),
        names("RoleName Path"),
    ),
    "AWS::IAM::Policy": Kind(
        put_policy,
        update_policy,
        delete_policy,
        describe_policy,
        names("PolicyName PolicyDocument Roles"),
    ),
    "AWS::IAM::ManagedPolicy": Kind(
        create_managed_policy,
        update_managed_policy,
        delete_managed_policy,
        describe_managed_policy,
        names("ManagedPolicyName PolicyDocument Path Description Roles"),
        names("ManagedPolicyName Path Description"),
    ),
    "AWS::IAM::OIDCProvider": Kind(
        create_provider,
        update_provider,
        removing("iam", "DeleteOpenIDConnectProvider", "OpenIDConnectProviderArn"),
        describe_provider,
        names("Url ClientIdList ThumbprintList Tags"),
        names("Url Tags"),
    ),
}
