"""The templates deployed to localcloud by `python -m infra`: every resource in them answers its own service."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from infra import packages, stack

from .conftest import PARAMETERS, command, words

Client = Callable[[str], Any]
# type -> how its service describes what the stack says it made (physical id in, anything but an error out)
DESCRIBE: dict[str, Callable[[Client, str], Any]] = {
    "AWS::ApiGatewayV2::Api": lambda client, name: client("apigatewayv2").get_api(ApiId=name),
    "AWS::CloudWatch::Alarm": lambda client, name: client("cloudwatch").describe_alarms(AlarmNames=[name])[
        "MetricAlarms"
    ][0],
    "AWS::CodeBuild::Project": lambda client, name: client("codebuild").batch_get_projects(names=[name])["projects"][0],
    "AWS::Events::EventBus": lambda client, name: client("events").describe_event_bus(Name=name),
    "AWS::Events::Rule": lambda client, name: client("events").describe_rule(
        Name=name.rpartition("|")[2], EventBusName=name.rpartition("|")[0] or "default"
    ),
    "AWS::IAM::ManagedPolicy": lambda client, arn: client("iam").get_policy(PolicyArn=arn),
    "AWS::IAM::OIDCProvider": lambda client, arn: client("iam").get_open_id_connect_provider(
        OpenIDConnectProviderArn=arn
    ),
    "AWS::IAM::Role": lambda client, name: client("iam").get_role(RoleName=name),
    "AWS::KMS::Alias": lambda client, name: client("kms").describe_key(KeyId=name),
    "AWS::KMS::Key": lambda client, key: client("kms").describe_key(KeyId=key),
    "AWS::Lambda::Function": lambda client, name: client("lambda").get_function(FunctionName=name),
    "AWS::Logs::LogGroup": lambda client, name: client("logs").describe_log_groups(logGroupNamePrefix=name)[
        "logGroups"
    ][0],
    "AWS::S3::Bucket": lambda client, name: client("s3").head_bucket(Bucket=name),
    "AWS::S3::BucketPolicy": lambda client, name: client("s3").get_bucket_policy(Bucket=name),
    "AWS::SQS::Queue": lambda client, url: client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"]),
    "AWS::SageMaker::ModelPackageGroup": lambda client, arn: client("sagemaker").describe_model_package_group(
        ModelPackageGroupName=arn.rsplit("/", 1)[1]
    ),
}


def test_every_resource_of_the_templates_answers_its_service(localcloud, deployed, infra):
    stacks = localcloud.client("cloudformation")
    rows = {
        row["LogicalResourceId"]: row
        for template in stack.TEMPLATES
        for row in stacks.describe_stack_resources(StackName=deployed + template.suffix)["StackResources"]
    }
    assert set(rows) == set(infra.resources)
    identity = {name: row["PhysicalResourceId"] for name, row in rows.items()}
    found = inside(localcloud.client, identity)
    for name, row in rows.items():
        assert row["ResourceStatus"] == "CREATE_COMPLETE"
        if row["ResourceType"] in found:
            assert found[row["ResourceType"]](row["PhysicalResourceId"]), name
        else:
            assert DESCRIBE[row["ResourceType"]](localcloud.client, row["PhysicalResourceId"]), name


def inside(client: Client, identity: dict[str, str]) -> dict[str, Callable[[str], Any]]:
    """Types that are part of another resource -> whether that one has them."""
    api = client("apigatewayv2")
    urls = [identity[name] for name in ("DeadLetters", "ServingDeadLetters", "RefreshDeadLetters")]
    queues = [DESCRIBE["AWS::SQS::Queue"](client, url)["Attributes"]["Policy"] for url in urls]
    functions = [identity[name] for name in ("ApiFunction", "PrecomputeFunction", "StartFunction")]
    policies = "".join(client("lambda").get_policy(FunctionName=name)["Policy"] for name in functions)
    return {
        "AWS::SQS::QueuePolicy": lambda _: all("RulesOfThisProject" in policy for policy in queues),
        "AWS::Lambda::Permission": lambda name: name in policies,
        "AWS::ApiGatewayV2::Integration": lambda name: api.get_integration(ApiId=identity["Api"], IntegrationId=name),
        "AWS::ApiGatewayV2::Route": lambda name: api.get_route(ApiId=identity["Api"], RouteId=name),
        "AWS::ApiGatewayV2::Stage": lambda name: api.get_stage(ApiId=identity["Api"], StageName=name),
    }


def test_the_bucket_has_every_setting_of_the_template(localcloud, deployed):
    s3, bucket = localcloud.client("s3"), f"{deployed}-123456789012-eu-west-1"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert set(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert len(s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]) == 2
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]


def test_the_rules_have_their_targets(localcloud, deployed):
    events = localcloud.client("events")
    [target] = events.list_targets_by_rule(Rule=f"{deployed}-retrain", EventBusName=deployed)["Targets"]
    assert target["Arn"] == f"arn:aws:codebuild:eu-west-1:123456789012:project/{deployed}-retrain"
    assert target["DeadLetterConfig"]["Arn"].endswith(f":{deployed}-dead-letters")
    bucket = f"{deployed}-123456789012-eu-west-1"
    assert f'"{bucket}/source/<sha>.zip"' in target["InputTransformer"]["InputTemplate"]


def test_builds_know_what_the_stack_made(localcloud, deployed):
    [project] = localcloud.client("codebuild").batch_get_projects(names=[f"{deployed}-retrain"])["projects"]
    variables = {item["name"]: item["value"] for item in project["environment"]["environmentVariables"]}
    assert variables == {
        "PROJECT_NAME": deployed,
        "ACCOUNT_ID": "123456789012",
        "ARTIFACT_BUCKET": f"{deployed}-123456789012-eu-west-1",
        "EVENT_BUS": deployed,
        "GIT_URL": "https://gitlab.example.com",
        "PIPELINE_ROLE_ARN": f"arn:aws:iam::123456789012:role/{deployed}-execution",
        "REGISTER_FUNCTION_ARN": f"arn:aws:lambda:eu-west-1:123456789012:function:{deployed}-register",
        "SERVING_ROLE_ARN": f"arn:aws:iam::123456789012:role/{deployed}-serving",
        "TRAINING_IMAGE": PARAMETERS["TrainingImage"],
        "PROCESSING_IMAGE": PARAMETERS["ProcessingImage"],
        "SERVING_IMAGE": PARAMETERS["ServingImage"],
    }


def test_deploying_again_changes_nothing_and_describe_shows_the_outputs(localcloud, deployed):
    again = command(localcloud, "deploy", *words(deployed))
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"stack {deployed}: CREATE_COMPLETE\n")
    assert f"\nstack {deployed}-serving: CREATE_COMPLETE\n" in again.stdout
    assert f"  BucketName: {deployed}-123456789012-eu-west-1\n" in again.stdout
    assert f"  ApiUrl: {localcloud.endpoint}/_api/" in again.stdout
    assert f"  NotifyRoleArn: arn:aws:iam::123456789012:role/{deployed}-notify\n" in again.stdout


def test_the_stacks_can_be_deployed_changed_and_deleted(localcloud):
    name = "infra-short"
    made = command(localcloud, "deploy", *words(name, CreateOidcProvider="false"))
    assert made.returncode == 0, made.stderr
    changed = command(localcloud, "deploy", f"--parameter=ProjectName={name}", "--parameter=Branch=trunk")
    assert changed.stdout.startswith(f"stack {name}: UPDATE_COMPLETE\n"), changed.stderr
    rule = localcloud.client("events").describe_rule(Name=f"{name}-retrain", EventBusName=name)
    assert json.loads(rule["EventPattern"])["detail"]["branch"] == ["trunk"]
    gone = command(localcloud, "delete", f"--parameter=ProjectName={name}")
    assert gone.stdout == "".join(f"stack {name}{suffix}: deleted\n" for suffix in ("-refresh", "-serving", "")), (
        gone.stderr
    )
    with pytest.raises(localcloud.client("iam").exceptions.NoSuchEntityException):
        localcloud.client("iam").get_role(RoleName=f"{name}-build")


def test_a_wrong_parameter_is_one_line(localcloud):
    result = command(localcloud, "deploy", *words("infra-wrong", ServingImage="serving:latest"))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "must name the image by digest" in result.stderr


def test_a_parameter_that_no_template_declares_is_one_line(localcloud):
    result = command(localcloud, "deploy", *words("infra-wrong", Colour="green"))
    assert (result.returncode, result.stderr) == (
        1, "error: --parameter Colour: no template declares it; --help lists those there are\n",
    )  # fmt: skip


def test_the_functions_run_the_code_that_was_packed_under_its_digest(localcloud, deployed):
    functions, s3 = localcloud.client("lambda"), localcloud.client("s3")
    for name, source in (("api", "ApiCode"), ("register", "RegisterCode")):
        data = packages.pack(packages.PACKAGES[source])
        assert data == packages.pack(packages.PACKAGES[source])
        digest = hashlib.sha256(data).digest()
        found = functions.get_function_configuration(FunctionName=f"{deployed}-{name}")
        assert found["CodeSha256"] == base64.b64encode(digest).decode()
        key = f"lambda/{packages.PACKAGES[source].stem}/{digest.hex()}.zip"
        assert s3.get_object(Bucket=f"{deployed}-123456789012-eu-west-1", Key=key)["Body"].read() == data


def test_help_lists_the_parameters_of_the_template(localcloud, infra):
    shown = command(localcloud, "--help").stdout
    assert {name for name in infra.raw["Parameters"] if f"\n  {name}: " not in shown} == set(packages.PACKAGES)
    assert "[main]" in shown


def test_every_page_of_events_is_searched_for_reasons():
    class Cloud:
        pages = (
            [{"ResourceStatus": "DELETE_COMPLETE", "ResourceType": "AWS::SQS::Queue", "LogicalResourceId": "Late"}],
            [
                {
                    "ResourceStatus": "CREATE_FAILED",
                    "ResourceType": "AWS::S3::Bucket",
                    "LogicalResourceId": "Bucket",
                    "ResourceStatusReason": "taken",
                },
                {"ResourceStatusReason": "User Initiated"},
                {"ResourceStatusReason": "of an earlier operation"},
            ],
        )

        def get_paginator(self, operation):
            return self

        def paginate(self, StackName):  # noqa: N803 - boto3's name
            return [{"StackEvents": page} for page in self.pages]

    assert stack.reasons(Cloud(), "any") == ["Bucket: taken"]


def test_a_missing_stack_is_one_line(localcloud):
    result = command(localcloud, "describe", "--parameter=ProjectName=infra-nobody")
    assert (result.returncode, result.stderr) == (
        1,
        "error: stack infra-nobody: does not exist; run `python -m infra deploy`\n",
    )


def test_no_cloud_is_one_line(localcloud):
    class Nowhere:
        environment = localcloud.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}

    result = command(Nowhere, "describe")
    assert result.returncode == 1
    assert result.stderr.startswith("error: Could not connect to the endpoint")
    assert result.stderr.count("\n") == 1
