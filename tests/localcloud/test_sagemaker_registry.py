"""The model registry, driven through boto3."""

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker_lab import Lab, until

DIGEST = "sha256:" + "a" * 64


@pytest.fixture(scope="module")
def lab(localcloud) -> Lab:
    return Lab(localcloud)


@pytest.fixture
def group(lab: Lab) -> str:
    name = lab.name("group")
    lab.sagemaker.create_model_package_group(ModelPackageGroupName=name, ModelPackageGroupDescription="models")
    return name


def register(lab: Lab, group: str, **more: object) -> str:
    inference = {
        "Containers": [{"Image": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/p/serving@{DIGEST}"}],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    request = {"ModelPackageGroupName": group, "InferenceSpecification": inference, **more}
    return lab.sagemaker.create_model_package(**request)["ModelPackageArn"]


def test_versions_count_up_and_wait_for_approval(lab: Lab, group: str):
    metadata = {"run_id": "9c41"}
    statistics = {"ContentType": "application/json", "S3Uri": f"s3://{lab.bucket}/evaluation.json"}
    first = register(lab, group)
    second = register(
        lab,
        group,
        CustomerMetadataProperties=metadata,
        ModelMetrics={"ModelQuality": {"Statistics": statistics}},
    )
    assert (first[-2:], second[-2:]) == ("/1", "/2")
    found = lab.sagemaker.describe_model_package(ModelPackageName=second)
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert found["ModelPackageStatus"] == "Completed"
    assert found["CustomerMetadataProperties"] == metadata
    assert found["ModelMetrics"]["ModelQuality"]["Statistics"] == statistics
    assert found["InferenceSpecification"]["Containers"][0]["ImageDigest"] == DIGEST


def test_the_same_client_token_registers_once(lab: Lab, group: str):
    token = lab.name("token")
    assert register(lab, group, ClientToken=token) == register(lab, group, ClientToken=token)
    assert len(lab.sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]) == 1


def test_an_approval_is_kept_told_and_can_be_asked_for(lab: Lab, group: str):
    read = lab.watch(["SageMaker Model Package State Change"])
    register(lab, group)
    arn = register(lab, group, CustomerMetadataProperties={"verdict": "pass", "old": "x"})
    lab.sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="merge abc",
        CustomerMetadataProperties={"merge": "abc"},
        CustomerMetadataPropertiesToRemove=["old"],
    )
    found = lab.sagemaker.describe_model_package(ModelPackageName=arn)
    assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == ("Approved", "merge abc")
    assert found["CustomerMetadataProperties"] == {"verdict": "pass", "merge": "abc"}
    approved = lab.sagemaker.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    assert [row["ModelPackageArn"] for row in approved["ModelPackageSummaryList"]] == [arn]

    def statuses() -> list[str]:
        return [event["detail"]["ModelApprovalStatus"] for event in read() if event["resources"] == [arn]]

    until(lambda: set(statuses()) == {"PendingManualApproval", "Approved"})


def test_packages_are_listed_newest_first_a_page_at_a_time(lab: Lab, group: str):
    arns = [register(lab, group) for _ in range(3)]
    page = lab.sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=2)
    rest = lab.sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=2, NextToken=page["NextToken"])
    rows = [*page["ModelPackageSummaryList"], *rest["ModelPackageSummaryList"]]
    assert [row["ModelPackageArn"] for row in rows] == arns[::-1]
    assert "NextToken" not in rest


def test_a_group_is_deleted_only_when_it_is_empty_and_numbers_are_not_given_again(lab: Lab, group: str):
    arn = register(lab, group)
    with pytest.raises(lab.sagemaker.exceptions.ConflictException, match="still contains Model Packages"):
        lab.sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    lab.sagemaker.delete_model_package(ModelPackageName=arn)
    with pytest.raises(ClientError, match="does not exist"):
        lab.sagemaker.describe_model_package(ModelPackageName=arn)
    assert register(lab, group).endswith("/2")
    lab.sagemaker.delete_model_package(ModelPackageName=arn.replace("/1", "/2"))
    lab.sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match=r"ModelPackageGroup arn:.* does not exist"):
        lab.sagemaker.describe_model_package_group(ModelPackageGroupName=group)


def test_a_group_is_found_by_name_and_by_arn_and_created_once(lab: Lab, group: str):
    row = lab.sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    assert row["ModelPackageGroupDescription"] == "models"
    arn = row["ModelPackageGroupArn"]
    assert lab.sagemaker.describe_model_package_group(ModelPackageGroupName=arn)["ModelPackageGroupName"] == group
    listed = lab.sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert [item["ModelPackageGroupArn"] for item in listed] == [arn]
    with pytest.raises(ClientError, match="already exists"):
        lab.sagemaker.create_model_package_group(ModelPackageGroupName=group)


def test_tags_are_added_listed_and_removed(lab: Lab, group: str):
    arn = lab.sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    lab.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}])
    lab.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "b"}])
    lab.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["cost"])
    assert lab.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "b"}]
    with pytest.raises(ClientError, match="not found"):
        lab.sagemaker.list_tags(ResourceArn=arn + "x")


def test_what_is_not_registered_is_refused(lab: Lab, group: str):
    with pytest.raises(ClientError, match="ModelPackageGroup"):
        register(lab, "nobody")
    with pytest.raises(ClientError, match="enum value set"):
        register(lab, group, ModelApprovalStatus="Perhaps")
