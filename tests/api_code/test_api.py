"""The API's function, asked with events of payload format 2.0: real S3, a real endpoint, faults by a botocore hook."""

import base64
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from api_code import feedback, recommendations
from api_code.api import respond
from api_code.clients import Outside
from api_code.errors import ApiError
from api_code.variants import choose
from tests.api_code.endpoint import serve
from tests.localcloud.sagemaker_lab import Lab

NOW = datetime(2026, 11, 20, 17, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(localcloud) -> Lab:
    return Lab(localcloud)


@pytest.fixture(scope="module")
def endpoint(lab) -> str:
    return serve(lab, lab.name("api"), {"a": 1.0, "b": 1.0})


@pytest.fixture
def world(lab, endpoint) -> Outside:
    return Outside(lab.client("sagemaker-runtime"), lab.sagemaker, lab.s3, endpoint, lab.bucket, lambda: NOW)


def ask(world: Outside, user: str, **query: str) -> tuple[int, dict[str, Any]]:
    event = {
        "routeKey": "GET /recommendations/{userId}",
        "requestContext": {"requestId": "q-1"},
        "pathParameters": {"userId": user},
        **({"queryStringParameters": query} if query else {}),
    }
    found = respond(event, world)
    assert found["headers"]["content-type"] == "application/json"
    return found["statusCode"], json.loads(found["body"])


def tell(world: Outside, body: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    text = body if isinstance(body, str) else json.dumps(body)
    event = {"routeKey": "POST /events", "requestContext": {"requestId": "q-2"}, "body": text, **more}
    found = respond(event, world)
    return found["statusCode"], json.loads(found["body"])


def test_the_answer_is_the_endpoints_with_the_variant_that_gave_it(world):
    status, answer = ask(world, "u_1", numResults="7", excludeItemIds="m_1,,m_2", excludeSeen="false")
    assert (status, answer["requestId"], answer["inferenceId"]) == (200, "q-1", "q-1")
    assert answer["asked"] == {
        "operation": "getRecommendations", "userId": "u_1", "numResults": 7,
        "filter": {"excludeItemIds": ["m_1", "m_2"], "excludeSeen": False},
    }  # fmt: skip
    assert answer["variant"] == choose("u_1", {"a": 1.0, "b": 1.0})


def test_a_user_has_the_same_variant_every_time(world):
    found = {user: {ask(world, user)[1]["variant"] for _ in range(4)} for user in ("u_1", "u_2", "u_3", "u_4", "u_5")}
    assert all(len(variants) == 1 for variants in found.values())
    assert set.union(*found.values()) == {"a", "b"}


class Recorder:
    """A runtime that remembers what it was asked, and asks on."""

    def __init__(self, runtime: Any) -> None:
        self.runtime = runtime
        self.targets: list[str | None] = []

    def invoke_endpoint(self, **given: Any) -> Any:
        self.targets.append(given.get("TargetVariant"))
        return self.runtime.invoke_endpoint(**given)


def test_with_one_variant_none_is_asked_for(world, lab):
    recorder = Recorder(world.runtime)
    only = serve(lab, lab.name("one"), {"main": 1.0})
    assert ask(replace(world, endpoint=only, runtime=recorder), "u_1")[1]["variant"] == "main"
    assert recorder.targets == [None]


def test_a_variant_that_went_away_within_the_minute_is_no_error(world, lab):
    class Stale:
        def describe_endpoint(self, EndpointName):  # noqa: N803 - boto3's name
            return {"ProductionVariants": [{"VariantName": name, "CurrentWeight": 1.0} for name in ("gone", "went")]}

    recorder = Recorder(world.runtime)
    only = serve(lab, lab.name("stale"), {"main": 1.0})
    status, answer = ask(replace(world, endpoint=only, runtime=recorder, sagemaker=Stale()), "u_1")
    assert (status, answer["variant"]) == (200, "main")
    assert recorder.targets[1:] == [None]
    assert recorder.targets[0] in {"gone", "went"}


def test_the_models_own_error_is_passed_on_with_our_request_id(world):
    assert ask(world, "nobody") == (
        422, {"error": {"code": "ValidationError", "message": "no", "field": "userId", "requestId": "q-1"}},
    )  # fmt: skip
    assert ask(world, "nobody", categories="a,b")[1]["error"]["field"] == "categories"
    status, answer = ask(world, "plain")
    assert (status, answer["error"]["code"], answer["error"]["requestId"]) == (500, "ModelError", "q-1")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"numResults": "many"}, "numResults"), ({"numResults": "-1"}, "numResults"),
        ({"numResults": "1" * 30}, "numResults"),
        ({"excludeSeen": "yes"}, "excludeSeen"), ({"nothing": "1"}, "nothing"),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_read_is_named(world, query, field):
    status, answer = ask(world, "u_1", **query)
    assert (status, answer["error"]["field"], answer["error"]["requestId"]) == (422, field, "q-1")


