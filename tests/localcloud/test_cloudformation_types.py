"""One resource of each type: created, changed in place, and gone when its stack is."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

COUNT = itertools.count(1)
Client = Callable[[str], Any]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def policy(action: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def inline(name: str) -> list[dict[str, Any]]:
    return [{"PolicyName": name, "PolicyDocument": policy("s3:GetObject")}]


def lifecycle(name: str) -> dict[str, Any]:
    return {"Rules": [{"Id": name, "Status": "Enabled", "ExpirationInDays": 1}]}


def code(answer: str) -> dict[str, str]:
    return {"ZipFile": f"def handler(event, context):\n    return '{answer}'\n"}


def rule_ids(client: Client, bucket: str) -> list[str]:
    return [rule["ID"] for rule in client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]]


def document(client: Client, arn: str) -> dict[str, Any]:
    version = client("iam").get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return client("iam").get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def provider(client: Client, arn: str) -> dict[str, Any]:
    return client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ThumbprintList"]


def retention(client: Client, name: str) -> int:
    return client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"]


def threshold(client: Client, name: str) -> float:
    return client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["Threshold"]


def minutes(client: Client, name: str) -> int:
    return client("codebuild").batch_get_projects(names=[name])["projects"][0]["timeoutInMinutes"]


ROLE = "arn:aws:iam::123456789012:role/r"
SPEC = "version: 0.2\nphases: {build: {commands: ['true']}}"
ALARM = {
    "AlarmName": "NAME",
    "MetricName": "Depth",
    "Namespace": "Test",
    "ComparisonOperator": "GreaterThanThreshold",
    "EvaluationPeriods": 1,
    "Period": 60,
    "Statistic": "Sum",
}
PROJECT = {
    "Name": "NAME",
    "Source": {"Type": "NO_SOURCE", "BuildSpec": SPEC},
    "Artifacts": {"Type": "NO_ARTIFACTS"},
    "ServiceRole": ROLE,
    "Environment": {"Type": "LINUX_CONTAINER", "ComputeType": "BUILD_GENERAL1_SMALL", "Image": "python:3.12"},
}
FUNCTION = {"FunctionName": "NAME", "Runtime": "python3.12", "Handler": "index.handler", "Role": ROLE, "Timeout": 5}
Look = Callable[[Client, str], Any]
# type -> what stays, the property that changes, both its values, how to look (physical id in), what is seen each time
CASES: dict[str, tuple[dict[str, Any], str, tuple[Any, Any], Look, tuple[Any, Any]]] = {
    "AWS::S3::Bucket": (
        {"BucketName": "NAME"},
        "LifecycleConfiguration",
        (lifecycle("a"), lifecycle("b")),
        rule_ids,
        (["a"], ["b"]),
    ),
    "AWS::KMS::Key": (
        {"EnableKeyRotation": True},
        "Description",
        ("one", "two"),
        lambda client, key: client("kms").describe_key(KeyId=key)["KeyMetadata"]["Description"],
        ("one", "two"),
    ),
    "AWS::Events::EventBus": (
        {"Name": "NAME"},
        "Description",
        ("one", "two"),
        lambda client, name: client("events").describe_event_bus(Name=name)["Description"],
        ("one", "two"),
    ),
    "AWS::SNS::Topic": (
        {"TopicName": "NAME"},
        "DisplayName",
        ("one", "two"),
        lambda client, arn: client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"],
        ("one", "two"),
    ),
    "AWS::SecretsManager::Secret": (
        {"Name": "NAME"},
        "SecretString",
        ("one", "two"),
        lambda client, arn: client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"],
        ("one", "two"),
    ),
    "AWS::SQS::Queue": (
        {"QueueName": "NAME"},
        "Tags",
        ([{"Key": "a", "Value": "1"}], [{"Key": "b", "Value": "2"}]),
        lambda client, url: client("sqs").list_queue_tags(QueueUrl=url)["Tags"],
        ({"a": "1"}, {"b": "2"}),
    ),
    "AWS::IAM::ManagedPolicy": (
        {"ManagedPolicyName": "NAME"},
        "PolicyDocument",
        (policy("s3:ListAllMyBuckets"), policy("s3:GetObject")),
        document,
        (policy("s3:ListAllMyBuckets"), policy("s3:GetObject")),
    ),
    "AWS::IAM::Role": (
        {"RoleName": "NAME", "AssumeRolePolicyDocument": TRUST},
        "Policies",
        (inline("a"), inline("b")),
        lambda client, name: client("iam").list_role_policies(RoleName=name)["PolicyNames"],
        (["a"], ["b"]),
    ),
    "AWS::IAM::OIDCProvider": (
        {"Url": "https://NAME.example.com", "ClientIdList": ["sts.amazonaws.com"]},
        "ThumbprintList",
        (["a" * 40], ["b" * 40]),
        provider,
        (["a" * 40], ["b" * 40]),
    ),
    "AWS::Logs::LogGroup": ({"LogGroupName": "/NAME"}, "RetentionInDays", (7, 14), retention, (7, 14)),
    "AWS::CloudWatch::Alarm": (ALARM, "Threshold", (1, 2), threshold, (1.0, 2.0)),
    "AWS::Events::Rule": (
        {"Name": "NAME"},
        "EventPattern",
        ({"source": ["one"]}, {"source": ["two"]}),
        lambda client, name: json.loads(client("events").describe_rule(Name=name)["EventPattern"]),
        ({"source": ["one"]}, {"source": ["two"]}),
    ),
    "AWS::ApiGatewayV2::Api": (
        {"Name": "NAME", "ProtocolType": "HTTP"},
        "Description",
        ("one", "two"),
        lambda client, identity: client("apigatewayv2").get_api(ApiId=identity)["Description"],
        ("one", "two"),
    ),
    "AWS::CodeBuild::Project": (PROJECT, "TimeoutInMinutes", (5, 6), minutes, (5, 6)),
    "AWS::Lambda::Function": (
        FUNCTION,
        "Code",
        (code("one"), code("two")),
        lambda client, name: json.load(client("lambda").invoke(FunctionName=name)["Payload"]),
        ("one", "two"),
    ),
    "AWS::SageMaker::ModelPackageGroup": (
        {"ModelPackageGroupName": "NAME"},
        "Tags",
        ([{"Key": "a", "Value": "1"}], [{"Key": "b", "Value": "2"}]),
        lambda client, arn: client("sagemaker").list_tags(ResourceArn=arn)["Tags"],
        ([{"Key": "a", "Value": "1"}], [{"Key": "b", "Value": "2"}]),
    ),
}


def named(value: Any, name: str) -> Any:
    return json.loads(json.dumps(value).replace("NAME", name))


@pytest.mark.parametrize("kind", CASES)
def test_a_resource_is_made_changed_in_place_and_taken_away(localcloud, kind):
    stacks, name = localcloud.client("cloudformation"), f"kind-{next(COUNT)}"
    kept, key, (first, second), look, (before, after) = CASES[kind]

    def template(value: Any) -> dict[str, Any]:
        text = json.dumps({"Resources": {"Thing": {"Type": kind, "Properties": named(kept | {key: value}, name)}}})
        return {"StackName": name, "TemplateBody": text, "Capabilities": ["CAPABILITY_NAMED_IAM"]}

    def physical_id(expected: str) -> str:
        found = stacks.describe_stacks(StackName=name)["Stacks"][0]
        events = stacks.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [event["ResourceStatusReason"] for event in events if "ResourceStatusReason" in event]
        assert found["StackStatus"] == expected, reasons
        row = stacks.describe_stack_resource(StackName=name, LogicalResourceId="Thing")["StackResourceDetail"]
        return row["PhysicalResourceId"]

    arn = stacks.create_stack(**template(first))["StackId"]
    made = physical_id("CREATE_COMPLETE")
    assert look(localcloud.client, made) == before
    stacks.update_stack(**template(second))
    assert physical_id("UPDATE_COMPLETE") == made
    assert look(localcloud.client, made) == after
    stacks.delete_stack(StackName=name)
    assert stacks.describe_stacks(StackName=arn)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    if kind == "AWS::KMS::Key":
        assert localcloud.client("kms").describe_key(KeyId=made)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    else:
        with pytest.raises((ClientError, IndexError)):
            look(localcloud.client, made)


def test_what_only_refers_to_others_is_made_and_taken_away(localcloud):
    stacks, name = localcloud.client("cloudformation"), f"kind-{next(COUNT)}"
    statement = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "events:PutEvents", "Resource": "*"}
    resources = {
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": name}},
        "BusPolicy": {
            "Type": "AWS::Events::EventBusPolicy",
            "Properties": {"EventBusName": {"Ref": "Bus"}, "StatementId": "friends", "Statement": statement},
        },
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
        "Policy": {
            "Type": "AWS::IAM::Policy",
            "Properties": {"PolicyName": "read", "PolicyDocument": policy("s3:GetObject"), "Roles": [{"Ref": "Role"}]},
        },
        "Key": {"Type": "AWS::KMS::Key"},
        "Alias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": f"alias/{name}", "TargetKeyId": {"Ref": "Key"}},
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": named(FUNCTION, name) | {"Code": code("one")},
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": {"Ref": "Function"},
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
            },
        },
    }
    text = json.dumps({"Resources": resources})
    arn = stacks.create_stack(StackName=name, TemplateBody=text, Capabilities=["CAPABILITY_IAM"])["StackId"]
    events = stacks.describe_stack_events(StackName=arn)["StackEvents"]
    assert stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE", [
        event for event in events if event["ResourceStatus"] == "CREATE_FAILED"
    ]
    bus = json.loads(localcloud.client("events").describe_event_bus(Name=name)["Policy"])
    assert [item["Sid"] for item in bus["Statement"]] == ["friends"]
    rows = {row["LogicalResourceId"]: row for row in stacks.describe_stack_resources(StackName=name)["StackResources"]}
    role = rows["Role"]["PhysicalResourceId"]
    assert role.startswith(f"{name}-Role-")
    assert localcloud.client("iam").list_role_policies(RoleName=role)["PolicyNames"] == ["read"]
    permissions = json.loads(localcloud.client("lambda").get_policy(FunctionName=name)["Policy"])["Statement"]
    assert [item["Sid"] for item in permissions] == [rows["Permission"]["PhysicalResourceId"]]
    stacks.delete_stack(StackName=name)
    assert stacks.describe_stacks(StackName=arn)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"


def test_an_http_api_with_its_parts_is_made_changed_in_place_and_taken_away(localcloud):
    stacks, gateway, name = localcloud.client("cloudformation"), localcloud.client("apigatewayv2"), f"api-{next(COUNT)}"
    function = "arn:aws:lambda:eu-west-1:123456789012:function:f"

    def part(kind: str, **properties: Any) -> dict[str, Any]:
        return {"Type": f"AWS::ApiGatewayV2::{kind}", "Properties": {"ApiId": {"Ref": "Api"}, **properties}}

    def template(path: str, rate: int, milliseconds: int) -> str:
        integration = {"IntegrationType": "AWS_PROXY", "IntegrationUri": function, "PayloadFormatVersion": "2.0"}
        limits = {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": 5}
        resources = {
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": name, "ProtocolType": "HTTP"}},
            "Integration": part("Integration", **integration, TimeoutInMillis=milliseconds),
            "Route": part(
                "Route", RouteKey=f"GET /{path}", Target={"Fn::Sub": "integrations/${Integration}"},
                AuthorizationType="AWS_IAM",
            ),
            "Stage": part("Stage", StageName="$default", AutoDeploy=True, DefaultRouteSettings=limits),
        }  # fmt: skip
        url = {"Url": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}}}
        return json.dumps({"Resources": resources, "Outputs": url})

    def seen() -> tuple[str, float, int]:
        [route], [stage] = (
            gateway.get_routes(ApiId=identity)["Items"],
            gateway.get_stages(ApiId=identity)["Items"],
        )
        [integration] = gateway.get_integrations(ApiId=identity)["Items"]
        assert route["Target"] == f"integrations/{integration['IntegrationId']}"
        limit = stage["DefaultRouteSettings"]["ThrottlingRateLimit"]
        return route["RouteKey"], limit, integration["TimeoutInMillis"]

    stacks.create_stack(StackName=name, TemplateBody=template("one", 1, 1000))
    found = stacks.describe_stacks(StackName=name)["Stacks"][0]
    assert found["StackStatus"] == "CREATE_COMPLETE", stacks.describe_stack_events(StackName=name)["StackEvents"]
    identity = found["Outputs"][0]["OutputValue"].rpartition("/")[2]
    assert seen() == ("GET /one", 1.0, 1000)
    stacks.update_stack(StackName=name, TemplateBody=template("two", 2, 2000))
    assert stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    assert seen() == ("GET /two", 2.0, 2000)
    stacks.delete_stack(StackName=name)
    with pytest.raises(ClientError, match="Invalid API identifier"):
        gateway.get_api(ApiId=identity)
