"""Stacks of localcloud, driven through boto3 only."""

import itertools
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

COUNT = itertools.count(1)
QUEUE = "AWS::SQS::Queue"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


@pytest.fixture
def stacks(localcloud) -> Any:
    return localcloud.client("cloudformation")


@pytest.fixture
def name() -> str:
    return f"stack-{next(COUNT)}"


def body(resources: dict[str, Any], **sections: Any) -> str:
    return json.dumps({"Resources": resources, **sections})


def queue(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": QUEUE, "Properties": {"QueueName": name, **properties}}


def state(stacks: Any, name: str) -> str:
    return stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]


def outputs(stacks: Any, name: str) -> dict[str, str]:
    found = stacks.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    return {item["OutputKey"]: item["OutputValue"] for item in found}


def reasons(stacks: Any, name: str) -> dict[str, str]:
    """Logical id -> reason of each failed resource."""
    events = stacks.describe_stack_events(StackName=name)["StackEvents"]
    return {
        event["LogicalResourceId"]: event["ResourceStatusReason"]
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    }


def queue_exists(localcloud, name: str) -> bool:
    return any(url.endswith(f"/{name}") for url in localcloud.client("sqs").list_queues().get("QueueUrls", []))


def failure(call: Any, **values: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**values)
    answer = caught.value.response["Error"]
    return answer["Code"], answer["Message"]


FUNCTIONS = """
Parameters:
  Word: {Type: String, Default: hello}
  Words: {Type: CommaDelimitedList, Default: "a, b ,c"}
Mappings:
  Sizes: {eu-west-1: {small: "7"}}
Conditions:
  Greets: !Equals [!Ref Word, hello]
  Never: !And [!Condition Greets, !Not [!Equals [a, a]]]
  Either: !Or [!Condition Never, !Condition Greets]
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${AWS::StackName}-queue"
      DelaySeconds: !If [Never, 5, !Ref AWS::NoValue]
  Absent:
    Type: AWS::SQS::Queue
    Condition: Never
Outputs:
  Arn: {Value: !GetAtt Queue.Arn}
  Date: {Value: 2012-10-17}
  Joined: {Value: !Join ["-", [!Ref Word, !Select [1, !Ref Words]]]}
  Split: {Value: !Select [2, !Split ["/", "x/y/z"]]}
  Found: {Value: !FindInMap [Sizes, !Ref AWS::Region, small]}
  Filled: {Value: !Sub ["${!Kept} ${Queue.QueueName} ${Other} ${AWS::AccountId}", {Other: !Ref Word}]}
  Chosen: {Value: !If [Either, yes it is, no]}
  Encoded: {Value: !Base64 text}
  Hidden: {Condition: Never, Value: x}
"""


def test_a_template_may_use_every_function(localcloud, stacks, name):
    stacks.create_stack(StackName=name, TemplateBody=FUNCTIONS)
    assert state(stacks, name) == "CREATE_COMPLETE"
    assert outputs(stacks, name) == {
        "Arn": f"arn:aws:sqs:eu-west-1:123456789012:{name}-queue",
        "Date": "2012-10-17",
        "Joined": "hello-b",
        "Split": "z",
        "Found": "7",
        "Filled": f"${{Kept}} {name}-queue hello 123456789012",
        "Chosen": "yes it is",
        "Encoded": "dGV4dA==",
    }
    assert len(stacks.list_stack_resources(StackName=name)["StackResourceSummaries"]) == 1


def test_a_created_resource_is_what_its_service_says(localcloud, stacks, name):
    stacks.create_stack(StackName=name, TemplateBody=body({"Queue": queue(name, VisibilityTimeout="77")}))
    url = stacks.describe_stack_resource(StackName=name, LogicalResourceId="Queue")["StackResourceDetail"]
    found = localcloud.client("sqs").get_queue_attributes(QueueUrl=url["PhysicalResourceId"], AttributeNames=["All"])
    assert found["Attributes"]["VisibilityTimeout"] == "77"


