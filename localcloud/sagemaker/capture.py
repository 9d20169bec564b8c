"""Data capture: a share of an endpoint's requests and answers, in S3 as SageMaker writes them.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

import base64
import json
import random
import uuid
from typing import TYPE_CHECKING

from ..batches import Batches
from . import transfers
from .exchange import Exchange
from .store import Row

if TYPE_CHECKING:
    from ..cloud import Cloud

_MEMBERS = {"JSON": "JsonContentTypes", "CSV": "CsvContentTypes"}
_SECONDS = "%Y-%m-%dT%H:%M:%SZ"


class Capture:
    """Captures for one endpoint under one configuration. `record` never waits for S3."""

    def __init__(self, cloud: "Cloud", endpoint: str, config: Row) -> None:
        self._cloud = cloud
        self._config = config
        self._percentage = int(config["InitialSamplingPercentage"])
        self._base = f"{config['DestinationS3Uri'].rstrip('/')}/{endpoint}"
        self._batches = Batches(f"data capture {endpoint}", self._write)

    def sampled(self) -> bool:
        """Whether the next call is to be captured."""
        return random.random() * 100 < self._percentage  # noqa: S311 no secret

    def record(self, exchange: Exchange) -> None:
        """Note one call and its answer."""
        self._batches.add(exchange)

    def close(self) -> None:
        """Write what was noted; nothing is captured any more."""
        self._batches.close()

    def _write(self, exchanges: list[Exchange]) -> None:
        files: dict[str, list[Exchange]] = {}
        for exchange in exchanges:
            files.setdefault(f"{exchange.variant}/{exchange.call.moment:%Y/%m/%d/%H}", []).append(exchange)
        for folder, some in files.items():
            moment = some[0].call.moment
            name = f"{moment:%M-%S}-{moment.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            body = "".join(json.dumps(event(exchange, self._config)) + "\n" for exchange in some)
            transfers.write(self._cloud, body.encode(), f"{self._base}/{folder}/{name}", _encryption(self._config))


def description(config: Row) -> Row:
    """DataCaptureConfigSummary of a configuration's DataCaptureConfig."""
    on = bool(config.get("EnableCapture"))
    return {
        "EnableCapture": on,
        "CaptureStatus": "Started" if on else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }


def event(exchange: Exchange, config: Row) -> Row:
    """One line of a capture file. An answer that the container did not give, or gave as an error, is left out."""
    modes, call, captured = {row["CaptureMode"] for row in config["CaptureOptions"]}, exchange.call, {}
    if modes & {"Input", "InputAndOutput"}:
        content_type = call.headers.get("Content-Type", "application/octet-stream")
        captured["endpointInput"] = _data("INPUT", call.body, content_type, config)
    if modes & {"Output", "InputAndOutput"} and exchange.reply.succeeded:
        content_type = exchange.reply.headers.get("Content-Type", "application/octet-stream")
        captured["endpointOutput"] = _data("OUTPUT", exchange.reply.body, content_type, config)
    inference = {"inferenceId": call.inference_id} if call.inference_id else {}
    metadata = {"eventId": call.event_id, **inference, "inferenceTime": call.moment.strftime(_SECONDS)}
    return {"captureData": captured, "eventMetadata": metadata, "eventVersion": "0"}


def _data(mode: str, body: bytes, content_type: str, config: Row) -> Row:
    data, encoding = _encoded(body, content_type, config.get("CaptureContentTypeHeader", {}))
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def _encoded(body: bytes, content_type: str, listed: Row) -> tuple[str, str]:
    """The text of a content type that is listed as JSON or CSV, the base64 of any other."""
    media = content_type.partition(";")[0].strip().lower()
    for encoding, member in _MEMBERS.items():
        if media in (each.lower() for each in listed.get(member, [])):
            try:
                return body.decode(), encoding
            except UnicodeDecodeError:
                break
    return base64.b64encode(body).decode(), "BASE64"


def _encryption(config: Row) -> Row:
    key = config.get("KmsKeyId")
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}
