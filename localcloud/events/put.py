"""Events in: PutEvents for everyone, `publish` for localcloud's own services."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from ..cloud import Cloud
from ..service import CloudError
from . import delivery, pattern
from .store import buses

_MAX_BYTES = 1024 * 1024


def put_events(cloud: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """Accept or refuse each entry. An event for a bus that does not exist is accepted and lost, as on AWS."""
    if "EndpointId" in given:
        raise CloudError("UnsupportedOperation", "localcloud has no global endpoints")
    if sum(_size(entry) for entry in given["Entries"]) > _MAX_BYTES:
        raise CloudError("ValidationException", "Total size of the entries in the request is over the limit.")
    results = [_put(cloud, entry) for entry in given["Entries"]]
    return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}


def evaluate_pattern(_: Cloud, given: dict[str, Any]) -> dict[str, Any]:
    """Whether an event, which must have the fields every event has, matches a pattern."""
    try:
        event = json.loads(given["Event"])
        missing = {"id", "account", "source", "time", "region", "resources", "detail-type"} - set(event)
    except (ValueError, TypeError) as error:
        raise CloudError("InvalidEventPatternException", f"Event is not valid JSON: {error}") from error
    if missing:
        raise CloudError("ValidationException", f"Parameter Event is not valid. Reason: no {min(missing)}")
    return {"Result": pattern.matches(pattern.check(given["EventPattern"]), event)}


def publish(cloud: Cloud, entry: dict[str, Any]) -> None:
    """An event of AWS's own, on the default bus: the only way to a source that begins with `aws.`."""
    _accept(cloud, "default", _event(cloud, entry, entry["Detail"]))


def _put(cloud: Cloud, entry: dict[str, Any]) -> dict[str, Any]:
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            reason = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": reason}
    if entry["Source"].startswith("aws."):
        return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    event = _event(cloud, entry, detail)
    _accept(cloud, entry.get("EventBusName", "default").rpartition("event-bus/")[2], event)
    return {"EventId": event["id"]}


def _event(cloud: Cloud, entry: dict[str, Any], detail: dict[str, Any]) -> dict[str, Any]:
    moment: datetime = entry.get("Time") or datetime.now(UTC)
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": cloud.account,
        "time": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": cloud.region,
        "resources": entry.get("Resources", []),
        "detail": detail,
    }


def _accept(cloud: Cloud, bus: str, event: dict[str, Any]) -> None:
    """Deliver after the answer: neither the caller nor another rule waits for a target."""
    found = buses(cloud).get(bus)
    cloud.spawn(lambda: delivery.distribute(cloud, bus, found, event), f"event-{event['id']}")


def _size(entry: dict[str, Any]) -> int:
    """As the EventBridge user guide counts an entry: time 14 bytes, the rest in UTF-8."""
    texts = [entry.get("Source", ""), entry.get("DetailType", ""), entry.get("Detail", ""), *entry.get("Resources", [])]
    return sum(len(text.encode()) for text in texts) + (14 if "Time" in entry else 0)
