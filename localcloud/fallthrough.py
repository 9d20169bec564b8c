"""The services moto answers, behind the front.

moto decides by the same signature scope; it is imported here only, and each of its services at its first request.
"""

import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import FakeBucket
from werkzeug.wrappers import Request

from . import repairs  # noqa: F401 puts moto right
from .front import Application, operation_of, refusal
from .models import route
from .service import CloudError
from .writing import protocol_of, write_error

# Bucket policies are kept and shown, not enforced, like every policy here: moto takes a condition it cannot
# evaluate (aws:SecureTransport, say) for one that is met, and would deny everything.
FakeBucket.get_permission = lambda _bucket, _action, _resource: PermissionResult.NEUTRAL


# moto does not look at these sub-resources and would answer as if the bucket or object itself were meant
_S3_REFUSED = frozenset(
    (
        "abac",
        "analytics",
        "annotation",
        "intelligent-tiering",
        "metadataAnnotationTable",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "metadataTable",
        "metrics",
        "renameObject",
        "requestPayment",
        "session",
        "torrent",
    )
)
# moto does look at theirs, but takes the first for DeleteBucket and the second for PutObject
_S3_MISTAKEN = ("DeleteBucketInventoryConfiguration", "UpdateObjectEncryption")
# moto would keep a subscription of another protocol and deliver nothing, or fail every Publish of the topic
_SNS_DELIVERED = ("sqs", "http", "https")


class Moto:
    """moto's application for one service."""

    _dispatcher = DomainDispatcherApplication(create_backend_app)

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as moto does; what moto does not implement is refused by name."""
        request = Request(environ, populate_request=False)
        if _would_invent(self._service, request):
            return self._refuse(environ, None, start_response)
        environ["wsgi.input"].seek(0)
        if request.path.startswith(("/moto-api", "/latest/")):
            return self._refuse(environ, CloudError("AccessDenied", "this path is moto's own", 403), start_response)
        try:
            return list(self._dispatcher(environ, start_response))
        except NotImplementedError:
            return self._refuse(environ, None, start_response)
        except Exception:  # noqa: BLE001 moto's own fault: named in the answer, told in the log
            print(f"moto {self._service}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            problem = CloudError("InternalFailure", f"moto failed in {self._service}; see localcloud.log", 500)
            return self._refuse(environ, problem, start_response)

    def _refuse(
        self, environ: dict[str, Any], error: CloudError | None, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        environ["wsgi.input"].seek(0)
        request = Request(environ, populate_request=False)
        error = error or refusal(self._service, operation_of(self._service, request)[0])
        answer: Iterable[bytes] = write_error(error, protocol_of(request) or "rest-xml")(environ, start_response)
        return answer


def _would_invent(service: str, request: Request) -> bool:
    """Whether moto would do something else than what the request asks for, and say that it is done."""
    if service == "s3" and request.args:
        found = route(service, request)
        return bool(_S3_REFUSED & set(request.args)) or (found is not None and found[0] in _S3_MISTAKEN)
    if service == "sns" and request.values.get("Action") == "Subscribe":
        return request.values.get("Protocol") not in _SNS_DELIVERED
    return False


class OneWriter:
    """S3's conditional writes hold among concurrent requests: moto compares and writes in two steps."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Reads pass; writes (their bodies are already here) go one after the other."""
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self._application(environ, start_response)
        with self._writing:
            return self._application(environ, start_response)


def applications(services: Iterable[str]) -> dict[str, Application]:
    """One application per service name of botocore's."""
    found: dict[str, Application] = {service: Moto(service) for service in services}
    if "s3" in found:
        found["s3"] = OneWriter(found["s3"])
    return found
