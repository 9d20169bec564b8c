"""Model package groups: CreateModelPackageGroup and its Describe, List, Delete."""

from typing import TYPE_CHECKING

from ..service import CloudError
from . import tags
from .store import Row, arn, between, invalid, listed, lock, matches, name_of, now, refuse, table

if TYPE_CHECKING:
    from ..cloud import Cloud

TABLE = "model_package_groups"
KIND = "model-package-group"


def create_model_package_group(cloud: "Cloud", request: Row) -> Row:
    """A new, empty group."""
    refuse("CreateModelPackageGroup", request, ("ManagedConfiguration",))
    return {"ModelPackageGroupArn": create(cloud, request)["ModelPackageGroupArn"]}


def create(cloud: "Cloud", request: Row) -> Row:
    """Take a group in, unless its name is taken."""
    name = request["ModelPackageGroupName"]
    row = {
        "ModelPackageGroupName": name,
        "ModelPackageGroupArn": arn(cloud, KIND, name),
        "ModelPackageGroupDescription": request.get("ModelPackageGroupDescription"),
        "CreationTime": now(),
        "CreatedBy": {},
        "ModelPackageGroupStatus": "Completed",
    }
    with lock(cloud):
        if name in table(cloud, TABLE):
            raise invalid(f"Model Package Group already exists: {row['ModelPackageGroupArn']}")
        table(cloud, TABLE)[name] = row
    tags.keep(cloud, row["ModelPackageGroupArn"], request.get("Tags"))
    return row


def find(cloud: "Cloud", name_or_arn: str) -> Row:
    """The group of that name or ARN, or SageMaker's sentence that there is none."""
    name = name_of(name_or_arn)
    row: Row | None = table(cloud, TABLE).get(name)
    if row is None:
        raise invalid(f"ModelPackageGroup {arn(cloud, KIND, name)} does not exist.")
    return row


def describe_model_package_group(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one group."""
    with lock(cloud):
        row = find(cloud, request["ModelPackageGroupName"])
        return {key: value for key, value in row.items() if value is not None}


def list_model_package_groups(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by name and time."""
    members = ("ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription", "CreationTime")
    with lock(cloud):
        rows = [
            {**{key: row[key] for key in members if row[key]}, "ModelPackageGroupStatus": "Completed"}
            for row in table(cloud, TABLE).values()
            if matches(row, request, "ModelPackageGroupName") and between(row, request)
        ]
    key = "ModelPackageGroupName" if request.get("SortBy") == "Name" else "CreationTime"
    return listed("ModelPackageGroupSummaryList", rows, request, lambda row: row[key])


def delete_model_package_group(cloud: "Cloud", request: Row) -> None:
    """Remove an empty group."""
    with lock(cloud):
        row = find(cloud, request["ModelPackageGroupName"])
        name = row["ModelPackageGroupName"]
        if any(package["ModelPackageGroupName"] == name for package in table(cloud, "model_packages").values()):
            raise CloudError(
                "ConflictException", "Model Package Group cannot be deleted because it still contains Model Packages."
            )
        del table(cloud, TABLE)[name]
        tags.forget(cloud, row["ModelPackageGroupArn"])


OPERATIONS = {
    "CreateModelPackageGroup": create_model_package_group,
    "DescribeModelPackageGroup": describe_model_package_group,
    "ListModelPackageGroups": list_model_package_groups,
    "DeleteModelPackageGroup": delete_model_package_group,
}
