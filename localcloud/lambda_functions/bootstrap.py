"""An execution environment: runs one function's handler, request after request, as Lambda's Python runtime does.

Started with `python -I` in the function's folder. A line on standard input names the folder of an invocation: its
request.json and event.json are read, answer.json and memory are written, and `failed` when the answer is an error;
what is printed meanwhile goes to its `output`. Then a line on standard output says `done`, or `idle` when nothing was
asked for long and this process ends. Imports only the standard library: nothing of localcloud is on its path.
"""

import importlib
import json
import logging
import os
import resource
import select
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

Handler = Callable[[Any, Any], Any]
IDLE_SECONDS = 300


class Context:
    """The second argument of a handler."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._deadline = time.monotonic() + request["timeout"]
        for name, value in request.items():
            if name not in ("handler", "timeout"):
                setattr(self, name, value)
        self.identity = None

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the time limit."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class SetUpError(Exception):
    """An error of the function's set-up; `kind` is Lambda's name for it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def load(name: str) -> Handler:
    """The handler `package/module.function`; SetUpError in Lambda's words."""
    module, dot, function = name.rpartition(".")
    if not dot:
        raise SetUpError("Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack")
    try:
        found = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        raise SetUpError("Runtime.ImportModuleError", f"Unable to import module '{module}': {error}") from error
    except SyntaxError as error:
        raise SetUpError("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}") from error
    handler: Handler | None = getattr(found, function, None)
    if handler is None:
        raise SetUpError("Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module}'")
    return handler


def call(request: dict[str, Any], event: Any) -> str:
    """What the handler returned, as JSON."""
    result = load(request["handler"])(event, Context(request))
    try:
        return json.dumps(result, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise SetUpError("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def describe(error: Exception, request: dict[str, Any]) -> str:
    """The error as Lambda returns it; the frames of this file are left out. Also printed to the log."""
    frames = [] if isinstance(error, SetUpError) else traceback.extract_tb(error.__traceback__)
    trace = traceback.format_list([frame for frame in frames if frame.filename != __file__])
    kind = error.kind if isinstance(error, SetUpError) else type(error).__name__
    lines = ["Traceback (most recent call last):\n", *trace] if trace else []
    print(f"[ERROR] {kind}: {error}\n{''.join(lines)}", end="")
    answer = {
        "errorMessage": str(error),
        "errorType": kind,
        "requestId": request["aws_request_id"],
        "stackTrace": trace,
    }
    return json.dumps(answer)


class Log(logging.StreamHandler):  # type: ignore[type-arg]
    """Lambda's root logger: `[LEVEL] <time> <request id> <message>`, separated by tabs."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        logging.getLogger().addHandler(self)

    def begin(self, request_id: str) -> None:
        """The lines from now on are of this request."""
        form = f"[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t{request_id}\t%(message)s"
        formatter = logging.Formatter(form, "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)


def invoke(folder: Path, log: Log) -> None:
    """One invocation."""
    request = json.loads((folder / "request.json").read_text())
    event = json.loads((folder / "event.json").read_bytes())
    log.begin(request["aws_request_id"])
    try:
        answer = call(request, event)
    except Exception as error:  # noqa: BLE001 whatever the handler raises is the answer
        (folder / "failed").touch()
        answer = describe(error, request)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform != "darwin" else 1024 * 1024)
    (folder / "memory").write_text(str(used))
    (folder / "answer.json").write_text(answer)


def main() -> None:
    """Invocations until none comes any more; 0, 1 and 2 are the handler's, requests and words have their own files."""
    requests, words = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    log = Log()
    with os.fdopen(requests) as lines:
        while select.select([lines], [], [], IDLE_SECONDS)[0] and (line := lines.readline()):
            folder = Path(line.rstrip("\n"))
            output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for number in (1, 2):
                os.dup2(output, number)
            os.close(output)
            invoke(folder, log)
            for number in (1, 2):
                os.dup2(nothing, number)
            os.write(words, b"done\n")
    os.write(words, b"idle\n")


if __name__ == "__main__":
    main()
