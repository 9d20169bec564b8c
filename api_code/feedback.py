"""POST /events: what a user did, stored once as s3://<bucket>/events/date=YYYY-MM-DD/<sha256 of eventId>.json.

`python -m gitops data <params> --events <day>` makes a partition of a day that is closed.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .clients import Outside
from .errors import ApiError, invalid

BODY_LIMIT = 10_000  # bytes
ID_LIMIT = 256  # characters, as the endpoint has it
LATE_DAYS = 2  # an event's day is closed this many days after it ended: gitops/data/feedback.py waits as long
AHEAD = timedelta(minutes=5)  # how far a caller's clock may be ahead of ours
TYPE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def post(event: Mapping[str, Any], request_id: str, outside: Outside) -> dict[str, Any]:
    """Status 201 for a new event, 200 for the same again. Raises ApiError."""
    received = outside.clock()
    document = checked(parsed(event), received)
    duplicate = not store(document, received, outside)
    answer = {"eventId": document["eventId"], "duplicate": duplicate, "requestId": request_id}
    return {"statusCode": 200 if duplicate else 201, "body": answer}


def parsed(event: Mapping[str, Any]) -> dict[str, Any]:
    """The body as a JSON object. Raises ApiError 400 or 413."""
    text = event.get("body") or ""
    try:
        data = base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
        if len(data) > BODY_LIMIT:
            raise ApiError(413, "PayloadTooLarge", f"the body is longer than {BODY_LIMIT} bytes")
        found = json.loads(data.decode())
    except (ValueError, RecursionError, binascii.Error) as error:
        raise ApiError(400, "BadRequest", "the body is not JSON in UTF-8") from error
    if not isinstance(found, dict):
        raise ApiError(400, "BadRequest", "the body is not a JSON object")
    return found


def checked(body: Mapping[str, Any], received: datetime) -> dict[str, Any]:
    """The event with nothing but known fields, ids as text and the time in UTC. Raises ApiError naming the field."""
    for name in body:
        if name not in FIELDS:
            raise invalid(name[:64], f"unknown field; known are {', '.join(FIELDS)}")
    document = {}
    for name, (read, needed) in FIELDS.items():
        if body.get(name) is not None:
            document[name] = read(name, body[name])
        elif needed:
            raise invalid(name, f"{name} is missing")
    if "timestamp" in document:
        in_time(datetime.fromisoformat(document["timestamp"]), received)
    return document


def identifier(name: str, value: Any) -> str:
    """An id of 1 to 256 characters; a whole number is one too, which is how many callers write theirs."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        value = str(value)
    if not isinstance(value, str) or not value or len(value) > ID_LIMIT or CONTROL.search(value):
        raise invalid(name, f"{name} is not a text of 1 to {ID_LIMIT} characters")
    return value


def kind(name: str, value: Any) -> str:
    """What the user did, in a word."""
    if not isinstance(value, str) or not TYPE.fullmatch(value):
        raise invalid(name, f"{name} is not a lower-case word such as purchase or add_to_cart")
    return value


def moment(name: str, value: Any) -> str:
    """A time with its zone, in UTC to the microsecond."""
    try:
        if isinstance(value, str) and MOMENT.fullmatch(value):
            return shown(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        pass
    raise invalid(name, f"{name} is not a time with its zone, such as 2026-11-20T17:04:05Z")


FIELDS: dict[str, tuple[Callable[[str, Any], str], bool]] = {
    "eventId": (identifier, True),
    "recommendationId": (identifier, False),
    "userId": (identifier, True),
    "itemId": (identifier, True),
    "eventType": (kind, True),
    "timestamp": (moment, False),
}


def shown(when: datetime) -> str:
    """2026-11-20T17:04:05.000000Z"""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def in_time(happened: datetime, received: datetime) -> None:
    """Refuse a time to come, and one whose day may have been made a partition already."""
    if happened > received + AHEAD:
        raise invalid("timestamp", "timestamp is in the future")
    if (received.astimezone(UTC).date() - happened.astimezone(UTC).date()).days > LATE_DAYS:
        raise invalid("timestamp", f"timestamp is of a day more than {LATE_DAYS} days ago, which is closed")


def store(document: dict[str, Any], received: datetime, outside: Outside) -> bool:
    """Whether the event is new. Raises ApiError 409 for another event of the same id, 503 if it cannot be stored."""
    stamp = shown(received)
    day = document.get("timestamp", stamp)[:10]
    key = f"events/date={day}/{hashlib.sha256(document['eventId'].encode()).hexdigest()}.json"
    data = json.dumps({**document, "received": stamp}, sort_keys=True, ensure_ascii=False).encode()
    try:
        try:
            outside.s3.put_object(
                Bucket=outside.bucket, Key=key, Body=data, IfNoneMatch="*", ContentType="application/json"
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "PreconditionFailed":
                raise
            before = json.loads(outside.s3.get_object(Bucket=outside.bucket, Key=key)["Body"].read())
        else:
            return True
    except (ClientError, BotoCoreError) as error:
        raise ApiError(503, "Unavailable", "the event could not be stored; send it again") from error
    if {name: value for name, value in before.items() if name != "received"} != document:
        raise ApiError(409, "Conflict", "another event has this eventId", "eventId")
    return False
