"""EventBridge as boto3 sees it: patterns, buses, rules, and delivery to real queues, log groups and buses."""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

EVENT = {
    "version": "0",
    "id": "1",
    "account": "123456789012",
    "source": "gitops.commit",
    "time": "2026-11-01T00:00:00Z",
    "region": "eu-west-1",
    "resources": ["arn:aws:s3:::one", "arn:aws:s3:::two"],
    "detail-type": "Commit",
    "detail": {
        "branch": "main",
        "sequence": 7,
        "ratio": 0.5,
        "ready": True,
        "nothing": None,
        "address": "10.0.0.9",
        "changedFiles": ["docs/a.md", "params/ncf.yml"],
        "steps": [{"name": "Train", "state": "done"}, {"name": "Gate", "state": "open"}],
    },
}


def wait_for(found: Callable[[], Any], seconds: float = 5) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def names(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def queue(localcloud: Any) -> tuple[str, str]:
    name = names("queue")
    url = localcloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:eu-west-1:123456789012:{name}"


def receive(localcloud: Any, url: str) -> dict[str, Any]:
    sqs = localcloud.client("sqs")
    return wait_for(lambda: sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages"))[0]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


@pytest.mark.parametrize(
    "detail",
    [
        {"branch": ["main", "other"]},
        {"branch": [{"prefix": "ma"}]},
        {"branch": [{"prefix": {"equals-ignore-case": "MA"}}]},
        {"branch": [{"suffix": "in"}]},
        {"branch": [{"suffix": {"equals-ignore-case": "IN"}}]},
        {"branch": [{"equals-ignore-case": "MAIN"}]},
        {"branch": [{"anything-but": "develop"}]},
        {"branch": [{"anything-but": ["develop", "test"]}]},
        {"branch": [{"anything-but": {"prefix": "dev"}}]},
        {"branch": [{"anything-but": {"suffix": ["x", "y"]}}]},
        {"branch": [{"anything-but": {"wildcard": "*x*"}}]},
        {"branch": [{"anything-but": {"equals-ignore-case": ["DEVELOP"]}}]},
        {"sequence": [7]},
        {"sequence": [7.0]},
        {"sequence": [{"numeric": [">", 0, "<=", 7]}]},
        {"ratio": [{"numeric": ["=", 0.5]}]},
        {"ready": [True]},
        {"nothing": [None]},
        {"address": [{"cidr": "10.0.0.0/24"}]},
        {"changedFiles": [{"wildcard": "params/*"}]},
        {"changedFiles": [{"wildcard": "*/ncf.*"}]},
        {"changedFiles": [{"anything-but": "docs/a.md"}]},
        {"absent": [{"exists": False}]},
        {"absent": {"deeper": [{"exists": False}]}},
        {"branch": [{"exists": True}]},
        {"steps": {"name": ["Gate"], "state": ["open"]}},
        {"$or": [{"branch": ["develop"]}, {"sequence": [{"numeric": [">", 5]}]}]},
    ],
)
def test_a_pattern_matches_the_event(localcloud: Any, detail: dict[str, Any]) -> None:
    answer = localcloud.client("events").test_event_pattern(
        EventPattern=json.dumps({"source": ["gitops.commit"], "detail": detail}), Event=json.dumps(EVENT)
    )
    assert answer["Result"] is True


@pytest.mark.parametrize(
    "detail",
    [
        {"branch": ["develop"]},
        {"branch": [{"prefix": "MA"}]},
        {"branch": [{"anything-but": ["develop", "main"]}]},
        {"branch": [{"anything-but": {"prefix": ["m"]}}]},
        {"branch": [{"wildcard": "m?in"}]},
        {"sequence": ["7"]},
        {"sequence": [{"numeric": [">", 7]}]},
        {"sequence": [{"prefix": "7"}]},
        {"ready": [1]},
        {"nothing": [""]},
        {"address": [{"cidr": "10.0.1.0/24"}]},
        {"changedFiles": [{"wildcard": "deploy/*"}]},
        {"changedFiles": [{"anything-but": {"wildcard": ["docs/*", "params/*"]}}]},
        {"branch": [{"exists": False}]},
        {"steps": [{"exists": True}]},
        {"absent": [{"anything-but": "x"}]},
        {"steps": {"name": ["Train"], "state": ["open"]}},
        {"$or": [{"branch": ["develop"]}, {"sequence": [8]}]},
    ],
)
def test_a_pattern_does_not_match_the_event(localcloud: Any, detail: dict[str, Any]) -> None:
    answer = localcloud.client("events").test_event_pattern(
        EventPattern=json.dumps({"detail": detail}), Event=json.dumps(EVENT)
    )
    assert answer["Result"] is False


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "not an object"),
        ("{}", "Empty objects"),
        ('{"source": "gitops"}', '"source" must be an object or an array'),
        ('{"source": []}', "Empty arrays"),
        ('{"source": [{"starts": "a"}]}', "unrecognized match type starts"),
        ('{"detail": {"n": [{"numeric": ["<"]}]}}', '"detail.n": bad value for numeric'),
        ('{"detail": {"n": [{"numeric": [">", 5, "<", 1]}]}}', "bad value for numeric"),
        ('{"detail": {"n": [{"wildcard": "a**"}]}}', "bad value for wildcard"),
        ('{"detail": {"n": [{"exists": "yes"}]}}', "bad value for exists"),
        ('{"$or": [{"source": ["a"]}]}', "at least two"),
    ],
)
def test_a_wrong_pattern_is_refused_with_its_reason(localcloud: Any, pattern: str, reason: str) -> None:
    with pytest.raises(ClientError, match="Event pattern is not valid") as error:
        localcloud.client("events").put_rule(Name=names("rule"), EventPattern=pattern)
    assert code_of(error) == "InvalidEventPatternException"
    assert reason in str(error.value)


