"""The model registry: versioned model packages, their approval and the events these cause."""

import re
from typing import TYPE_CHECKING

from . import registry_groups, tags
from .job import event_detail
from .shapes import describe
from .store import Row, arn, invalid, listed, lock, matches, name_of, now, refuse, table, unsupported

if TYPE_CHECKING:
    from ..cloud import Cloud

TABLE = "model_packages"
PENDING = "PendingManualApproval"
_REFUSED = (
    "ValidationSpecification",
    "SourceAlgorithmSpecification",
    "CertifyForMarketplace",
    "ManagedStorageType",
    "ModelLifeCycle",
    "ModelCard",
)
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")
_UPDATED = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "AdditionalInferenceSpecifications",
)


def create_model_package(cloud: "Cloud", request: Row) -> Row:
    """Register the next version of a group; the same ClientToken answers the same version."""
    refuse("CreateModelPackage", request, _REFUSED)
    if not request.get("ModelPackageGroupName"):
        raise unsupported("CreateModelPackage", "an unversioned package; give ModelPackageGroupName")
    if not request.get("InferenceSpecification"):
        raise invalid("InferenceSpecification is required to create a versioned model package.")
    with lock(cloud):
        row, created = _create(cloud, request)
    if created:
        tags.keep(cloud, row["ModelPackageArn"], request.get("Tags"))
        _emit(cloud, row)
    return {"ModelPackageArn": row["ModelPackageArn"]}


def describe_model_package(cloud: "Cloud", request: Row) -> Row:
    """Everything known of one version."""
    with lock(cloud):
        return describe("DescribeModelPackage", find(cloud, request["ModelPackageName"]))


def list_model_packages(cloud: "Cloud", request: Row) -> Row:
    """Summaries, filtered by group, approval, name and time; versioned packages unless asked otherwise."""
    group, approval = request.get("ModelPackageGroupName"), request.get("ModelApprovalStatus")
    if request.get("ModelPackageType") == "Unversioned":
        return {"ModelPackageSummaryList": []}
    with lock(cloud):
        if group:
            group = registry_groups.find(cloud, group)["ModelPackageGroupName"]
        rows = [
            _summary(row)
            for row in table(cloud, TABLE).values()
            if (not group or row["ModelPackageGroupName"] == group)
            and (not approval or row["ModelApprovalStatus"] == approval)
            and matches(row, request, "ModelPackageGroupName")
        ]
    name = request.get("SortBy") == "Name"
    return listed(
        "ModelPackageSummaryList",
        rows,
        request,
        lambda row: (row["ModelPackageGroupName"] if name else "", row["CreationTime"], row["ModelPackageVersion"]),
    )


def update_model_package(cloud: "Cloud", request: Row) -> Row:
    """Approve, reject or annotate a version; an event follows every change of approval."""
    operation = "UpdateModelPackage"
    refuse(operation, request, ("ModelLifeCycle", "ModelCard", "ModelPackageRegistrationType"))
    with lock(cloud):
        row = find(cloud, request["ModelPackageArn"])
        approved = request.get("ModelApprovalStatus", row["ModelApprovalStatus"]) != row["ModelApprovalStatus"]
        row.update({member: request[member] for member in _UPDATED if member in request})
        metadata = {**row.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
        for key in request.get("CustomerMetadataPropertiesToRemove", []):
            metadata.pop(key, None)
        row.update(CustomerMetadataProperties=metadata, LastModifiedTime=now(), LastModifiedBy={})
    if approved:
        _emit(cloud, row)
    return {"ModelPackageArn": row["ModelPackageArn"]}


def delete_model_package(cloud: "Cloud", request: Row) -> None:
    """Remove a version; its number is not given again."""
    with lock(cloud):
        row = find(cloud, request["ModelPackageName"])
        del table(cloud, TABLE)[row["ModelPackageArn"]]
        tags.forget(cloud, row["ModelPackageArn"])


def find(cloud: "Cloud", name_or_arn: str) -> Row:
    """The package of that ARN (or `group/version`), or SageMaker's sentence that there is none."""
    key = arn(cloud, "model-package", name_of(name_or_arn) if name_or_arn.startswith("arn:") else name_or_arn)
    row: Row | None = table(cloud, TABLE).get(key)
    if row is None:
        raise invalid(f"ModelPackage {key} does not exist.")
    return row


def _create(cloud: "Cloud", request: Row) -> tuple[Row, bool]:
    tokens, token = table(cloud, "model_package_tokens"), request.get("ClientToken")
    if token and token in tokens:
        return find(cloud, tokens[token]), False
    group = registry_groups.find(cloud, request["ModelPackageGroupName"])
    name = group["ModelPackageGroupName"]
    version = group["LastVersion"] = group.get("LastVersion", 0) + 1
    row = {
        "ModelApprovalStatus": PENDING,
        **{key: value for key, value in request.items() if key not in ("Tags", "ClientToken")},
        "ModelPackageName": f"{name}/{version}",
        "ModelPackageGroupName": name,
        "ModelPackageVersion": version,
        "ModelPackageArn": arn(cloud, "model-package", f"{name}/{version}"),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
        "CreationTime": now(),
        "CreatedBy": {},
        "InferenceSpecification": _with_digests(request["InferenceSpecification"]),
    }
    table(cloud, TABLE)[row["ModelPackageArn"]] = row
    if token:
        tokens[token] = row["ModelPackageArn"]
    return row, True


def _with_digests(specification: Row) -> Row:
    """Each container with the digest of its image, where its address names one."""
    containers = []
    for container in specification["Containers"]:
        digest = _DIGEST.search(container.get("Image", ""))
        containers.append({**container, **({"ImageDigest": digest[1]} if digest else {})})
    return {**specification, "Containers": containers}


def _summary(row: Row) -> Row:
    members = (
        "ModelPackageGroupName",
        "ModelPackageVersion",
        "ModelPackageArn",
        "ModelPackageDescription",
        "CreationTime",
        "ModelPackageStatus",
        "ModelApprovalStatus",
    )
    return {key: row[key] for key in members if row.get(key) is not None}


def _emit(cloud: "Cloud", row: Row) -> None:
    detail = event_detail({key: value for key, value in row.items() if not key.endswith("By")})
    detail["Tags"] = tags.of(cloud, row["ModelPackageArn"])
    cloud.emit("aws.sagemaker", "SageMaker Model Package State Change", detail, [row["ModelPackageArn"]])


OPERATIONS = {
    "CreateModelPackage": create_model_package,
    "DescribeModelPackage": describe_model_package,
    "ListModelPackages": list_model_packages,
    "UpdateModelPackage": update_model_package,
    "DeleteModelPackage": delete_model_package,
}
