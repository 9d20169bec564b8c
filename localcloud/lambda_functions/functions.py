"""Lambda functions: create, change, describe, invoke."""

import base64
import hashlib
import io
import re
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ClientError

from ..archives import unpack_zip
from ..service import CloudError
from .environments import drop
from .invocation import invoke_event, invoke_now
from .state import Function, arn, find, invalid, state

if TYPE_CHECKING:
    from ..cloud import Cloud

_SETTINGS = (
    "Description", "EphemeralStorage", "Handler", "LoggingConfig", "MemorySize", "Role", "Runtime", "Timeout",
    "TracingConfig",
)  # fmt: skip
_CREATE = {*_SETTINGS, "Architectures", "Code", "Environment", "FunctionName", "PackageType", "Publish", "Tags"}
_UPDATE_CODE = {
    "Architectures", "DryRun", "FunctionName", "Publish", "RevisionId", "S3Bucket", "S3Key", "S3ObjectVersion",
    "ZipFile",
}  # fmt: skip
_UPDATE = {*_SETTINGS, "Environment", "FunctionName", "RevisionId"}
_RESERVED = re.compile(
    r"_HANDLER|LAMBDA_.*|AWS_(REGION|DEFAULT_REGION|EXECUTION_ENV|LAMBDA_.*|ACCESS_KEY.*|SECRET_.*|SESSION_.*)"
)


