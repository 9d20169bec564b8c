"""One invocation: its payload, its log and its time limit, in an environment of its function."""

import json
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..service import CloudError
from . import environments
from .environments import Environment
from .state import Function

if TYPE_CHECKING:
    from ..cloud import Cloud

_MAX_BYTES = 6 * 1024 * 1024
_RETRY_SECONDS = (1, 2)  # AWS waits one minute, then two


@dataclass(frozen=True)
class Result:
    """`payload` is JSON: what the handler returned, or what went wrong."""

    payload: bytes
    failed: bool
    log: str


def invoke_now(cloud: "Cloud", function: Function, payload: bytes, context: str | None = None) -> Result:
    """Run the handler and wait for it."""
    _check(payload)
    return _Invocation(cloud, function).run(payload, context)


def invoke_event(cloud: "Cloud", function: Function, payload: bytes) -> None:
    """Run the handler later; a failure is tried twice more, as AWS does with asynchronous invocations."""
    _check(payload)

    def attempts() -> None:
        for pause in (*_RETRY_SECONDS, None):
            if not _Invocation(cloud, function).run(payload, None).failed or pause is None:
                return
            time.sleep(pause)

    cloud.spawn(attempts, f"lambda-{function.name}")


def _check(payload: bytes) -> None:
    if len(payload) > _MAX_BYTES:
        message = f"Request must be smaller than {_MAX_BYTES} bytes for the InvokeFunction operation"
        raise CloudError("RequestTooLargeException", message, 413)
    try:
        json.loads(payload)
    except ValueError as error:
        raise CloudError(
            "InvalidRequestContentException", f"Could not parse request body into json: {error}"
        ) from error


class _Invocation:
    def __init__(self, cloud: "Cloud", function: Function) -> None:
        self._cloud = cloud
        self._function = function
        self._settings = function.configuration
        self._request = str(uuid4())
        self._group = self._settings["LoggingConfig"]["LogGroup"]
        self._folder = cloud.directory / "lambda" / "invocations" / self._request

    def run(self, payload: bytes, context: str | None) -> Result:
        """The whole invocation; its folder is gone afterwards."""
        self._folder.mkdir(parents=True, mode=0o700)
        try:
            return self._run(payload, context)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, payload: bytes, context: str | None) -> Result:
        (self._folder / "event.json").write_bytes(payload)
        output = self._folder / "output"
        output.touch()
        start = time.monotonic()
        environment = environments.take(self._cloud, self._function)
        while (word := self._ask(environment, context)) == "idle":  # it ended of itself just now
            environment.end()
            environment = environments.take(self._cloud, self._function)
        elapsed = time.monotonic() - start
        status = environment.end() if word in ("late", "gone") else 0
        body, failed = self._answer(status, word)
        printed = output.read_text(errors="replace")
        if word == "late":
            printed += f"{json.loads(body)['errorMessage']}\n"
        log = self._log(printed, elapsed)
        self._cloud.log(self._group, environment.stream, log.splitlines())
        if word == "done":
            environments.give_back(self._cloud, self._function, environment)
        return Result(body, failed, log)

    def _ask(self, environment: Environment, context: str | None) -> str:
        request = self._context(context) | {"log_stream_name": environment.stream}
        (self._folder / "request.json").write_text(json.dumps(request))
        return environment.run(self._folder, self._settings["Timeout"])

    def _answer(self, status: int, word: str) -> tuple[bytes, bool]:
        answer = self._folder / "answer.json"
        if word == "late":
            now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
            message = f"{now} {self._request} Task timed out after {self._settings['Timeout']:.2f} seconds"
            return json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": message}).encode(), True
        if word == "gone":
            reason = f"exit status {status}" if status >= 0 else f"signal: {-status}"
            message = f"RequestId: {self._request} Error: Runtime exited with error: {reason}"
            return json.dumps({"errorType": "Runtime.ExitError", "errorMessage": message}).encode(), True
        return answer.read_bytes(), (self._folder / "failed").exists()

    def _log(self, printed: str, elapsed: float) -> str:
        memory = self._folder / "memory"
        used = memory.read_text() if memory.exists() else "0"
        milliseconds = elapsed * 1000
        report = [
            f"REPORT RequestId: {self._request}",
            f"Duration: {milliseconds:.2f} ms",
            f"Billed Duration: {int(milliseconds) + 1} ms",
            f"Memory Size: {self._settings['MemorySize']} MB",
            f"Max Memory Used: {used} MB",
        ]
        end = "" if printed.endswith("\n") or not printed else "\n"
        start = f"START RequestId: {self._request} Version: $LATEST\n"
        return f"{start}{printed}{end}END RequestId: {self._request}\n" + "\t".join(report) + "\n"

    def _context(self, client_context: str | None) -> dict[str, Any]:
        return {
            "handler": self._settings["Handler"],
            "timeout": self._settings["Timeout"],
            "client_context": client_context,
            "function_name": self._settings["FunctionName"],
            "function_version": "$LATEST",
            "invoked_function_arn": self._settings["FunctionArn"],
            "memory_limit_in_mb": str(self._settings["MemorySize"]),
            "aws_request_id": self._request,
            "log_group_name": self._group,
        }
