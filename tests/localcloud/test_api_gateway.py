"""HTTP APIs through boto3 and plain HTTP: what a function is asked, what a client is answered."""

import base64
import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localcloud.api_gateway import access_log, matching, payload
from localcloud.api_gateway.throttle import Bucket

ECHO = """
import json, time

def handle(event, context):
    said = event.get("queryStringParameters", {})
    if "sleep" in said:
        time.sleep(float(said["sleep"]))
    if "raise" in said:
        raise ValueError("no")
    if "answer" in said:
        return json.loads(said["answer"])
    return {"statusCode": 200, "body": json.dumps(event), "headers": {"content-type": "application/json"}}
"""
ROLE = "arn:aws:iam::123456789012:role/function"


@dataclass(frozen=True)
class Served:
    """An API of its own, and a client that knows its address."""

    client: Any
    id: str
    url: str
    http: Any

    def ask(self, method: str, path: str, **more: Any) -> Any:
        return self.http.request(method, self.url + path, retries=False, **more)

    def event(self, path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
        answer = self.ask(method, path, **more)
        assert answer.status == 200, answer.data
        return json.loads(answer.data)

    def sign(self, method: str, path: str) -> dict[str, str]:
        request = AWSRequest(method, self.url + path)
        SigV4Auth(Credentials("someone", "secret"), "execute-api", "eu-west-1").add_auth(request)
        return dict(request.headers)


@pytest.fixture(scope="module")
def function(localcloud) -> str:
    name, data = f"f-{uuid4().hex[:12]}", io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("app.py", ECHO)
    made = localcloud.client("lambda").create_function(
        FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="app.handle", Code={"ZipFile": data.getvalue()},
        Timeout=20,
    )  # fmt: skip
    return made["FunctionArn"]


def serve(localcloud, function: str, routes: dict[str, str], **stage: Any) -> Served:
    client = localcloud.client("apigatewayv2")
    api = client.create_api(Name=f"api-{uuid4().hex[:8]}", ProtocolType="HTTP")
    made = client.create_integration(
        ApiId=api["ApiId"], IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0",
        TimeoutInMillis=4000,
    )  # fmt: skip
    for key, kind in routes.items():
        client.create_route(
            ApiId=api["ApiId"], RouteKey=key, Target=f"integrations/{made['IntegrationId']}", AuthorizationType=kind
        )
    client.create_stage(ApiId=api["ApiId"], **{"StageName": "$default", "AutoDeploy": True} | stage)
    return Served(client, api["ApiId"], api["ApiEndpoint"], urllib3.PoolManager(maxsize=10))


@pytest.fixture(scope="module")
def api(localcloud, function) -> Served:
    routes = ["GET /users/{userId}", "GET /users/me", "ANY /files/{path+}", "POST /events", "GET /echo"]
    return serve(localcloud, function, dict.fromkeys(routes, "NONE") | {"GET /signed": "AWS_IAM"})


def test_a_function_gets_the_event_of_payload_format_2(api):
    event = api.event(
        "/users/u%2F%C3%A9?b=2&a=1&b=3&empty=",
        headers={"X-Thing": "One", "Cookie": "c=1; d=2", "User-Agent": "tests"},
    )
    assert (event["version"], event["routeKey"]) == ("2.0", "GET /users/{userId}")
    assert event["pathParameters"] == {"userId": "u/é"}
    assert (event["rawPath"], event["rawQueryString"]) == ("/users/u/é", "b=2&a=1&b=3&empty=")
    assert event["queryStringParameters"] == {"a": "1", "b": "2,3", "empty": ""}
    assert (event["cookies"], event["headers"]["x-thing"]) == (["c=1", "d=2"], "One")
    assert {name for name in event["headers"] if name != name.lower()} == set()
    context = event["requestContext"]
    assert (context["apiId"], context["stage"], context["http"]["method"]) == (api.id, "$default", "GET")
    assert (context["http"]["sourceIp"], context["http"]["userAgent"]) == ("127.0.0.1", "tests")
    assert abs(context["timeEpoch"] / 1000 - time.time()) < 60
    assert "body" not in event
    assert event["isBase64Encoded"] is False


def test_the_request_id_of_the_event_is_the_one_the_client_sees(api):
    answer = api.ask("GET", "/echo")
    assert json.loads(answer.data)["requestContext"]["requestId"] == answer.headers["apigw-requestid"]


def test_a_body_of_text_stays_text_and_another_is_base64(api):
    event = api.event("/events", "POST", body=b'{"a": 1}', headers={"Content-Type": "application/json"})
    assert (event["body"], event["isBase64Encoded"]) == ('{"a": 1}', False)
    event = api.event("/events", "POST", body=b"\xff\x00", headers={"Content-Type": "image/png"})
    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"\xff\x00", True)


