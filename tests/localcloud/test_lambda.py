"""Lambda through boto3: functions, invocations, logs, permissions."""

import base64
import hashlib
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/function"
HANDLER = """
import logging, os, subprocess, sys, time
import boto3

def handle(event, context):
    print("hello", event.get("name"))
    logging.getLogger().warning("careful")
    if event.get("raise"):
        raise ValueError(event["raise"])
    if event.get("exit"):
        os._exit(event["exit"])
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("object"):
        return object()
    return {
        "name": context.function_name, "left": context.get_remaining_time_in_millis(),
        "colour": os.environ.get("COLOUR"), "environment": sorted(os.environ),
        "account": boto3.client("sts").get_caller_identity()["Account"],
    }
"""


def packed(text: str = HANDLER, name: str = "app.py") -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, text)
    return data.getvalue()


@pytest.fixture
def functions(localcloud):
    return localcloud.client("lambda")


@pytest.fixture
def function(functions):
    """A function that creates a Lambda function and returns its name."""

    def create(code: bytes | None = None, **members) -> str:
        name = f"f-{uuid4().hex[:12]}"
        given = {"Runtime": "python3.12", "Role": ROLE, "Handler": "app.handle", "Timeout": 20}
        functions.create_function(FunctionName=name, Code={"ZipFile": code or packed()}, **(given | members))
        return name

    return create


def call(functions, name: str, event: dict | None = None, **members) -> tuple[dict, dict]:
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event or {}), **members)
    return answer, json.loads(answer["Payload"].read())


def messages(localcloud, name: str) -> list[str]:
    logs = localcloud.client("logs")
    return [event["message"] for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]]


def test_it_runs_the_real_zip_with_its_environment(functions, function, localcloud):
    name = function(Environment={"Variables": {"COLOUR": "green"}})
    answer, result = call(functions, name, {"name": "world"}, LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"], "FunctionError" in answer) == (200, "$LATEST", False)
    assert (result["name"], result["colour"], result["account"]) == (name, "green", "123456789012")
    assert 0 < result["left"] <= 20_000
    assert {"AWS_LAMBDA_FUNCTION_NAME", "AWS_REGION", "LAMBDA_TASK_ROOT", "_HANDLER"} <= set(result["environment"])
    assert "PYTEST_CURRENT_TEST" not in result["environment"]
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert tail.startswith("START RequestId: ")
    assert "hello world\n" in tail
    assert "[WARNING]\t" in tail
    assert "\nREPORT RequestId: " in tail
    assert "hello world" in messages(localcloud, name)


def test_an_exception_is_a_function_error_with_its_trace(functions, function, localcloud):
    name = function()
    answer, result = call(functions, name, {"raise": "boom"})
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert (result["errorType"], result["errorMessage"]) == ("ValueError", "boom")
    (frame,) = result["stackTrace"]
    assert "app.py" in frame
    assert "raise ValueError" in frame
    assert "[ERROR] ValueError: boom" in messages(localcloud, name)


@pytest.mark.parametrize(
    ("members", "event", "kind"),
    [
        ({"Timeout": 1}, {"sleep": 20}, "Sandbox.Timedout"),
        ({}, {"exit": 3}, "Runtime.ExitError"),
        ({}, {"object": True}, "Runtime.MarshalError"),
        ({"Handler": "nothing.handle"}, {}, "Runtime.ImportModuleError"),
        ({"Handler": "app.nothing"}, {}, "Runtime.HandlerNotFound"),
    ],
)
def test_what_goes_wrong_has_lambdas_name_for_it(functions, function, members, event, kind):
    answer, result = call(functions, function(**members), event)
    assert (answer["FunctionError"], result["errorType"]) == ("Unhandled", kind)


COUNTING = """
import os, threading, time
calls = []

def handle(event, context):
    calls.append(context.aws_request_id)
    print("call", len(calls))
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("raise"):
        raise ValueError("again")
    if event.get("exit"):
        os._exit(1)
    return [os.getpid(), len(calls), len(set(calls)), context.aws_request_id, context.log_stream_name]
"""


def test_a_process_stays_warm_for_the_next_call_also_after_an_error(functions, function, localcloud):
    name = function(packed(COUNTING))
    first, _, third = (call(functions, name, event)[1] for event in ({}, {"raise": True}, {}))
    assert (first[0], first[1], first[4]) == (third[0], third[1] - 2, third[4])
    assert third[2] == 3  # each with a request id of its own
    assert [line for line in messages(localcloud, name) if line.startswith("call")] == ["call 1", "call 2", "call 3"]


@pytest.mark.parametrize(("event", "seconds"), [({"exit": True}, 20), ({"sleep": 20}, 3)])
def test_a_process_that_ended_is_not_asked_again(functions, function, event, seconds):
    name = function(packed(COUNTING), Timeout=seconds)
    before = call(functions, name)[1]
    assert "FunctionError" in call(functions, name, event)[0]
    after = call(functions, name)[1]
    assert (after[0] != before[0], after[1]) == (True, 1)


def test_a_changed_setting_begins_with_a_new_process(functions, function):
    name = function(packed(COUNTING))
    before = call(functions, name)[1]
    functions.update_function_configuration(FunctionName=name, Description="changed")
    assert call(functions, name)[1][0] != before[0]


def test_only_so_many_processes_wait_and_the_one_that_waited_longest_goes(functions, function):
    first, *others = (function(packed(COUNTING)) for _ in range(13))
    before = call(functions, first)[1]
    for name in others:
        call(functions, name)
    assert call(functions, first)[1][0] != before[0]
    assert call(functions, others[-1])[1][1] == 2


def test_calls_at_the_same_time_have_a_process_each(functions, function):
    name = function(packed(COUNTING))
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: call(functions, name, {"sleep": 1})[1], range(3)))
    assert len({answer[0] for answer in answers}) == 3
    assert {answer[1] for answer in answers} == {1}