def test_a_type_that_is_not_there_fails_by_name_and_rolls_back(localcloud, stacks, name):
    resources = {"Queue": queue(name), "Glue": {"Type": "AWS::Glue::Job", "DependsOn": "Queue"}}
    stacks.create_stack(StackName=name, TemplateBody=body(resources))
    assert state(stacks, name) == "ROLLBACK_COMPLETE"
    assert reasons(stacks, name) == {"Glue": "localcloud does not implement the resource type AWS::Glue::Job"}
    assert not queue_exists(localcloud, name)
    statuses = [event["ResourceStatus"] for event in stacks.describe_stack_events(StackName=name)["StackEvents"]]
    assert statuses[0] == "ROLLBACK_COMPLETE"
    assert statuses[-1] == "CREATE_IN_PROGRESS"


def test_a_property_that_would_be_dropped_fails_by_name(localcloud, stacks, name):
    stacks.create_stack(StackName=name, TemplateBody=body({"Queue": queue(name, Colour="red")}))
    assert reasons(stacks, name) == {"Queue": "localcloud does not support property Colour of AWS::SQS::Queue"}


def test_a_member_inside_a_property_is_refused_by_its_path(stacks, name):
    rule = {
        "EventPattern": {"source": ["x"]},
        "Targets": [{"Id": "a", "Arn": "arn:aws:sqs:eu-west-1:1:q", "Wrong": 1}],
    }
    stacks.create_stack(StackName=name, TemplateBody=body({"Rule": {"Type": "AWS::Events::Rule", "Properties": rule}}))
    assert "AWS::Events::Rule.Targets[0].Wrong" in reasons(stacks, name)["Rule"]
    assert state(stacks, name) == "ROLLBACK_COMPLETE"


def test_a_service_that_refuses_is_quoted_and_nothing_is_left_behind(localcloud, stacks, name):
    tags = [{"Key": "aws:mine", "Value": "no"}]
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, "Tags": tags}}
    stacks.create_stack(StackName=name, TemplateBody=body({"Bucket": bucket}))
    assert "InvalidTag" in reasons(stacks, name)["Bucket"]
    assert state(stacks, name) == "ROLLBACK_COMPLETE"
    assert name not in [item["Name"] for item in localcloud.client("s3").list_buckets()["Buckets"]]


def test_a_failed_stack_can_be_kept_for_a_look(localcloud, stacks, name):
    resources = {"Queue": queue(name), "Glue": {"Type": "AWS::Glue::Job", "DependsOn": "Queue"}}
    stacks.create_stack(StackName=name, TemplateBody=body(resources), OnFailure="DO_NOTHING")
    assert state(stacks, name) == "CREATE_FAILED"
    assert queue_exists(localcloud, name)


def test_a_stack_exists_once(stacks, name):
    stacks.create_stack(StackName=name, TemplateBody=body({"Queue": queue(name)}))
    code, message = failure(stacks.create_stack, StackName=name, TemplateBody=body({"Queue": queue(name)}))
    assert (code, message) == ("AlreadyExistsException", f"Stack [{name}] already exists")


def test_a_bucket_that_is_there_already_is_not_taken_over(localcloud, stacks, name):
    localcloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}
    stacks.create_stack(StackName=name, TemplateBody=body({"Bucket": bucket}))
    assert reasons(stacks, name) == {"Bucket": f"{name} already exists"}
    localcloud.client("s3").head_bucket(Bucket=name)  # the rollback left it alone


def test_an_update_changes_what_differs_and_keeps_the_rest(localcloud, stacks, name):
    first = {"Kept": queue(f"{name}-kept"), "Changed": queue(f"{name}-changed"), "Gone": queue(f"{name}-gone")}
    stacks.create_stack(StackName=name, TemplateBody=body(first))
    second = {
        "Kept": first["Kept"],
        "Changed": queue(f"{name}-changed", DelaySeconds=9),
        "Added": queue(f"{name}-added"),
    }
    stacks.update_stack(StackName=name, TemplateBody=body(second))
    assert state(stacks, name) == "UPDATE_COMPLETE"
    summaries = stacks.list_stack_resources(StackName=name)["StackResourceSummaries"]
    assert {row["LogicalResourceId"]: row["ResourceStatus"] for row in summaries} == {
        "Kept": "CREATE_COMPLETE",
        "Changed": "UPDATE_COMPLETE",
        "Added": "CREATE_COMPLETE",
    }
    assert not queue_exists(localcloud, f"{name}-gone")
    assert queue_exists(localcloud, f"{name}-added")


