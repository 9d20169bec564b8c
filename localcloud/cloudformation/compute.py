"""Things that run: CodeBuild projects, Lambda functions, SageMaker model package groups."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from localcloud.service import CloudError

from .kinds import Kind, Order, names, refuse_removal, sync_tags

PROJECT = names(
    "Name Description Source Artifacts Environment ServiceRole TimeoutInMinutes QueuedTimeoutInMinutes LogsConfig "
    "EncryptionKey ConcurrentBuildLimit Cache Tags SourceVersion AutoRetryLimit"
)
FUNCTION = names(
    "FunctionName Description Runtime Role Handler Code Timeout MemorySize Environment Architectures KmsKeyArn "
    "LoggingConfig TracingConfig EphemeralStorage Tags"
)
INLINE_LIMIT = 4096  # characters of ZipFile, AWS's own limit


def create_project(order: Order) -> str:
    """A build project; its physical id is its name."""
    name = order.name("Name")
    order.call("codebuild", "CreateProject", **{**order.properties, "Name": name})
    return name


def update_project(order: Order) -> None:
    """UpdateProject leaves alone what is not named, so nothing can be taken away by it."""
    refuse_removal(order)
    order.call("codebuild", "UpdateProject", **{**order.properties, "Name": order.physical_id})


def delete_project(order: Order) -> None:
    """A project that is not there is no error to CodeBuild."""
    order.call("codebuild", "DeleteProject", Name=order.physical_id)


def describe_project(order: Order) -> dict[str, Any]:
    """Arn."""
    found = order.call("codebuild", "BatchGetProjects", Names=[order.physical_id])["projects"]
    if not found:
        raise CloudError("ResourceNotFoundException", f"Project {order.physical_id} does not exist")
    return {"Arn": found[0]["arn"]}


def packed(code: Mapping[str, Any]) -> dict[str, Any]:
    """Inline source as the archive Lambda wants: one file, index.py; a place in S3 as it is."""
    if "ZipFile" not in code:
        return dict(code)
    source = code["ZipFile"]
    if len(source) > INLINE_LIMIT:
        raise CloudError("ValidationError", f"ZipFile has {len(source)} characters; at most {INLINE_LIMIT} are allowed")
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), source)  # a fixed date: same source, same archive
    return {"ZipFile": data.getvalue()}


def create_function(order: Order) -> str:
    """A function; its physical id is its name."""
    name = order.name("FunctionName")
    values = {key: value for key, value in order.properties.items() if key not in {"Code", "FunctionName"}}
    order.call("lambda", "CreateFunction", FunctionName=name, Code=packed(order.properties["Code"]), **values)
    return name


def update_function(order: Order) -> None:
    """Code first, then settings, each only if it changed."""
    refuse_removal(order)
    name = order.physical_id
    if order.properties["Code"] != order.previous["Code"]:
        order.call("lambda", "UpdateFunctionCode", FunctionName=name, **packed(order.properties["Code"]))
    settings = {key: value for key, value in order.properties.items() if key not in {"Code", "FunctionName", "Tags"}}
    if any(order.previous.get(key) != value for key, value in settings.items()):
        order.call("lambda", "UpdateFunctionConfiguration", FunctionName=name, **settings)


def delete_function(order: Order) -> None:
    """The function and its permissions."""
    order.call("lambda", "DeleteFunction", FunctionName=order.physical_id)


def describe_function(order: Order) -> dict[str, Any]:
    """Arn."""
    return {"Arn": order.call("lambda", "GetFunction", FunctionName=order.physical_id)["Configuration"]["FunctionArn"]}


def create_permission(order: Order) -> str:
    """One statement of a function's resource policy."""
    statement = order.name("")
    order.call("lambda", "AddPermission", StatementId=statement, **order.properties)
    return statement


def delete_permission(order: Order) -> None:
    """Take the statement away."""
    function = order.properties["FunctionName"]
    order.call("lambda", "RemovePermission", FunctionName=function, StatementId=order.physical_id)


def describe_permission(order: Order) -> dict[str, Any]:
    """Id; the function's policy names it."""
    policy = order.call("lambda", "GetPolicy", FunctionName=order.properties["FunctionName"])["Policy"]
    if f'"{order.physical_id}"' not in policy:
        raise CloudError("ResourceNotFoundException", f"No policy statement {order.physical_id}")
    return {"Id": order.physical_id}


def never_updated(order: Order) -> None:
    """Every property of this type makes a new resource, so there is nothing to update."""
    raise CloudError("ValidationError", f"{order.type} cannot be updated")


def create_group(order: Order) -> str:
    """A model package group; Ref gives its ARN, as on AWS."""
    return str(order.call("sagemaker", "CreateModelPackageGroup", **order.properties)["ModelPackageGroupArn"])


def group_name(order: Order) -> str:
    """The group's name, out of its ARN."""
    return order.physical_id.rsplit("/", 1)[1]


def delete_group(order: Order) -> None:
    """SageMaker deletes only a group without versions."""
    order.call("sagemaker", "DeleteModelPackageGroup", ModelPackageGroupName=group_name(order))


def update_group(order: Order) -> None:
    """Only its tags can change."""
    arn = order.physical_id
    sync_tags(
        order,
        lambda tags: order.call("sagemaker", "AddTags", ResourceArn=arn, Tags=tags),
        lambda keys: order.call("sagemaker", "DeleteTags", ResourceArn=arn, TagKeys=keys),
    )


def describe_group(order: Order) -> dict[str, Any]:
    """ModelPackageGroupArn, ModelPackageGroupStatus."""
    found = order.call("sagemaker", "DescribeModelPackageGroup", ModelPackageGroupName=group_name(order))
    return {key: found[key] for key in ("ModelPackageGroupArn", "ModelPackageGroupStatus")}


PERMISSION = names("FunctionName Action Principal SourceArn SourceAccount EventSourceToken PrincipalOrgID")
KINDS = {
    "AWS::CodeBuild::Project": Kind(
        create_project, update_project, delete_project, describe_project, PROJECT, names("Name")
    ),
    "AWS::Lambda::Function": Kind(
        create_function, update_function, delete_function, describe_function, FUNCTION, names("FunctionName Tags")
    ),
    "AWS::Lambda::Permission": Kind(
        create_permission, never_updated, delete_permission, describe_permission, PERMISSION, PERMISSION
    ),
    "AWS::SageMaker::ModelPackageGroup": Kind(
        create_group,
        update_group,
        delete_group,
        describe_group,
        names("ModelPackageGroupName ModelPackageGroupDescription Tags"),
        names("ModelPackageGroupName ModelPackageGroupDescription"),
    ),
}
