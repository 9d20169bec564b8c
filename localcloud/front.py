"""The one door: reads who a request is for, and hands it to an owned service, to moto, to the git host, or refuses."""

import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from werkzeug.wrappers import Request, Response

from .cloud import Cloud
from .models import operation_model, route, service_model, service_name
from .reading import read
from .service import CloudError, Service
from .writing import protocol_of, write, write_error

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]*/([^/]+)/aws4_request")
# all signed as `sagemaker`, told apart by path; the first three names are in botocore
_SAGEMAKER_REST = ("sagemaker-runtime", "sagemaker-featurestore-runtime", "sagemaker-metrics")


class Front:
    """A WSGI application over the owned services, moto's, and paths of their own such as the git host's."""

    def __init__(
        self, cloud: Cloud, services: Mapping[str, Service], moto: Mapping[str, Application], paths: "Paths"
    ) -> None:
        self._cloud = cloud
        self._services = services
        self._moto = moto
        self._paths = paths

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; `wsgi.input` must be seekable."""
        for prefix, application in self._paths.items():
            if environ["PATH_INFO"].startswith(prefix):
                return application(environ, start_response)
        request = Request(environ, populate_request=False)
        name = _service(request)
        moto = self._moto.get(name or "")
        if moto:
            environ["wsgi.input"].seek(0)
            return moto(environ, start_response)
        answer: Iterable[bytes] = self._answer(name, request)(environ, start_response)
        return answer

    def _answer(self, name: str | None, request: Request) -> Response:
        protocol = protocol_of(request)
        try:
            if name is None:
                raise CloudError("MissingAuthenticationToken", "the request is not signed", 403)
            model = service_model(name)
            protocol = protocol or (model.protocol if model else "rest-json")
            return self._run(name, request)
        except CloudError as error:
            return write_error(error, protocol or "rest-json")
        except Exception:  # noqa: BLE001 a fault of ours: the client gets AWS's code, the log gets the traceback
            print(f"{name}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            problem = CloudError("InternalFailure", f"localcloud failed in {name}; see localcloud.log", 500)
            return write_error(problem, protocol or "rest-json")

    def _run(self, name: str, request: Request) -> Response:
        operation, path_values = operation_of(name, request)
        service = self._services.get(name)
        model = operation_model(name, operation)
        if service is None or operation not in service.operations or model is None:
            raise refusal(name, operation)
        if protocol_of(request) == "smithy-rpc-v2-cbor":
            raise CloudError("UnsupportedOperation", f"localcloud speaks JSON, not CBOR, for {name}:{operation}")
        result = service.operations[operation](self._cloud, read(model, request, path_values))
        return write(model, result or {})


Paths = Mapping[str, Application]


def refusal(service: str, operation: str) -> CloudError:
    """What anything localcloud does not do is answered with. Not a 5xx: clients would retry it."""
    return CloudError("UnsupportedOperation", f"localcloud does not implement {service}:{operation}")


def _service(request: Request) -> str | None:
    """botocore's name of the service a request is signed for; None if it is not signed."""
    match = _SCOPE.search(request.headers.get("Authorization", ""))
    scope = match[1] if match else _presigned_scope(request)
    if scope == "sagemaker" and "x-amz-target" not in request.headers:
        found = (name for name in _SAGEMAKER_REST if route(name, request))
        return next(found, "sagemaker")
    if scope == "s3" and request.path.startswith("/v20180820/"):
        return "s3control"
    return service_name(scope) if scope else None


def _presigned_scope(request: Request) -> str | None:
    if {"AWSAccessKeyId", "Signature"} <= set(request.args):  # S3's older way, still boto3's own choice
        return "s3"
    credential = request.args.get("X-Amz-Credential", "")
    return credential.split("/")[3] if credential.count("/") >= 4 else None


def operation_of(service: str, request: Request) -> tuple[str, dict[str, str]]:
    """The operation a request asks for, by name if it can be told, and the values in its path."""
    if "x-amz-target" in request.headers:
        return request.headers["x-amz-target"].rpartition(".")[2], {}
    if "Action" in request.values:
        return request.values["Action"], {}
    found = route(service, request)
    if found:
        return found
    if "/operation/" in request.path:
        return request.path.rpartition("/")[2], {}
    return f"{request.method} {request.path}", {}