def test_a_new_name_makes_a_new_resource_and_what_refers_to_it_follows(localcloud, stacks, name):
    def template(queue_name: str) -> str:
        policy = {
            "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": "Queue.Arn"}}],
            "Version": "2012-10-17",
        }
        role = {
            "RoleName": name,
            "AssumeRolePolicyDocument": TRUST,
            "Policies": [{"PolicyName": "send", "PolicyDocument": policy}],
        }
        return body({"Role": {"Type": "AWS::IAM::Role", "Properties": role}, "Queue": queue(queue_name)})

    stacks.create_stack(StackName=name, TemplateBody=template(f"{name}-a"), Capabilities=["CAPABILITY_NAMED_IAM"])
    stacks.update_stack(StackName=name, TemplateBody=template(f"{name}-b"), Capabilities=["CAPABILITY_NAMED_IAM"])
    assert state(stacks, name) == "UPDATE_COMPLETE"
    assert queue_exists(localcloud, f"{name}-b")
    assert not queue_exists(localcloud, f"{name}-a")
    found = localcloud.client("iam").get_role_policy(RoleName=name, PolicyName="send")["PolicyDocument"]
    assert found["Statement"][0]["Resource"].endswith(f":{name}-b")


def test_an_update_that_fails_leaves_the_stack_as_it_was(localcloud, stacks, name):
    first = {"Queue": queue(name, DelaySeconds=1)}
    stacks.create_stack(StackName=name, TemplateBody=body(first))
    second = {
        "Queue": queue(name, DelaySeconds=2),
        "New": queue(f"{name}-new"),
        "Glue": {"Type": "AWS::Glue::Job", "DependsOn": ["Queue", "New"]},
    }
    stacks.update_stack(StackName=name, TemplateBody=body(second))
    assert state(stacks, name) == "UPDATE_ROLLBACK_COMPLETE"
    url = localcloud.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    found = localcloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])
    assert found["Attributes"]["DelaySeconds"] == "1"
    assert not queue_exists(localcloud, f"{name}-new")
    assert (
        failure(stacks.update_stack, StackName=name, TemplateBody=body(first))[1] == "No updates are to be performed."
    )


def test_an_update_without_a_change_is_refused_as_on_aws(stacks, name):
    stacks.create_stack(StackName=name, TemplateBody=body({"Queue": queue(name)}))
    same = json.dumps(json.loads(body({"Queue": queue(name)})), indent=4)
    assert failure(stacks.update_stack, StackName=name, TemplateBody=same) == (
        "ValidationError",
        "No updates are to be performed.",
    )


def test_a_deleted_stack_is_found_by_its_id_only(localcloud, stacks, name):
    arn = stacks.create_stack(StackName=name, TemplateBody=body({"Queue": queue(name)}))["StackId"]
    stacks.delete_stack(StackName=name)
    assert not queue_exists(localcloud, name)
    assert state(stacks, arn) == "DELETE_COMPLETE"
    assert failure(stacks.describe_stacks, StackName=name) == (
        "ValidationError",
        f"Stack with id {name} does not exist",
    )


def test_what_should_be_kept_is_kept(localcloud, stacks, name):
    stacks.create_stack(StackName=name, TemplateBody=body({"Queue": queue(name) | {"DeletionPolicy": "Retain"}}))
    stacks.delete_stack(StackName=name)
    assert queue_exists(localcloud, name)