@pytest.mark.parametrize(
    ("answer", "status", "kind", "body"),
    [
        ({"statusCode": 201, "body": "made"}, 201, "text/plain;charset=UTF-8", b"made"),
        ({"statusCode": 204}, 204, "text/plain;charset=UTF-8", b""),
        ({"statusCode": 200, "headers": {"Content-Type": "a/b"}, "body": "/wA=", "isBase64Encoded": True}, 200, "a/b",
         b"\xff\x00"),
        ({"no": "status"}, 200, "application/json", b'{"no": "status"}'),
        ("text", 200, "application/json", b"text"),
    ],
)  # fmt: skip
def test_a_result_becomes_an_answer(api, answer, status, kind, body):
    found = api.ask("GET", "/echo", fields={"answer": json.dumps(answer)})
    assert (found.status, found.headers["content-type"], found.data) == (status, kind, body)


def test_cookies_are_set_one_by_one(api):
    found = api.ask("GET", "/echo", fields={"answer": json.dumps({"statusCode": 200, "cookies": ["a=1", "b=2"]})})
    assert found.headers.getlist("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    "fields",
    [
        {"raise": "1"},
        {"answer": '{"statusCode": "many"}'},
        {"answer": '{"statusCode": 200, "body": {}}'},
        {"answer": '{"statusCode": 200, "body": "?", "isBase64Encoded": true}'},
    ],
)
def test_a_function_that_fails_is_an_internal_server_error(api, fields):
    found = api.ask("GET", "/echo", fields=fields)
    assert (found.status, json.loads(found.data)) == (500, {"message": "Internal Server Error"})


def test_a_function_that_takes_too_long_is_service_unavailable(api):
    found = api.ask("GET", "/echo?sleep=6")
    assert (found.status, json.loads(found.data)) == (503, {"message": "Service Unavailable"})


@pytest.mark.parametrize("path", ["/nothing", "/users", "/users/a/b", "/events", "/files/", "/Echo"])
def test_what_has_no_route_is_not_found(api, path):
    found = api.ask("GET", path)
    assert (found.status, json.loads(found.data)) == (404, {"message": "Not Found"})


def test_an_unsigned_request_to_a_route_with_iam_is_forbidden(api):
    found = api.ask("GET", "/signed")
    assert (found.status, json.loads(found.data)) == (403, {"message": "Forbidden"})
    event = api.event("/signed", headers=api.sign("GET", "/signed"))
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == "someone"


def test_calls_at_the_same_time_are_answered_at_the_same_time(api):
    with ThreadPoolExecutor(3) as pool:
        events = list(pool.map(lambda number: api.event(f"/users/u{number}?sleep=0.5"), range(3)))
    assert [event["pathParameters"]["userId"] for event in events] == ["u0", "u1", "u2"]


def test_a_stage_with_a_name_is_the_first_part_of_the_path(localcloud, function):
    named = serve(localcloud, function, {"GET /echo": "NONE"}, StageName="v1", StageVariables={"colour": "green"})
    event = named.event("/v1/echo")
    assert (event["requestContext"]["stage"], event["stageVariables"]) == ("v1", {"colour": "green"})
    assert named.ask("GET", "/echo").status == 404


def test_more_requests_than_a_stage_allows_are_too_many(localcloud, function):
    limits = {"ThrottlingBurstLimit": 2, "ThrottlingRateLimit": 0.001}
    slow = serve(localcloud, function, {"GET /echo": "NONE"}, DefaultRouteSettings=limits)
    found = [slow.ask("GET", "/echo") for _ in range(3)]
    assert [answer.status for answer in found] == [200, 200, 429]
    assert json.loads(found[-1].data) == {"message": "Too Many Requests"}


def test_a_bucket_fills_again_with_time():
    times = iter([0.0, 0.0, 0.0, 0.4, 0.6, 10.0, 10.0, 10.0])
    bucket = Bucket(2, 2, lambda: next(times))
    assert [bucket.take() for _ in range(7)] == [True, True, False, True, True, True, False]