def bus_with_rule(localcloud: Any, pattern: dict[str, Any], target: dict[str, Any]) -> str:
    events, bus = localcloud.client("events"), names("bus")
    events.create_event_bus(Name=bus)
    events.put_rule(Name="rule", EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule="rule", EventBusName=bus, Targets=[{"Id": "target", **target}])
    return bus


def put(localcloud: Any, bus: str, detail: dict[str, Any]) -> dict[str, Any]:
    entry = {"Source": "gitops.commit", "DetailType": "Commit", "Detail": json.dumps(detail), "EventBusName": bus}
    return localcloud.client("events").put_events(Entries=[entry])["Entries"][0]


def test_an_event_reaches_the_queue_of_the_rule_it_matches(localcloud: Any) -> None:
    url, arn = queue(localcloud)
    bus = bus_with_rule(localcloud, {"detail": {"branch": ["main"]}}, {"Arn": arn})
    put(localcloud, bus, {"branch": "other"})
    accepted = put(localcloud, bus, {"branch": "main"})
    event = json.loads(receive(localcloud, url)["Body"])
    assert event["id"] == accepted["EventId"]
    assert event["detail"] == {"branch": "main"}
    assert event["account"] == "123456789012"


def test_a_transformer_fills_quoted_and_bare_placeholders(localcloud: Any) -> None:
    url, arn = queue(localcloud)
    template = '{"text": "<sha> of <rule>", "list": <files>, "rule": "<aws.events.rule-name>", "missing": "<none>"}'
    paths = {"sha": "$.detail.sha", "files": "$.detail.files", "rule": "$.detail-type", "none": "$.detail.none"}
    transformer = {"InputPathsMap": paths, "InputTemplate": template}
    bus = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": arn, "InputTransformer": transformer})
    put(localcloud, bus, {"sha": 'a"b', "files": ["x", "y"]})
    assert json.loads(receive(localcloud, url)["Body"]) == {
        "text": 'a"b of Commit',
        "list": ["x", "y"],
        "rule": "rule",
        "missing": "",
    }


def test_input_path_sends_a_part_and_input_a_constant(localcloud: Any) -> None:
    url, arn = queue(localcloud)
    part = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": arn, "InputPath": "$.detail.files[1]"})
    put(localcloud, part, {"files": ["a", "b"]})
    assert receive(localcloud, url)["Body"] == '"b"'
    other_url, other = queue(localcloud)
    constant = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": other, "Input": "hello"})
    put(localcloud, constant, {})
    assert receive(localcloud, other_url)["Body"] == "hello"


