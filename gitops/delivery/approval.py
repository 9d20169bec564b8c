"""The registry follows git: what production serves is Approved, with the commit that says so."""

from typing import Any

from gitops.delivery.order import Say
from gitops.deployment import Release

ENVIRONMENT = "production"  # whose success approves the package
NOTE = "deployed to "
LOOKED_AT = 5  # newest packages that are looked at for an approval from elsewhere


def approve(sagemaker: Any, release: Release, commit: str, say: Say) -> None:
    """Approved, with the commit; nothing is written where that is so already."""
    package = sagemaker.describe_model_package(ModelPackageName=release.package_arn)
    note = f"{NOTE}{ENVIRONMENT} by commit {commit}"
    if package.get("ModelApprovalStatus") == "Approved" and package.get("ApprovalDescription") == note:
        return
    sagemaker.update_model_package(
        ModelPackageArn=release.package_arn, ModelApprovalStatus="Approved", ApprovalDescription=note
    )
    say(f"{release.package_arn}: Approved ({note})")


def strays(sagemaker: Any, release: Release) -> list[str]:
    """Newer packages that somebody approved outside git, each a line: git decides, so none of them is deployed."""
    group = release.package_arn.rsplit("/", 2)[1]
    listed = sagemaker.list_model_packages(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=LOOKED_AT,
    )
    found = []
    for summary in listed["ModelPackageSummaryList"]:
        package = sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
        by_git = str(package.get("ApprovalDescription", "")).startswith(NOTE)
        if not by_git and int(summary["ModelPackageVersion"]) > release.version:
            found.append(
                f"{summary['ModelPackageArn']}: drift: is Approved outside git and is not deployed; git asks for "
                f"version {release.version}, promote it by a merge request"
            )
    return found