def test_the_access_log_has_what_its_format_asks_for(localcloud, function):
    logs, group = localcloud.client("logs"), f"/aws/lambda/access-{uuid4().hex[:8]}"
    logs.create_log_group(logGroupName=group)
    settings = {
        "DestinationArn": f"arn:aws:logs:eu-west-1:123456789012:log-group:{group}",
        "Format": '{"id":"$context.requestId","route":"$context.routeKey","status":$context.status}',
    }
    logged = serve(localcloud, function, {"GET /users/{userId}": "NONE"}, AccessLogSettings=settings)
    answer = logged.ask("GET", "/users/u1")
    for _ in range(100):
        if lines := logs.filter_log_events(logGroupName=group)["events"]:
            break
        time.sleep(0.05)
    assert json.loads(lines[0]["message"]) == {
        "id": answer.headers["apigw-requestid"], "route": "GET /users/{userId}", "status": 200,
    }  # fmt: skip


def test_parts_are_shown_changed_and_deleted(api):
    client, made = api.client, api.client.create_api(Name="short", ProtocolType="HTTP")
    identity = made["ApiId"]
    assert made["ApiId"] in [each["ApiId"] for each in client.get_apis()["Items"]]
    assert client.update_api(ApiId=identity, Name="longer")["Name"] == client.get_api(ApiId=identity)["Name"]
    client.delete_api(ApiId=identity)
    with pytest.raises(ClientError, match=f"Invalid API identifier specified 123456789012:{identity}"):
        client.get_api(ApiId=identity)
    [route, *_] = client.get_routes(ApiId=api.id)["Items"]
    with pytest.raises(ClientError, match="used by a Route"):
        client.delete_integration(ApiId=api.id, IntegrationId=route["Target"].removeprefix("integrations/"))


@pytest.mark.parametrize(
    ("operation", "members", "named"),
    [
        ("create_api", {"ProtocolType": "WEBSOCKET", "Name": "w"}, "ProtocolType WEBSOCKET"),
        ("create_api", {"ProtocolType": "HTTP", "Name": "w", "CorsConfiguration": {"MaxAge": 1}}, "CorsConfiguration"),
        ("create_integration", {"IntegrationType": "HTTP_PROXY", "PayloadFormatVersion": "1.0"}, "HTTP_PROXY"),
        ("create_route", {"RouteKey": "GET /x", "AuthorizationType": "JWT"}, "AuthorizationType JWT"),
        ("create_stage", {"StageName": "v2", "AutoDeploy": False}, "AutoDeploy False"),
        ("create_authorizer", {"AuthorizerType": "JWT", "Name": "j", "IdentitySource": ["x"]}, "CreateAuthorizer"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(api, operation, members, named):
    given = members if operation == "create_api" else {"ApiId": api.id, **members}
    with pytest.raises(ClientError, match=named) as refusal:
        getattr(api.client, operation)(**given)
    assert refusal.value.response["Error"]["Code"] == "UnsupportedOperation"


def test_a_variable_of_the_access_log_that_would_stay_empty_is_refused():
    with pytest.raises(Exception, match=r"authorizer\.claims"):
        access_log.check_format("$context.authorizer.claims")


ROUTES = ["$default", "ANY /{path+}", "GET /a/{x}", "GET /a/b", "ANY /a/b", "GET /a/{x}/{rest+}"]


@pytest.mark.parametrize(
    ("method", "path", "key", "values"),
    [
        ("GET", "/a/b", "GET /a/b", {}),
        ("PUT", "/a/b", "ANY /a/b", {}),
        ("GET", "/a/c", "GET /a/{x}", {"x": "c"}),
        ("GET", "/a/c/d/e%20f", "GET /a/{x}/{rest+}", {"x": "c", "rest": "d/e f"}),
        ("PUT", "/a/c", "ANY /{path+}", {"path": "a/c"}),
        ("GET", "/", "$default", {}),
    ],
)
def test_the_most_special_route_wins(method, path, key, values):
    assert matching.match(ROUTES, method, path) == (key, values)


@pytest.mark.parametrize("key", ["GET", "GET x", "FETCH /x", "GET /{a", "GET /{a+}/b", "GET /x{a}"])
def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(ValueError, match=r"GET|FETCH|a"):
        matching.parse_key(key)


def test_a_status_that_is_none_is_refused():
    with pytest.raises(ValueError, match="700"):
        payload.answer(b'{"statusCode": 700}')