def create_function(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """CreateFunction: the answer says Pending, as in AWS; the function can be invoked at once."""
    _refuse(request, _CREATE, "CreateFunction")
    _validate(request)
    known, name = state(cloud), request["FunctionName"].rpartition(":function:")[2]
    code = _code(cloud, request["Code"])
    with known.lock:
        if name in known.functions:
            raise CloudError("ResourceConflictException", f"Function already exist: {name}", 409)
        configuration = {
            "FunctionName": name,
            "FunctionArn": arn(cloud, name),
            "Description": "",
            "Timeout": 3,
            "MemorySize": 128,
            "Version": "$LATEST",
            "PackageType": "Zip",
            "TracingConfig": {"Mode": "PassThrough"},
            "EphemeralStorage": {"Size": 512},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
            **_settings(request),
            "Architectures": request.get("Architectures", ["x86_64"]),
        }
        folder = _unpack(cloud, name, code)
        function = Function(configuration | _fresh(code), folder, dict(request.get("Tags", {})))
        known.functions[name] = function
    pending = {"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating"}
    return function.describe() | pending


def update_function_code(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """UpdateFunctionCode: invocations that run keep the code they started with."""
    _refuse(request, _UPDATE_CODE, "UpdateFunctionCode")
    code = _code(cloud, request)
    with state(cloud).lock:
        function = _at_revision(cloud, request)
        if request.get("DryRun"):
            return function.describe() | _fresh(code)
        before = function.configuration["RevisionId"]
        function.folder = _unpack(cloud, function.name, code)
        function.configuration = function.configuration | _fresh(code)
    drop(cloud, before)
    return function.describe()


def update_function_configuration(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """UpdateFunctionConfiguration: members that are given replace the old ones."""
    _refuse(request, _UPDATE, "UpdateFunctionConfiguration")
    _validate(request)
    with state(cloud).lock:
        function = _at_revision(cloud, request)
        before = function.configuration["RevisionId"]
        function.configuration = function.configuration | _settings(request) | _changed()
    drop(cloud, before)
    return function.describe()


def delete_function(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """DeleteFunction."""
    known = state(cloud)
    with known.lock:
        function = find(cloud, request["FunctionName"], request.get("Qualifier"))
        del known.functions[function.name]
    drop(cloud, function.configuration["RevisionId"])
    shutil.rmtree(cloud.directory / "lambda" / function.name, ignore_errors=True)
    return {"StatusCode": 204}


def get_function(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """GetFunction: configuration and tags; there is no address to download the code from."""
    function = find(cloud, request["FunctionName"], request.get("Qualifier"))
    return {"Configuration": function.describe(), "Code": {"RepositoryType": "S3"}, "Tags": function.tags}


def get_function_configuration(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """GetFunctionConfiguration."""
    return find(cloud, request["FunctionName"], request.get("Qualifier")).describe()


def list_functions(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """ListFunctions, by name; the marker is the name of the last one given."""
    functions = state(cloud).functions
    names = [name for name in sorted(functions) if name > request.get("Marker", "")]
    size = min(int(request.get("MaxItems", 50)), 50)
    more = {"NextMarker": names[size - 1]} if len(names) > size else {}
    return {"Functions": [functions[name].describe() for name in names[:size]], **more}


def invoke(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """Invoke: RequestResponse waits, Event does not (two retries), DryRun only looks."""
    _refuse(request, {"FunctionName", "InvocationType", "LogType", "ClientContext", "Payload", "Qualifier"}, "Invoke")
    function = find(cloud, request["FunctionName"], request.get("Qualifier"))
    kind = request.get("InvocationType", "RequestResponse")
    if kind == "DryRun":
        return {"StatusCode": 204}
    payload = request.get("Payload") or b"{}"
    data: bytes = payload.encode() if isinstance(payload, str) else bytes(payload)
    if kind == "Event":
        invoke_event(cloud, function, data)
        return {"StatusCode": 202}
    result = invoke_now(cloud, function, data, request.get("ClientContext"))
    tail = {"LogResult": base64.b64encode(result.log.encode()[-4096:]).decode()}
    return {
        "StatusCode": 200,
        "ExecutedVersion": "$LATEST",
        "Payload": result.payload,
        **({"FunctionError": "Unhandled"} if result.failed else {}),
        **(tail if request.get("LogType") == "Tail" else {}),
    }


def tag_resource(cloud: "Cloud", request: dict[str, Any]) -> None:
    """TagResource."""
    find(cloud, request["Resource"]).tags.update(request["Tags"])


def untag_resource(cloud: "Cloud", request: dict[str, Any]) -> None:
    """UntagResource."""
    tags = find(cloud, request["Resource"]).tags
    for key in request["TagKeys"]:
        tags.pop(key, None)


def list_tags(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """ListTags."""
    return {"Tags": dict(find(cloud, request["Resource"]).tags)}


def _refuse(request: dict[str, Any], supported: set[str], operation: str) -> None:
    for member in sorted(set(request) - supported):
        if request[member]:
            raise invalid(f"localcloud does not support {member} of {operation}; leave it out")
    if request.get("Publish"):
        raise invalid(f"localcloud does not support Publish of {operation}: only $LATEST exists")


def _validate(request: dict[str, Any]) -> None:
    runtime = request.get("Runtime", "python3")
    if request.get("PackageType", "Zip") != "Zip" or not runtime.startswith("python3"):
        raise invalid(
            f"localcloud runs Zip packages on python3 runtimes only, not {request.get('PackageType', runtime)}"
        )
    if "Code" in request and not (request.get("Runtime") and request.get("Handler")):
        raise invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
    if request.get("LoggingConfig", {}).get("LogFormat", "Text") != "Text":
        raise invalid("localcloud does not support LogFormat JSON; use Text")
    reserved = [name for name in request.get("Environment", {}).get("Variables", {}) if _RESERVED.fullmatch(name)]
    if reserved:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )


def _settings(request: dict[str, Any]) -> dict[str, Any]:
    given = {key: request[key] for key in _SETTINGS if key in request}
    if "Environment" in request:
        given["Environment"] = {"Variables": dict(request["Environment"].get("Variables", {}))}
    if "LoggingConfig" in given:
        given["LoggingConfig"] = {"LogFormat": "Text"} | given["LoggingConfig"]
        given["LoggingConfig"].setdefault("LogGroup", f"/aws/lambda/{request['FunctionName'].rpartition(':')[2]}")
    return given


def _code(cloud: "Cloud", code: dict[str, Any]) -> bytes:
    if code.get("ZipFile"):
        return bytes(code["ZipFile"])
    if not (code.get("S3Bucket") and code.get("S3Key")):
        raise invalid("Please provide a source for function code: ZipFile, or S3Bucket and S3Key.")
    version = {"VersionId": code["S3ObjectVersion"]} if code.get("S3ObjectVersion") else {}
    try:
        data: bytes = (
            cloud.client("s3").get_object(Bucket=code["S3Bucket"], Key=code["S3Key"], **version)["Body"].read()
        )
    except ClientError as error:
        answer = error.response["Error"]
        raise invalid(
            f"Error occurred while GetObject. S3 Error Code: {answer['Code']}. S3 Error Message: {answer['Message']}"
        ) from error
    return data


def _unpack(cloud: "Cloud", name: str, code: bytes) -> Path:
    folder = cloud.directory / "lambda" / name / uuid4().hex
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            unpack_zip(archive, folder)
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        shutil.rmtree(folder)
        raise invalid(
            f"Could not unzip uploaded file. Please check your file, then try to upload again. ({error})"
        ) from error
    return folder


def _fresh(code: bytes) -> dict[str, Any]:
    return {"CodeSha256": base64.b64encode(hashlib.sha256(code).digest()).decode(), "CodeSize": len(code)} | _changed()


def _changed() -> dict[str, Any]:
    return {"LastModified": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000+0000}", "RevisionId": str(uuid4())}


def _at_revision(cloud: "Cloud", request: dict[str, Any]) -> Function:
    function = find(cloud, request["FunctionName"])
    if request.get("RevisionId", function.configuration["RevisionId"]) != function.configuration["RevisionId"]:
        raise CloudError(
            "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id.", 412
        )
    return function
