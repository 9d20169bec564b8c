"""The deployed API over HTTP: API Gateway, the Lambda from its zip, the endpoint, the events in the bucket."""

import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gitops.data import answers, feedback
from tests.api_code.endpoint import serve
from tests.localcloud.sagemaker_lab import Lab, until

HTTP = urllib3.PoolManager(maxsize=4)


@pytest.fixture(scope="module")
def url(localcloud, deployed) -> str:
    """The API's address, with an endpoint of two variants behind it that captures what it answers."""
    capture = f"s3://{deployed}-123456789012-eu-west-1/capture"
    serve(Lab(localcloud), f"{deployed}-ncf-production", {"main": 3.0, "next": 1.0}, '["u1", "u2"]', capture)
    stack = localcloud.client("cloudformation").describe_stacks(StackName=f"{deployed}-serving")["Stacks"][0]
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}["ApiUrl"]


def ask(method: str, url: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """A signed request."""
    data = json.dumps(body).encode() if body else None
    request = AWSRequest(method, url, data=data)
    SigV4Auth(Credentials("caller", "secret"), "execute-api", "eu-west-1").add_auth(request)
    answer = HTTP.request(method, url, body=data, headers=dict(request.headers))
    return answer.status, json.loads(answer.data)


def test_a_recommendation_comes_from_the_users_own_variant(url):
    status, answer = ask("GET", f"{url}/recommendations/u%20%C3%A9%2F1?numResults=3&excludeItemIds=a,b")
    assert status == 200, answer
    assert answer["asked"]["userId"] == "u é/1"
    assert answer["asked"]["filter"] == {"excludeItemIds": ["a", "b"]}
    assert answer["requestId"] == answer["inferenceId"]
    found = {ask("GET", f"{url}/recommendations/u%20%C3%A9%2F1")[1]["variant"] for _ in range(5)}
    assert found == {answer["variant"]}


def test_an_event_lies_in_the_bucket_once(url, localcloud, deployed):
    event = {"eventId": "an event", "userId": "u", "itemId": "m", "eventType": "purchase", "recommendationId": "r1"}
    event["timestamp"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    assert [ask("POST", f"{url}/events", event)[0] for _ in range(2)] == [201, 200]
    assert ask("POST", f"{url}/events", event | {"itemId": "n"})[0] == 409
    key = f"events/date={event['timestamp'][:10]}/{hashlib.sha256(b'an event').hexdigest()}.json"
    stored = localcloud.client("s3").get_object(Bucket=f"{deployed}-123456789012-eu-west-1", Key=key)["Body"].read()
    assert json.loads(stored)["recommendationId"] == "r1"


def test_what_is_wrong_is_json_with_a_request_id(url):
    assert ask("GET", f"{url}/recommendations/nobody")[1]["error"]["field"] == "userId"
    status, answer = ask("POST", f"{url}/events", {"eventId": "x"})
    assert (status, answer["error"]["field"], bool(answer["error"]["requestId"])) == (422, "userId", True)
    assert ask("GET", f"{url}/recommendations") == (404, {"message": "Not Found"})
    assert HTTP.request("GET", f"{url}/recommendations/u").status == 403


def test_s17_the_logs_tell_of_requests_and_not_of_users(url, localcloud, deployed):
    status, answer = ask("GET", f"{url}/recommendations/somebody-private?excludeItemIds=something-private")
    logs, lines = localcloud.client("logs"), []
    for _ in range(100):
        groups = (f"/aws/lambda/{deployed}-api", f"/aws/lambda/{deployed}-api-access")
        events = [event for group in groups for event in logs.filter_log_events(logGroupName=group)["events"]]
        lines = [event["message"] for event in events]
        if sum(answer["requestId"] in line for line in lines) == 2:
            break
        time.sleep(0.05)
    assert (status, sum(answer["requestId"] in line for line in lines)) == (200, 2)
    assert "private" not in "\n".join(lines)


def test_the_nightly_function_starts_one_job_a_day_over_all_users(url, localcloud, deployed):
    event = json.dumps({"time": "2026-11-20T03:00:00Z"}).encode()
    functions = localcloud.client("lambda")
    first, second = (
        json.load(functions.invoke(FunctionName=f"{deployed}-precompute", Payload=event)["Payload"]) for _ in range(2)
    )
    assert (first["started"], first["users"]) == (True, 2)
    assert second == {"started": False, "job": first["job"], "reason": "it was started before"}
    job = until(lambda: finished(localcloud.client("sagemaker"), first["job"]))
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    folder = f"precompute/{deployed}-ncf-production/2026-11-20"
    stored = localcloud.client("s3").get_object(
        Bucket=f"{deployed}-123456789012-eu-west-1", Key=f"{folder}/users.jsonl.out"
    )
    answers = [json.loads(line) for line in stored["Body"].read().splitlines()]
    assert [answer["asked"]["userId"] for answer in answers] == ["u1", "u2"]


def finished(sagemaker: Any, name: str) -> dict[str, Any] | None:
    job = sagemaker.describe_transform_job(TransformJobName=name)
    return None if job["TransformJobStatus"] == "InProgress" else job


def test_an_event_meets_the_captured_answer_it_came_of(url, localcloud, deployed):
    variant = ask("GET", f"{url}/recommendations/buyer")[1]["variant"]
    event = {"eventId": "bought", "userId": "buyer", "itemId": "m2", "eventType": "purchase"}
    assert ask("POST", f"{url}/events", event | {"recommendationId": "r-buyer"})[0] == 201
    s3, day = localcloud.client("s3"), datetime.now(UTC).date()
    where = answers.captured(localcloud.client("sagemaker"), f"{deployed}-ncf-production")
    done = feedback.recommended(feedback.of_days(s3, f"{deployed}-123456789012-eu-west-1", day, day))

    def hit() -> list[dict[str, Any]]:
        report = answers.join(answers.read(s3, where, day, day), {"r-buyer": done["r-buyer"]})
        return [row for row in report.rows if row["hits"]]

    [row] = until(hit)
    assert (row["variant"], row["strategy"], row["hits"], row["position"]) == (variant, "personalized", 1, 2.0)