def test_a_bucket_with_data_stops_the_deletion_of_what_it_needs(localcloud, stacks, name):
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Fn::GetAtt": "Key.Arn"}}}
    bucket = {"BucketName": name, "BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]}}
    resources = {"Key": {"Type": "AWS::KMS::Key"}, "Bucket": {"Type": "AWS::S3::Bucket", "Properties": bucket}}
    stacks.create_stack(StackName=name, TemplateBody=body(resources))
    localcloud.client("s3").put_object(Bucket=name, Key="precious", Body=b"data")
    stacks.delete_stack(StackName=name)
    assert state(stacks, name) == "DELETE_FAILED"
    key = stacks.describe_stack_resource(StackName=name, LogicalResourceId="Key")["StackResourceDetail"]
    described = localcloud.client("kms").describe_key(KeyId=key["PhysicalResourceId"])["KeyMetadata"]
    assert described["KeyState"] == "Enabled"
    localcloud.client("s3").delete_object(Bucket=name, Key="precious")
    arn = stacks.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    stacks.delete_stack(StackName=name)
    assert state(stacks, arn) == "DELETE_COMPLETE"


CIRCLE = {
    "A": {"Type": QUEUE, "DependsOn": "B"},
    "B": {"Type": QUEUE, "DependsOn": "A"},
}
MISTAKES = {
    "Template format error: At least one Resources member must be defined.": {"Resources": {}},
    "Circular dependency between resources: [A, B]": {"Resources": CIRCLE},
    "Unresolved resource dependencies ['Nobody']": {"Resources": {"A": queue("x", DelaySeconds={"Ref": "Nobody"})}},
    "Every Resources object must contain a Type member": {"Resources": {"A": {}}},
    "Invalid template property or properties ['Transform']": {"Resources": CIRCLE, "Transform": "x"},
    "localcloud does not implement the function Fn::ImportValue": {
        "Resources": {"A": queue("x", DelaySeconds={"Fn::ImportValue": "y"})}
    },
    "Parameters: [Size] must have values": {"Resources": {"A": queue("x")}, "Parameters": {"Size": {"Type": "String"}}},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_wrong_template_creates_nothing(stacks, name, message):
    code, said = failure(stacks.create_stack, StackName=name, TemplateBody=json.dumps(MISTAKES[message]))
    assert code == "ValidationError"
    assert message in said
    assert failure(stacks.describe_stacks, StackName=name)[0] == "ValidationError"


def test_parameters_are_checked_before_anything_is_created(stacks, name):
    declared = {
        "Size": {"Type": "Number", "Default": 1},
        "Mode": {"Type": "String", "AllowedValues": ["a", "b"], "Default": "a"},
    }
    text = body({"Queue": queue(name)}, Parameters=declared)

    def say(key: str, value: str) -> str:
        given = [{"ParameterKey": key, "ParameterValue": value}]
        return failure(stacks.create_stack, StackName=name, TemplateBody=text, Parameters=given)[1]

    assert say("Mode", "c") == "Parameter 'Mode' must be one of [a, b]"
    assert say("Size", "big") == "Parameter 'Size' must be a number"
    assert say("Sise", "1") == "Parameters: [Sise] do not exist in the template"


def test_iam_resources_need_their_capability(stacks, name):
    role = {"RoleName": name, "AssumeRolePolicyDocument": TRUST}
    text = body({"Role": {"Type": "AWS::IAM::Role", "Properties": role}})
    assert failure(stacks.create_stack, StackName=name, TemplateBody=text) == (
        "InsufficientCapabilitiesException",
        "Requires capabilities : [CAPABILITY_NAMED_IAM]",
    )
    assert stacks.validate_template(TemplateBody=text)["Capabilities"] == ["CAPABILITY_NAMED_IAM"]


def test_an_option_that_would_be_dropped_is_refused_by_name(stacks, name):
    text = body({"Queue": queue(name)})
    message = failure(stacks.create_stack, StackName=name, TemplateBody=text, TimeoutInMinutes=5)[1]
    assert message == "localcloud does not support the option TimeoutInMinutes of CloudFormation"
    message = failure(stacks.delete_stack, StackName=name, RetainResources=["Queue"])[1]
    assert message == "localcloud does not support the option RetainResources of CloudFormation"


def test_an_operation_it_does_not_have_is_refused_by_name(stacks):
    assert failure(stacks.list_exports)[0] == "UnsupportedOperation"


def test_a_change_set_does_what_aws_cloudformation_deploy_needs(localcloud, stacks, name):
    def propose(resources: dict[str, Any], kind: str) -> dict[str, Any]:
        number = next(COUNT)
        stacks.create_change_set(
            StackName=name, ChangeSetName=f"change-{number}", ChangeSetType=kind, TemplateBody=body(resources)
        )
        return dict(stacks.describe_change_set(StackName=name, ChangeSetName=f"change-{number}"))

    first = propose({"Queue": queue(name)}, "CREATE")
    assert state(stacks, name) == "REVIEW_IN_PROGRESS"
    assert not queue_exists(localcloud, name)
    stacks.execute_change_set(ChangeSetName=first["ChangeSetId"])
    assert state(stacks, name) == "CREATE_COMPLETE"

    same = propose({"Queue": queue(name)}, "UPDATE")
    assert same["Status"] == "FAILED"
    assert same["StatusReason"].startswith("The submitted information didn't contain changes.")
    assert failure(stacks.execute_change_set, ChangeSetName=same["ChangeSetId"])[0] == "InvalidChangeSetStatus"

    arn = {"Fn::GetAtt": "Queue.Arn"}
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": arn}]}
    resources = {
        "Queue": queue(f"{name}-new"),
        "Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": policy},
        },
    }
    third = propose(resources, "UPDATE")
    changes = {change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"] for change in third["Changes"]}
    assert changes["Queue"]["Replacement"] == "True"
    assert changes["Policy"]["Action"] == "Add"
    stacks.execute_change_set(ChangeSetName=third["ChangeSetId"])
    assert state(stacks, name) == "UPDATE_COMPLETE"


def test_a_review_that_is_thrown_away_leaves_no_stack(stacks, name):
    made = stacks.create_change_set(
        StackName=name, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=body({"Queue": queue(name)})
    )
    stacks.delete_change_set(ChangeSetName=made["Id"])
    assert failure(stacks.describe_stacks, StackName=name)[0] == "ValidationError"
    assert failure(stacks.describe_change_set, ChangeSetName=made["Id"])[0] == "ChangeSetNotFound"


def test_a_stack_tells_its_template_and_parameters(stacks, name):
    text = body({"Queue": queue(name)}, Parameters={"Secret": {"Type": "String", "NoEcho": True}}, Description="About")
    given = [{"ParameterKey": "Secret", "ParameterValue": "s3cret"}]
    stacks.create_stack(StackName=name, TemplateBody=text, Parameters=given)
    assert stacks.get_template(StackName=name)["TemplateBody"] == json.loads(text)
    described = stacks.describe_stacks(StackName=name)["Stacks"][0]
    assert described["Parameters"] == [{"ParameterKey": "Secret", "ParameterValue": "****"}]
    summary = stacks.get_template_summary(StackName=name)
    assert (summary["Description"], summary["ResourceTypes"]) == ("About", [QUEUE])
    rows = stacks.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"]
    assert name in [row["StackName"] for row in rows]


def test_a_previous_value_is_kept_when_asked_for(stacks, name):
    text = body({"Queue": queue(name, DelaySeconds={"Ref": "Size"})}, Parameters={"Size": {"Type": "Number"}})
    stacks.create_stack(StackName=name, TemplateBody=text, Parameters=[{"ParameterKey": "Size", "ParameterValue": "3"}])
    stacks.update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "Size", "UsePreviousValue": True}],
        Tags=[{"Key": "team", "Value": "recsys"}],
    )
    described = stacks.describe_stacks(StackName=name)["Stacks"][0]
    assert described["Parameters"] == [{"ParameterKey": "Size", "ParameterValue": "3"}]
    assert described["Tags"] == [{"Key": "team", "Value": "recsys"}]
