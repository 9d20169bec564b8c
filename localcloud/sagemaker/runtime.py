"""InvokeEndpoint: the caller's bytes to the container, the container's bytes to the caller."""

from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from ..service import CloudError
from .endpoints import Endpoint
from .fleet import Fleet, Variant
from .server import Server
from .store import Row, table

if TYPE_CHECKING:
    from ..cloud import Cloud

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_HEADERS = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": ATTRIBUTES,
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "TargetVariant": "X-Amzn-SageMaker-Target-Variant",
}
_REFUSED = (
    "TargetModel",
    "TargetContainerHostname",
    "EnableExplanations",
    "InferenceComponentName",
    "SessionId",
    "PrefixAwareId",
)


def invoke_endpoint(cloud: "Cloud", request: Row) -> Row:
    """One answer of the container, or ModelError with what it said instead."""
    for member in _REFUSED:
        if request.get(member):
            message = f"localcloud does not implement sagemaker-runtime:InvokeEndpoint with {member}"
            raise CloudError("UnsupportedOperation", message)
    name = request["EndpointName"]
    fleet, variant, server = _acquire(cloud, name, request.get("TargetVariant"))
    headers = {header: request[member] for member, header in _HEADERS.items() if request.get(member)}
    try:
        response = server.call(_bytes(request["Body"]), headers)
        return _answer(cloud, name, variant.name, response)
    except HTTPError as error:
        message = f"Your invocation failed while waiting for a response from container primary ({error})"
        raise _model_error(cloud, name, 0, message) from error
    finally:
        fleet.release(server)


def _acquire(cloud: "Cloud", name: str, target: str | None) -> tuple[Fleet, Variant, Server]:
    endpoint: Endpoint | None = table(cloud, "endpoints").get(name)
    while endpoint and (fleet := endpoint.fleet):
        found = fleet.acquire(target)
        if found:
            return fleet, *found
        if fleet is endpoint.fleet:  # otherwise it has just been replaced by one that serves
            raise CloudError("ValidationError", f"Variant {target} of endpoint {name} not found.")
    raise CloudError("ValidationError", f"Endpoint {name} of account {cloud.account} not found.")


def _answer(cloud: "Cloud", name: str, variant: str, response: Any) -> Row:
    if not 200 <= response.status < 300:
        raise _model_error(cloud, name, response.status, response.data.decode(errors="replace"))
    answer = {
        "Body": response.data,
        "ContentType": response.headers.get("Content-Type", "application/octet-stream"),
        "InvokedProductionVariant": variant,
    }
    if ATTRIBUTES in response.headers:
        answer["CustomAttributes"] = response.headers[ATTRIBUTES]
    return answer


def _model_error(cloud: "Cloud", name: str, status: int, text: str) -> CloudError:
    side = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{name}"
    message = (
        f'Received {side} error ({status}) from primary with message "{text}". See '
        f"https://{cloud.region}.console.aws.amazon.com/cloudwatch/home?region={cloud.region}"
        f"#logEventViewer:group={group} in account {cloud.account} for more information."
    )
    log = f"arn:aws:logs:{cloud.region}:{cloud.account}:log-group:{group}"
    fields = {"OriginalStatusCode": status, "OriginalMessage": text, "LogStreamArn": log}
    return CloudError("ModelError", message, 424, fields)


def _bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else bytes(body.read())


OPERATIONS = {"InvokeEndpoint": invoke_endpoint}
