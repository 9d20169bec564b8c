"""The front as boto3 and plain HTTP see it: what is answered, what is refused and how."""

import io
import json
import socket
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.models import service_model
from localcloud.services import MOTO_SERVICES, SERVICES

SIGNED = "AWS4-HMAC-SHA256 Credential=k/20261101/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def error_of(call: Any, *arguments: Any, **given: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call(*arguments, **given)
    return error.value.response


def bucket(localcloud: Any) -> str:
    name = f"bucket-{uuid.uuid4().hex[:8]}"
    localcloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


@pytest.mark.parametrize(
    ("service", "operation", "given"),
    [
        ("dynamodb", "ListTables", {}),  # json
        ("ec2", "DescribeInstances", {}),  # ec2
        ("rds", "DescribeDBInstances", {}),  # query
        ("route53", "ListHostedZones", {}),  # rest-xml
        ("eks", "ListClusters", {}),  # rest-json
        ("stepfunctions", "ListStateMachines", {}),  # signed under another name
        (
            "sagemaker-featurestore-runtime",
            "GetRecord",
            {"FeatureGroupName": "a", "RecordIdentifierValueAsString": "b"},
        ),
        ("sagemaker", "ListNotebookInstances", {}),  # of an owned service
        ("codebuild", "ListFleets", {}),
        ("lambda", "ListLayers", {}),
        ("events", "ListApiDestinations", {}),
        ("cloudformation", "ListStackSets", {}),
        ("s3", "GetBucketRequestPayment", {"Bucket": "abc"}),  # of a service that moto answers
        ("logs", "ListIntegrations", {}),
        ("iam", "ListOrganizationsFeatures", {}),
    ],
)
def test_what_is_not_done_is_refused_by_name(
    localcloud: Any, service: str, operation: str, given: dict[str, Any]
) -> None:
    client = localcloud.client(service)
    method = {name: python for python, name in client.meta.method_to_api_mapping.items()}[operation]
    answer = error_of(getattr(client, method), **given)
    assert answer["Error"]["Code"] == "UnsupportedOperation"
    assert answer["Error"]["Message"] == f"localcloud does not implement {service}:{operation}"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_what_moto_takes_for_another_request_is_refused_and_changes_nothing(localcloud: Any) -> None:
    s3, name = localcloud.client("s3"), bucket(localcloud)
    refused = error_of(s3.delete_bucket_inventory_configuration, Bucket=name, Id="daily")
    assert refused["Error"]["Message"] == "localcloud does not implement s3:DeleteBucketInventoryConfiguration"
    s3.put_object(Bucket=name, Key="key", Body=b"content")
    key = {"SSEKMS": {"KMSKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"}}
    refused = error_of(s3.update_object_encryption, Bucket=name, Key="key", ObjectEncryption=key)
    assert refused["Error"]["Message"] == "localcloud does not implement s3:UpdateObjectEncryption"
    assert s3.get_object(Bucket=name, Key="key")["Body"].read() == b"content"


def test_a_subscription_that_nothing_would_be_delivered_to_is_refused(localcloud: Any) -> None:
    sns, function = localcloud.client("sns"), "arn:aws:lambda:eu-west-1:123456789012:function:f"
    topic = sns.create_topic(Name=f"topic-{uuid.uuid4().hex[:8]}")["TopicArn"]
    refused = error_of(sns.subscribe, TopicArn=topic, Protocol="lambda", Endpoint=function)
    assert refused["Error"]["Message"] == "localcloud does not implement sns:Subscribe"
    assert sns.publish(TopicArn=topic, Message="nobody listens")["MessageId"]


def test_every_listed_operation_is_one_of_the_services_own() -> None:
    for name, service in SERVICES.items():
        model = service_model(name)
        assert model is not None
        assert set(service.operations) <= set(model.operation_names), name


def test_the_document_lists_exactly_what_is_done() -> None:
    text = (Path(__file__).parent.parent.parent / "docs" / "localcloud.md").read_text()
    for name, service in SERVICES.items():
        row = f"| {name} | {', '.join(f'`{operation}`' for operation in sorted(service.operations))} |"
        assert row in text, f"docs/localcloud.md: the row of {name} is not up to date; it would be\n{row}"


@pytest.mark.parametrize("service", MOTO_SERVICES)
def test_every_allowed_service_answers(localcloud: Any, service: str) -> None:
    calls = {
        "cloudwatch": "list_metrics",
        "iam": "list_roles",
        "kms": "list_keys",
        "logs": "describe_log_groups",
        "s3": "list_buckets",
        "secretsmanager": "list_secrets",
        "sns": "list_topics",
        "sqs": "list_queues",
        "sts": "get_caller_identity",
    }
    assert getattr(localcloud.client(service), calls[service])()["ResponseMetadata"]["HTTPStatusCode"] == 200


