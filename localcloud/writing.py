"""From a service's answer or error to an HTTP response in the protocol of the request."""

import base64
import json
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import Shape
from moto.core.model import OperationModel
from moto.core.serialize import QuerySerializer, SerializationContext
from werkzeug.wrappers import Request, Response

from .service import CloudError


def write(operation: OperationModel, result: dict[str, Any]) -> Response:
    """The success response of an operation. Members the model does not know are left out."""
    protocol = operation.service_model.resolved_protocol
    if protocol == "query":
        return _query(operation, result)
    shape = operation.output_shape
    if protocol == "json":
        version = operation.service_model.metadata.get("jsonVersion", "1.1")
        body = json.dumps(write_json(shape, result) if shape else {})
        return _response(body, 200, f"application/x-amz-json-{version}")
    return _rest(operation, shape, result)


def write_error(error: CloudError, protocol: str) -> Response:
    """The error response that a client of `protocol` understands as `error.code`."""
    if protocol in ("query", "rest-xml", "ec2"):
        return _response(_xml_error(error, protocol), error.status, "text/xml")
    if protocol == "smithy-rpc-v2-cbor":
        response = _response(_cbor({"__type": error.code, "message": error.message}), error.status, "application/cbor")
        response.headers["smithy-protocol"] = "rpc-v2-cbor"
        return response
    body = json.dumps({"__type": error.code, "message": error.message, "Message": error.message, **error.fields})
    response = _response(body, error.status, "application/json")
    response.headers["x-amzn-errortype"] = error.code
    return response


def protocol_of(request: Request) -> str | None:
    """The protocol a request itself shows; None for the REST ones, which only the model tells apart."""
    if "rpc-v2-cbor" in request.headers.get("smithy-protocol", ""):
        return "smithy-rpc-v2-cbor"
    if "x-amz-target" in request.headers:
        return "json"
    return "query" if "Action" in request.values else None


def write_json(shape: Shape, value: Any) -> Any:
    """A value of the shape as JSON's own types."""
    if value is None or (shape.type_name == "structure" and shape.is_document_type):
        return value
    if shape.type_name == "structure":
        named = ((member, name, value.get(name)) for name, member in shape.members.items())
        return {m.serialization.get("name", name): write_json(m, item) for m, name, item in named if item is not None}
    if shape.type_name == "list":
        return [write_json(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {str(key): write_json(shape.value, item) for key, item in value.items()}
    return _scalar(shape, value)


def _scalar(shape: Shape, value: Any) -> Any:
    if shape.type_name == "blob":
        return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
    if shape.type_name == "timestamp":
        return _timestamp(value, shape.serialization.get("timestampFormat", "unixTimestamp"))
    return value


def _timestamp(value: datetime | float, form: str) -> float | str:
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value, UTC)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if form == "iso8601":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if form == "rfc822":
        return format_datetime(moment, usegmt=True)
    return round(moment.timestamp(), 3)


def _rest(operation: OperationModel, shape: Shape | None, result: dict[str, Any]) -> Response:
    status = int(operation.http.get("responseCode", 200))
    if shape is None:
        return _response("", status, "application/json")
    payload = shape.serialization.get("payload")
    body: str | bytes
    if payload is None:
        rest = {name: item for name, item in result.items() if "location" not in _serialization(shape, name)}
        body = json.dumps(write_json(shape, rest))
    elif shape.members[payload].type_name in ("blob", "string"):
        body = result.get(payload) or b""
    else:
        body = json.dumps(write_json(shape.members[payload], result.get(payload)))
    for name, member in shape.members.items():
        if member.serialization.get("location") == "statusCode" and name in result:
            status = int(result[name])
    response = _response(body, status, "application/json")
    for name, member in shape.members.items():
        if member.serialization.get("location") == "header" and result.get(name) is not None:
            response.headers[member.serialization.get("name", name)] = str(result[name])
    return response


def _serialization(shape: Shape, name: str) -> dict[str, Any]:
    return dict(shape.members[name].serialization) if name in shape.members else {}


def _query(operation: OperationModel, result: dict[str, Any]) -> Response:
    serialized = QuerySerializer(operation, SerializationContext(str(uuid.uuid4()))).serialize(result)
    return _response(serialized["body"], serialized["status_code"], "text/xml")


def _xml_error(error: CloudError, protocol: str) -> str:
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    request_id = uuid.uuid4()
    if protocol == "ec2":
        return f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    side = "Sender" if error.status < 500 else "Receiver"
    return (
        f"<ErrorResponse><Error><Type>{side}</Type>{inner}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )


def _cbor(value: dict[str, str]) -> bytes:
    """A small map of strings in CBOR (RFC 8949): all that an error needs."""
    parts = [bytes([0xA0 | len(value)])]
    for text in (text for pair in value.items() for text in pair):
        data = text.encode()
        parts += [b"\x79" + len(data).to_bytes(2, "big"), data]
    return b"".join(parts)


def _response(body: str | bytes, status: int, content_type: str) -> Response:
    return Response(body, status, {"x-amzn-RequestId": str(uuid.uuid4()), "Content-Type": content_type})
