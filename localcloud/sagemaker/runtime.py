"""InvokeEndpoint: the caller's bytes to the container, the container's bytes to the caller."""

import time
from typing import TYPE_CHECKING, Any

from ..service import CloudError
from .endpoints import Endpoint
from .exchange import Call, Exchange, Reply, perform
from .fleet import TARGET_VARIANT, Fleet, Variant
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
    "TargetVariant": TARGET_VARIANT,
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
}
_REFUSED = (
    "TargetContainerHostname",
    "EnableExplanations",
    "InferenceComponentName",
    "SessionId",
    "PrefixAwareId",
)


def invoke_endpoint(cloud: "Cloud", request: Row) -> Row:
    """One answer of the container, or ModelError with what it said instead."""
    arrived = time.perf_counter()
    for member in _REFUSED:
        if request.get(member):
            message = f"localcloud does not implement sagemaker-runtime:InvokeEndpoint with {member}"
            raise CloudError("UnsupportedOperation", message)
    name = request["EndpointName"]
    fleet, variant, server = _acquire(cloud, name, request.get("TargetVariant"))
    try:
        _check_target(name, server, request.get("TargetModel"))
        exchange = perform(variant, server, _call(request, fleet.captures()))
        fleet.observe(exchange, time.perf_counter() - arrived - exchange.reply.seconds)
    finally:
        fleet.release(server)
    if not exchange.reply.succeeded:
        raise _model_error(cloud, name, exchange.reply)
    return _answer(exchange)


def _acquire(cloud: "Cloud", name: str, target: str | None) -> tuple[Fleet, Variant, Server]:
    endpoint: Endpoint | None = table(cloud, "endpoints").get(name)
    while endpoint and (fleet := endpoint.drawn()):
        found = fleet.acquire(target)
        if found:
            return fleet, *found
        if endpoint.answers_by(fleet):  # otherwise it has just been replaced by one that serves
            what = (
                f"Variant {target} of endpoint {name} not found." if target else f"No variant of {name} has a weight."
            )
            raise CloudError("ValidationError", what)
    raise CloudError("ValidationError", f"Endpoint {name} of account {cloud.account} not found.")


def _check_target(name: str, server: Server, target: str | None) -> None:
    if target and server.models is None:
        message = f"Endpoint {name} is not a multi-model endpoint and does not support target model header."
        raise CloudError("ValidationError", message)
    if not target and server.models is not None:
        raise CloudError("ValidationError", f"Endpoint {name} is a multi-model endpoint and requires TargetModel.")


def _call(request: Row, captured: bool) -> Call:
    headers = {header: request[member] for member, header in _HEADERS.items() if request.get(member)}
    inference, target = request.get("InferenceId", ""), request.get("TargetModel", "")
    return Call(_bytes(request["Body"]), headers, inference, target, captured)


def _answer(exchange: Exchange) -> Row:
    headers = exchange.reply.headers
    answer = {
        "Body": exchange.reply.body,
        "ContentType": headers.get("Content-Type", "application/octet-stream"),
        "InvokedProductionVariant": exchange.variant,
    }
    if ATTRIBUTES in headers:
        answer["CustomAttributes"] = headers[ATTRIBUTES]
    return answer


def _model_error(cloud: "Cloud", name: str, reply: Reply) -> CloudError:
    status, text = reply.status, reply.body.decode(errors="replace")
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