def test_an_endpoint_that_is_not_there_is_unavailable(world):
    status, answer = ask(replace(world, endpoint="nowhere"), "u_1")
    assert (status, answer["error"]["code"]) == (503, "Unavailable")


def failing(world: Outside, operation: str, status: int, code: str) -> Outside:
    """The same world, in which AWS answers an operation with this error."""
    service = "sagemaker-runtime" if operation == "InvokeEndpoint" else "sagemaker"
    client = boto3.client(
        service, region_name="eu-west-1", endpoint_url=world.sagemaker.meta.endpoint_url, aws_access_key_id="x",
        aws_secret_access_key="x", config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip

    def refuse(request, **_):
        body = json.dumps({"__type": code, "message": "no"}).encode()
        headers = {"x-amzn-errortype": code, "content-type": "application/json"}
        return AWSResponse(request.url, status, headers, Raw(body))

    client.meta.events.register(f"before-send.{service}.{operation}", refuse)
    return replace(world, **{"runtime" if operation == "InvokeEndpoint" else "sagemaker": client})


class Raw:
    """The body of an answer that never was on the wire."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: Any) -> Any:
        yield self.body

    def read(self, *_: Any) -> bytes:
        return self.body


@pytest.mark.parametrize(
    ("code", "status", "answered"),
    [
        ("ThrottlingException", 400, 429),
        ("ServiceUnavailable", 503, 503),
        ("ModelNotReadyException", 429, 503),
        ("AccessDeniedException", 403, 503),
    ],
)
def test_f12_what_aws_answers_instead_has_its_own_status(world, code, status, answered):
    found, answer = ask(failing(world, "InvokeEndpoint", status, code), "u_1")
    assert (found, answer["error"]["requestId"]) == (answered, "q-1")


def test_an_endpoint_that_takes_too_long_is_a_504(world):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and says nothing
        client = boto3.client(
            "sagemaker-runtime", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x",
            endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=0.2),
        )  # fmt: skip
        status, answer = ask(replace(world, runtime=client), "u_1")
    assert (status, answer["error"]["code"], answer["error"]["requestId"]) == (504, "Timeout", "q-1")


def test_a_fault_of_ours_has_a_request_id_and_says_nothing_else(world, capsys):
    status, answer = ask(replace(world, runtime=None, sagemaker=None), "u_secret")
    assert (status, answer["error"]["code"], answer["error"]["requestId"]) == (500, "InternalError", "q-1")
    logged = json.loads(capsys.readouterr().out)
    assert (logged["type"], logged["requestId"], bool(logged["frames"])) == ("AttributeError", "q-1", True)


EVENT = {"eventId": "e", "userId": "u_secret", "itemId": "m_secret", "eventType": "purchase"}


def test_s17_no_id_of_a_user_or_an_item_is_logged(world, capsys):
    ask(world, "u_secret", excludeItemIds="m_secret")
    ask(world, "nobody")
    tell(world, EVENT | {"eventId": "s17"})
    tell(world, EVENT | {"eventId": "s17", "itemId": "other_secret"})
    tell(world, "u_secret")
    logged = capsys.readouterr().out
    assert [json.loads(line)["status"] for line in logged.splitlines()] == [200, 422, 201, 409, 400]
    assert "secret" not in logged
    assert "nobody" not in logged


def stored(world: Outside, day: str) -> list[dict[str, Any]]:
    found = world.s3.list_objects_v2(Bucket=world.bucket, Prefix=f"events/date={day}/").get("Contents", [])
    return [json.loads(world.s3.get_object(Bucket=world.bucket, Key=each["Key"])["Body"].read()) for each in found]


def test_an_event_is_stored_under_its_own_day_in_utc(world):
    event = EVENT | {"eventId": "day", "timestamp": "2026-11-19T00:30:00+02:00", "userId": 17, "recommendationId": "r1"}
    assert tell(world, event) == (201, {"eventId": "day", "duplicate": False, "requestId": "q-2"})
    assert stored(world, "2026-11-18") == [
        {**event, "userId": "17", "timestamp": "2026-11-18T22:30:00.000000Z", "received": "2026-11-20T17:04:05.000000Z"}
    ]


def test_f01_the_same_event_again_is_a_duplicate_and_another_of_its_id_a_conflict(world):
    event = EVENT | {"eventId": "twice"}
    later = replace(world, clock=lambda: NOW + timedelta(minutes=3))
    answers = [tell(world, event), tell(later, event), tell(later, event | {"itemId": "m_2"})]
    assert [status for status, _ in answers] == [201, 200, 409]
    assert answers[1][1] == {"eventId": "twice", "duplicate": True, "requestId": "q-2"}
    assert answers[2][1]["error"]["field"] == "eventId"


def test_f01_of_the_same_event_at_the_same_time_one_is_new(world):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: tell(world, EVENT | {"eventId": "at once"}), range(8)))
    assert sorted(status for status, _ in answers) == [200] * 7 + [201]


def test_a_body_may_come_in_base64(world):
    text = base64.b64encode(json.dumps(EVENT | {"eventId": "b64"}).encode()).decode()
    assert tell(world, text, isBase64Encoded=True)[0] == 201


WRONG = [
    ({"eventId": None}, "eventId"), ({"eventId": ""}, "eventId"), ({"userId": "x" * 257}, "userId"),
    ({"userId": True}, "userId"), ({"userId": 1.5}, "userId"), ({"itemId": ["m"]}, "itemId"),
    ({"itemId": "a\nb"}, "itemId"), ({"itemId": "\ud800"}, "itemId"), ({"recommendationId": {}}, "recommendationId"),
    ({"eventType": "Purchase"}, "eventType"), ({"eventType": "a b"}, "eventType"), ({"eventType": "é"}, "eventType"),
    ({"timestamp": "2026-11-20"}, "timestamp"), ({"timestamp": "2026-11-20T10:00:00"}, "timestamp"),
    ({"timestamp": 1}, "timestamp"), ({"timestamp": "2026-13-20T10:00:00Z"}, "timestamp"),
    ({"timestamp": "2026-11-20T17:10:00Z"}, "timestamp"), ({"timestamp": "2026-11-17T23:59:59Z"}, "timestamp"),
    ({"colour": "green"}, "colour"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "field"), WRONG)
def test_f20_an_event_with_a_wrong_field_is_refused_by_its_name(world, change, field):
    status, answer = tell(world, EVENT | {"eventId": "wrong"} | change)
    assert (status, answer["error"]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("body", "status"),
    [("", 400), ("{", 400), ("[]", 400), ("null", 400), ("[" * 9000, 400), (json.dumps({"x": "y" * 10_000}), 413)],
)
def test_f20_what_is_no_event_is_refused(world, body, status):
    assert tell(world, body)[0] == status


def test_f59_a_body_that_is_not_utf8_is_refused(world):
    assert tell(world, base64.b64encode(b"\xff\xfe").decode(), isBase64Encoded=True)[0] == 400
    assert tell(world, "not base64", isBase64Encoded=True)[0] == 400


# JSON may hold half of a surrogate pair, and no UTF-8 can
ODD = st.sampled_from(["\ud800", "a\udfff", "\udc00b", "\x00", "a\n", "", "x" * 257])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.sampled_from([{}, EVENT]),
    st.dictionaries(st.sampled_from([*EVENT, "timestamp", "recommendationId", "x"]), ODD | JSON, max_size=3),
)
def test_f59_whatever_a_body_holds_is_taken_or_refused_by_name(well, change):
    body, refusal = {**well, **change}, None
    try:
        found = feedback.checked(body, NOW)
        assert set(found) <= set(feedback.FIELDS)
        json.dumps(found, ensure_ascii=False).encode()
    except ApiError as error:
        refusal = error
    assert refusal is None or (refusal.status, bool(refusal.field)) == (422, True)


@settings(deadline=None)
@given(st.text(), st.dictionaries(st.sampled_from([*recommendations.QUERY, "x"]), st.text()))
def test_f59_whatever_a_query_holds_is_asked_or_refused_by_name(user, query):
    refusal = None
    try:
        assert json.loads(json.dumps(recommendations.request(user, query)))["userId"] == user
    except ApiError as error:
        refusal = error
    assert refusal is None or (refusal.status, refusal.field in {*recommendations.QUERY, "x"}) == (422, True)


def test_an_event_without_a_time_is_of_the_moment_it_came(world):
    assert tell(world, EVENT | {"eventId": "untimed"})[0] == 201
    [found] = [each for each in stored(world, "2026-11-20") if each["eventId"] == "untimed"]
    assert ("timestamp" in found, found["received"][:19]) == (False, "2026-11-20T17:04:05")


def test_f12_an_event_that_cannot_be_stored_is_to_be_sent_again(world):
    status, answer = tell(replace(world, bucket=f"none-{time.time_ns()}"), EVENT | {"eventId": "lost"})
    assert (status, answer["error"]["requestId"]) == (503, "q-2")