def test_a_time_out_says_after_how_long(functions, function):
    started = time.monotonic()
    _, result = call(functions, function(Timeout=1), {"sleep": 20})
    assert result["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert time.monotonic() - started < 10


def test_an_event_is_run_later_and_tried_again_when_it_fails(functions, function, localcloud):
    name = function()
    assert functions.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
    answer = functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"raise": "x"}))
    assert answer["StatusCode"] == 202
    for _ in range(150):
        time.sleep(0.1)
        try:
            if messages(localcloud, name).count("[ERROR] ValueError: x") == 3:
                return
        except ClientError:
            continue  # the log group does not exist yet
    raise AssertionError(messages(localcloud, name))


def test_code_comes_from_bytes_or_from_s3(functions, function, localcloud):
    bucket, other = f"b-{uuid4().hex[:12]}", packed("def handle(event, context): return 2")
    s3 = localcloud.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=bucket, Key="code.zip", Body=other)
    name = function(packed("def handle(event, context): return 1"))
    assert call(functions, name)[1] == 1
    changed = functions.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="code.zip")
    assert changed["CodeSha256"] == base64.b64encode(hashlib.sha256(other).digest()).decode()
    assert call(functions, name)[1] == 2
    with pytest.raises(ClientError, match="NoSuchKey"):
        functions.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="missing.zip")
    with pytest.raises(ClientError, match="Could not unzip"):
        functions.update_function_code(FunctionName=name, ZipFile=b"no zip")
    assert call(functions, name)[1] == 2


def test_functions_are_described_changed_and_deleted(functions, function):
    name = function(Tags={"a": "b"})
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    before = functions.get_function(FunctionName=name)
    assert before["Tags"] == {"a": "b"}
    arn = before["Configuration"]["FunctionArn"]
    functions.update_function_configuration(FunctionName=name, MemorySize=256, Description="changed")
    found = functions.get_function_configuration(FunctionName=arn)
    assert (found["MemorySize"], found["Description"], found["Handler"]) == (256, "changed", "app.handle")
    assert found["RevisionId"] != before["Configuration"]["RevisionId"]
    functions.tag_resource(Resource=arn, Tags={"c": "d"})
    functions.untag_resource(Resource=arn, TagKeys=["a"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"c": "d"}
    pages = functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    assert name in [one["FunctionName"] for page in pages for one in page["Functions"]]
    functions.delete_function(FunctionName=name)
    with pytest.raises(ClientError, match=f"Function not found: {arn}") as gone:
        functions.invoke(FunctionName=name)
    assert gone.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_permissions_are_kept_as_a_policy(functions, function):
    name = function()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        functions.get_policy(FunctionName=name)
    given = {
        "Action": "lambda:InvokeFunction",
        "Principal": "events.amazonaws.com",
        "SourceArn": "arn:aws:events:eu-west-1:123456789012:rule/x",
    }
    functions.add_permission(FunctionName=name, StatementId="one", **given)
    with pytest.raises(ClientError, match="ResourceConflictException"):
        functions.add_permission(FunctionName=name, StatementId="one", **given)
    (statement,) = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": given["SourceArn"]}}
    functions.remove_permission(FunctionName=name, StatementId="one")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        functions.get_policy(FunctionName=name)


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"Runtime": "nodejs22.x"}, "nodejs22.x"),
        ({"Layers": ["arn:aws:lambda:eu-west-1:123456789012:layer:x:1"]}, "Layers"),
        ({"Publish": True}, "Publish"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "AWS_REGION"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(function, members, named):
    with pytest.raises(ClientError, match=named) as refusal:
        function(**members)
    assert refusal.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_operations_it_does_not_have_are_refused_by_name(functions, function):
    with pytest.raises(ClientError, match="PublishVersion"):
        functions.publish_version(FunctionName=function())


def test_a_payload_that_is_not_json_is_refused(functions, function):
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        functions.invoke(FunctionName=function(), Payload=b"{")
