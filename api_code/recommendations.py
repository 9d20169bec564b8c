"""GET /recommendations/{userId}: the endpoint's answer, from the variant that is this user's."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from .clients import Outside
from .errors import ApiError, invalid
from .variants import Weights, choose

JSON = "application/json"
THROTTLED = {"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
WEIGHTS = Weights()


def get(event: Mapping[str, Any], request_id: str, outside: Outside, weights: Weights = WEIGHTS) -> dict[str, Any]:
    """Status 200 and the endpoint's answer. Raises ApiError."""
    user = event.get("pathParameters", {}).get("userId", "")
    body = request(user, event.get("queryStringParameters") or {})
    answer, variant = ask(body, request_id, outside, weights)
    return {"statusCode": 200, "body": {**answer, "variant": variant, "requestId": request_id}}


def request(user: str, query: Mapping[str, str]) -> dict[str, Any]:
    """The endpoint's request; what a value may be is the endpoint's to say, its type is ours. Raises ApiError."""
    body: dict[str, Any] = {"operation": "getRecommendations", "userId": user}
    for name, text in query.items():
        if name not in QUERY:
            raise invalid(name[:64], f"unknown parameter; known are {', '.join(QUERY)}")
        section, read = QUERY[name]
        (body.setdefault(section, {}) if section else body)[name] = read(name, text)
    return body


def whole(name: str, text: str) -> int:
    """A whole number."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid(name, f"{name} is not a whole number")
    return int(text)


def flag(name: str, text: str) -> bool:
    """true or false."""
    if text not in ("true", "false"):
        raise invalid(name, f"{name} is not true or false")
    return text == "true"


def words(_: str, text: str) -> list[str]:
    """Ids between commas; API Gateway joins a repeated parameter by commas too."""
    return [word for word in text.split(",") if word]


# parameter -> (the section of the endpoint's request it belongs to, how it is read)
QUERY: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "numResults": ("", whole),
    "excludeSeen": ("filter", flag),
    "excludeItemIds": ("filter", words),
    "includeItemIds": ("filter", words),
    "categories": ("filter", words),
    "excludeCategories": ("filter", words),
    "availableOnly": ("filter", flag),
}


def ask(body: dict[str, Any], request_id: str, outside: Outside, weights: Weights) -> tuple[dict[str, Any], str]:
    """(answer, the variant that gave it). InferenceId joins what is captured of it. Raises ApiError."""
    try:
        target = choose(body["userId"], weights.of(outside.sagemaker, outside.endpoint))
        try:
            return invoke(body, request_id, outside, target)
        except ClientError as error:
            if not (target and code(error) == "ValidationError"):
                raise
            weights.forget(outside.endpoint)  # the variant went away within the minute: whichever is there answers
            return invoke(body, request_id, outside, None)
    except ClientError as error:
        raise refused(error) from error
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise ApiError(504, "Timeout", "the endpoint did not answer in time") from error
    except EndpointConnectionError as error:
        raise ApiError(503, "Unavailable", "the endpoint cannot be reached") from error


def invoke(body: dict[str, Any], request_id: str, outside: Outside, target: str | None) -> tuple[dict[str, Any], str]:
    """One InvokeEndpoint."""
    answer = outside.runtime.invoke_endpoint(
        EndpointName=outside.endpoint,
        ContentType=JSON,
        Accept=JSON,
        InferenceId=request_id,
        Body=json.dumps(body).encode(),
        **({"TargetVariant": target} if target else {}),
    )
    return json.loads(answer["Body"].read()), str(answer["InvokedProductionVariant"])


def code(error: ClientError) -> str:
    """AWS's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def refused(error: ClientError) -> ApiError:
    """What SageMaker answered instead, as our error."""
    if code(error) == "ModelError":
        return of_model(error.response)
    if code(error) in THROTTLED:
        return ApiError(429, "TooManyRequests", "too many requests; try again later")
    # no such endpoint, one that is being made, a fault of AWS: not the caller's, and it may pass
    return ApiError(503, "Unavailable", f"the endpoint does not serve now ({code(error)})")


def of_model(response: Mapping[str, Any]) -> ApiError:
    """The container's own error: its status and what its body says."""
    status, text = int(response.get("OriginalStatusCode") or 0), response.get("OriginalMessage", "")
    if not status:
        return ApiError(504, "Timeout", "the model did not answer in time")
    try:
        said = json.loads(text)["error"]
        field = said.get("field")  # the parameter has the name without its section
        return ApiError(status, str(said["code"]), str(said["message"]), field and field.removeprefix("filter."))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ApiError(status, "ModelError", "the model answered with an error")