def test_what_cannot_be_delivered_lies_in_the_dead_letter_queue(localcloud: Any) -> None:
    url, arn = queue(localcloud)
    lost = "arn:aws:sqs:eu-west-1:123456789012:no-such-queue"
    bus = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": lost, "DeadLetterConfig": {"Arn": arn}})
    put(localcloud, bus, {"branch": "main"})
    message = receive(localcloud, url)
    assert json.loads(message["Body"])["detail"] == {"branch": "main"}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["TARGET_ARN"] == lost
    assert attributes["RULE_ARN"].endswith(f":rule/{bus}/rule")
    assert "NonExistentQueue" in attributes["ERROR_CODE"]
    assert attributes["ERROR_MESSAGE"]


def test_an_event_is_forwarded_to_another_bus_once(localcloud: Any) -> None:
    url, arn = queue(localcloud)
    last = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": arn})
    account = "arn:aws:events:eu-west-1:123456789012:event-bus"
    middle = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": f"{account}/{last}"})
    first = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": f"{account}/{middle}"})
    accepted = put(localcloud, middle, {"from": "middle"})
    assert json.loads(receive(localcloud, url)["Body"])["id"] == accepted["EventId"]
    put(localcloud, first, {"from": "first"})
    time.sleep(0.3)
    assert "Messages" not in localcloud.client("sqs").receive_message(QueueUrl=url)


def test_deliveries_are_told_in_cloudwatch_logs(localcloud: Any) -> None:
    logs, group = localcloud.client("logs"), f"/test/{names('group')}"
    logs.create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:eu-west-1:123456789012:log-group:{group}"
    bus = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": arn})
    accepted = put(localcloud, bus, {"branch": "main"})
    found = wait_for(lambda: logs.filter_log_events(logGroupName=group)["events"])
    assert json.loads(found[0]["message"])["id"] == accepted["EventId"]

    def outcomes() -> set[str]:
        told = logs.get_log_events(logGroupName="/localcloud/events", logStreamName=bus)["events"]
        return {json.loads(line["message"])["outcome"] for line in told}

    assert wait_for(lambda: len(outcomes()) == 2)
    assert outcomes() == {"matched rule", f"rule rule delivered to {arn}"}


def test_a_disabled_rule_delivers_nothing_until_enabled(localcloud: Any) -> None:
    url, arn = queue(localcloud)
    events = localcloud.client("events")
    bus = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": arn})
    events.disable_rule(Name="rule", EventBusName=bus)
    put(localcloud, bus, {"when": "off"})
    time.sleep(0.2)
    events.enable_rule(Name="rule", EventBusName=bus)
    put(localcloud, bus, {"when": "on"})
    assert json.loads(receive(localcloud, url)["Body"])["detail"] == {"when": "on"}


def test_each_wrong_entry_is_refused_alone(localcloud: Any) -> None:
    answer = localcloud.client("events").put_events(
        Entries=[
            {"Source": "aws.sagemaker", "DetailType": "x", "Detail": "{}"},
            {"Source": "mine", "DetailType": "x", "Detail": "not json"},
            {"Source": "mine", "Detail": "{}"},
            {"Source": "mine", "DetailType": "x", "Detail": "{}"},
        ]
    )
    assert answer["FailedEntryCount"] == 3
    codes = [entry.get("ErrorCode") for entry in answer["Entries"]]
    assert codes == ["NotAuthorizedForSourceException", "MalformedDetail", "InvalidArgument", None]