def send(localcloud: Any, scope: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
    """What a client that validates nothing would send."""
    request = urllib.request.Request(
        localcloud.endpoint, body, {"Authorization": SIGNED.format(scope), **headers}, method="POST"
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("given", "member"),
    [
        ({}, "Name"),
        ({"Name": 5, "EventPattern": "{}"}, "Name"),
        ({"Name": "a" * 65, "EventPattern": "{}"}, "Name"),
        ({"Name": "not a name", "EventPattern": "{}"}, "Name"),
        ({"Name": "a", "EventPattern": "{}", "State": "MAYBE"}, "State"),
        ({"Name": "a", "EventPattern": "{}", "Tags": [{"Key": "k"}]}, "Tags[0]"),
        ({"Name": "a", "EventPattern": "{}", "Tags": "none"}, "Tags"),
    ],
)
def test_wrong_input_names_the_member(localcloud: Any, given: dict[str, Any], member: str) -> None:
    headers = {"X-Amz-Target": "AWSEvents.PutRule", "Content-Type": "application/x-amz-json-1.1"}
    status, answer = send(localcloud, "events", headers, json.dumps(given).encode())
    assert (status, answer["__type"]) == (400, "ValidationException")
    assert member in answer["message"]


def test_a_body_that_is_not_json_is_a_serialization_error(localcloud: Any) -> None:
    headers = {"X-Amz-Target": "AWSEvents.PutRule", "Content-Type": "application/x-amz-json-1.1"}
    status, answer = send(localcloud, "events", headers, b"{")
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_an_unsigned_request_is_refused(localcloud: Any) -> None:
    headers = {"Authorization": "", "X-Amz-Target": "AWSEvents.ListRules"}
    status, answer = send(localcloud, "events", headers, b"{}")
    assert (status, answer["__type"]) == (403, "MissingAuthenticationToken")


def test_a_presigned_address_needs_no_header(localcloud: Any) -> None:
    s3, name = localcloud.client("s3"), bucket(localcloud)
    s3.put_object(Bucket=name, Key="key", Body=b"content")
    address = s3.generate_presigned_url("get_object", {"Bucket": name, "Key": "key"})
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"content"


def test_motos_own_paths_are_closed(localcloud: Any) -> None:
    name = bucket(localcloud)
    for path in ("/moto-api/reset", "/moto-api/state-manager/set-transition"):
        request = urllib.request.Request(
            localcloud.endpoint + path, b"", {"Authorization": SIGNED.format("s3")}, method="POST"
        )
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request)
        error.value.close()
    assert name in [each["Name"] for each in localcloud.client("s3").list_buckets()["Buckets"]]


def test_of_many_conditional_writes_exactly_one_wins(localcloud: Any) -> None:
    name, s3 = bucket(localcloud), localcloud.client("s3")

    lost: set[str] = set()

    def write(number: int, **condition: str) -> bool:
        try:
            s3.put_object(Bucket=name, Key="lease", Body=str(number).encode(), **condition)
        except s3.exceptions.ClientError as error:
            lost.add(error.response["Error"]["Code"])
            return False
        return True

    with ThreadPoolExecutor(24) as pool:
        assert sum(pool.map(lambda number: write(number, IfNoneMatch="*"), range(24))) == 1
        tag = s3.head_object(Bucket=name, Key="lease")["ETag"]
        assert sum(pool.map(lambda number: write(number + 100, IfMatch=tag), range(24))) == 1
    assert lost == {"PreconditionFailed"}


def test_large_objects_come_back_whole(localcloud: Any) -> None:
    name, s3, data = bucket(localcloud), localcloud.client("s3"), bytes(range(256)) * 80_000
    s3.upload_fileobj(io.BytesIO(data), name, "large")
    assert s3.get_object(Bucket=name, Key="large")["Body"].read() == data
    assert s3.get_object(Bucket=name, Key="large", Range="bytes=5-9")["Body"].read() == data[5:10]


def test_a_connection_is_kept_and_never_waits_for_an_acknowledgement(localcloud: Any) -> None:
    """Forty requests on one socket: without TCP_NODELAY each would take 40 ms."""
    host, port = localcloud.endpoint.removeprefix("http://").split(":")
    request = (
        f"POST / HTTP/1.1\r\nHost: {host}\r\nAuthorization: {SIGNED.format('events')}\r\n"
        "X-Amz-Target: AWSEvents.ListEventBuses\r\nContent-Length: 2\r\n\r\n{}"
    ).encode()
    with socket.create_connection((host, int(port))) as connection, connection.makefile("rb") as answers:
        started = time.monotonic()
        for _ in range(40):
            connection.sendall(request)
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            size = 0
            while (line := answers.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            assert b"EventBuses" in answers.read(size)
        assert time.monotonic() - started < 40 * 0.04


def test_many_clients_are_served_at_once(localcloud: Any) -> None:
    """A long poll of one does not hold up the others."""
    sqs = localcloud.client("sqs")
    url = sqs.create_queue(QueueName=f"queue-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    polls = [threading.Thread(target=lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)) for _ in range(8)]
    for poll in polls:
        poll.start()
    name, s3 = bucket(localcloud), localcloud.client("s3")

    def round_trip(number: int) -> bytes:
        s3.put_object(Bucket=name, Key=str(number), Body=str(number).encode())
        return s3.get_object(Bucket=name, Key=str(number))["Body"].read()

    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(round_trip, range(100))) == [str(number).encode() for number in range(100)]
    assert all(poll.is_alive() for poll in polls)
    while any(poll.is_alive() for poll in polls):
        sqs.send_message(QueueUrl=url, MessageBody="go home")
        time.sleep(0.05)
