"""Object Created and Object Deleted, on the default bus, for buckets whose notifications go to EventBridge.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import threading
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request

from .front import Application

if TYPE_CHECKING:
    from .cloud import Cloud

_NOTIFICATIONS = "PutBucketNotificationConfiguration"
_CREATED = ("PutObject", "CopyObject", "CompleteMultipartUpload")
# sub-resources of an object: writing one leaves the object as it is
_BESIDE = frozenset(("acl", "attributes", "legal-hold", "partNumber", "restore", "retention", "tagging"))


class ObjectEvents:
    """S3, with its events: moto delivers them to its own EventBridge, which has none of localcloud's rules."""

    def __init__(self, cloud: "Cloud", application: Application) -> None:
        self._cloud = cloud
        self._application = application
        self._listening: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as S3 does, then tell what was done."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._application(environ, start_response)
        request = Request(environ, populate_request=False)
        bucket, _, key = request.path.lstrip("/").partition("/")
        operation = operation_of(request, key)
        body = request.get_data() if operation == _NOTIFICATIONS else b""
        environ["wsgi.input"].seek(0)
        statuses: list[str] = []

        def start(status: str, *rest: Any) -> Any:
            statuses.append(status)
            return start_response(status, *rest)

        answer = list(self._application(environ, start))
        if statuses[-1].startswith("2"):
            self._done(operation, bucket, key, body)
        return answer

    def _done(self, operation: str, bucket: str, key: str, body: bytes) -> None:
        with self._lock:
            if operation == _NOTIFICATIONS:
                listens = b"EventBridgeConfiguration" in body
                (self._listening.add if listens else self._listening.discard)(bucket)
            if bucket not in self._listening:
                return
        if operation in _CREATED:
            found = self._cloud.client("s3").head_object(Bucket=bucket, Key=key)
            described = {"size": found["ContentLength"], "etag": found["ETag"].strip('"')}
            if "VersionId" in found:
                described["version-id"] = found["VersionId"]
            self._emit("Object Created", bucket, {"key": key, **described}, operation)
        elif operation == "DeleteObject":
            self._emit("Object Deleted", bucket, {"key": key}, operation)

    def _emit(self, what: str, bucket: str, described: dict[str, Any], reason: str) -> None:
        detail = {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {**described, "sequencer": uuid.uuid4().hex[:16].upper()},
            "request-id": uuid.uuid4().hex[:16].upper(),
            "requester": self._cloud.account,
            "source-ip-address": "127.0.0.1",
            "reason": reason,
        }
        self._cloud.emit("aws.s3", what, detail, [f"arn:aws:s3:::{bucket}"])


def operation_of(request: Request, key: str) -> str:
    """Which of the operations that are told a write is; empty for any other."""
    if not key:
        return _NOTIFICATIONS if request.method == "PUT" and "notification" in request.args else ""
    if _BESIDE & set(request.args):
        return ""
    if request.method == "POST":
        return "CompleteMultipartUpload" if "uploadId" in request.args else ""
    if request.method == "PUT":
        return "CopyObject" if "x-amz-copy-source" in request.headers else "PutObject"
    return "DeleteObject" if request.method == "DELETE" and "uploadId" not in request.args else ""