def test_rules_and_buses_are_listed_tagged_and_deleted_in_order(localcloud: Any) -> None:
    events = localcloud.client("events")
    _, arn = queue(localcloud)
    bus = bus_with_rule(localcloud, {"source": ["a"]}, {"Arn": arn})
    rule = events.describe_rule(Name="rule", EventBusName=bus)
    events.tag_resource(ResourceARN=rule["Arn"], Tags=[{"Key": "k", "Value": "v"}])
    assert events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"] == [{"Key": "k", "Value": "v"}]
    assert [r["Name"] for r in events.list_rules(EventBusName=bus)["Rules"]] == ["rule"]
    assert events.list_targets_by_rule(Rule="rule", EventBusName=bus)["Targets"] == [{"Id": "target", "Arn": arn}]
    assert events.list_rule_names_by_target(TargetArn=arn, EventBusName=bus)["RuleNames"] == ["rule"]
    with pytest.raises(ClientError, match="has rules"):
        events.delete_event_bus(Name=bus)
    with pytest.raises(ClientError, match="has targets"):
        events.delete_rule(Name="rule", EventBusName=bus)
    events.remove_targets(Rule="rule", EventBusName=bus, Ids=["target"])
    events.delete_rule(Name="rule", EventBusName=bus)
    events.delete_event_bus(Name=bus)
    with pytest.raises(ClientError) as error:
        events.describe_event_bus(Name=bus)
    assert code_of(error) == "ResourceNotFoundException"


def test_what_a_bus_cannot_keep_is_refused_by_name(localcloud: Any) -> None:
    events = localcloud.client("events")
    with pytest.raises(ClientError, match="events:CreateEventBus with KmsKeyIdentifier"):
        events.create_event_bus(Name="encrypted", KmsKeyIdentifier="alias/key")
    condition = {"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": "o-1"}
    with pytest.raises(ClientError, match="events:PutPermission with Condition"):
        events.put_permission(Action="events:PutEvents", Principal="*", StatementId="s", Condition=condition)


def test_a_target_that_would_never_be_reached_is_refused(localcloud: Any) -> None:
    events, name = localcloud.client("events"), names("rule")
    events.put_rule(Name=name, EventPattern='{"source": ["a"]}')
    with pytest.raises(ClientError) as error:
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": "arn:aws:kinesis:eu-west-1:123456789012:stream/x"}])
    assert code_of(error) == "UnsupportedOperation"
    with pytest.raises(ClientError, match="RoleArn is required"):
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": "arn:aws:codebuild:eu-west-1:1:project/x"}])


def test_an_event_starts_a_build_with_what_the_transformer_says(localcloud: Any) -> None:
    codebuild, project = localcloud.client("codebuild"), names("project")
    codebuild.create_project(
        name=project,
        source={"type": "NO_SOURCE", "buildspec": '{version: "0.2", phases: {build: {commands: ["echo ok"]}}}'},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole="arn:aws:iam::123456789012:role/any",
    )
    target = {
        "Arn": f"arn:aws:codebuild:eu-west-1:123456789012:project/{project}",
        "RoleArn": "arn:aws:iam::123456789012:role/any",
        "InputTransformer": {
            "InputPathsMap": {"sha": "$.detail.sha"},
            "InputTemplate": '{"environmentVariablesOverride": [{"name": "COMMIT", "value": "<sha>"}]}',
        },
    }
    bus = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, target)
    put(localcloud, bus, {"sha": "abc"})
    (build,) = wait_for(lambda: codebuild.list_builds_for_project(projectName=project)["ids"])
    variables = codebuild.batch_get_builds(ids=[build])["builds"][0]["environment"]["environmentVariables"]
    assert {"name": "COMMIT", "value": "abc", "type": "PLAINTEXT"} in variables


def test_an_event_invokes_a_function(localcloud: Any) -> None:
    url, _ = queue(localcloud)
    source = f"""
import boto3, json
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl={url!r}, MessageBody=json.dumps(event["detail"]))
"""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", source)
    function = localcloud.client("lambda").create_function(
        FunctionName=names("function"),
        Runtime="python3.12",
        Role="arn:aws:iam::123456789012:role/any",
        Handler="index.handler",
        Code={"ZipFile": package.getvalue()},
    )
    bus = bus_with_rule(localcloud, {"source": ["gitops.commit"]}, {"Arn": function["FunctionArn"]})
    put(localcloud, bus, {"sha": "abc"})
    assert json.loads(receive(localcloud, url)["Body"]) == {"sha": "abc"}
