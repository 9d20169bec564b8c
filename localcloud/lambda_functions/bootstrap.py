"""Runs one handler once, as Lambda's Python runtime does; started with `python -I` in the function's folder.

Reads <folder>/request.json and event.json, writes answer.json and memory, and `failed` when the answer is an error.
Imports only the standard library: it runs with nothing of localcloud on its path.
"""

import importlib
import json
import logging
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

Handler = Callable[[Any, Any], Any]


class Context:
    """The second argument of a handler."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._deadline = time.monotonic() + request["timeout"]
        for name, value in request.items():
            if name not in ("code", "handler", "timeout"):
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


def configure_logging(request: dict[str, Any]) -> None:
    """Lambda's root logger: `[LEVEL] <time> <request id> <message>`, separated by tabs."""
    handler = logging.StreamHandler(sys.stdout)
    form = f"[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t{request['aws_request_id']}\t%(message)s"
    formatter = logging.Formatter(form, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)


def main(folder: Path) -> None:
    """One invocation."""
    request = json.loads((folder / "request.json").read_text())
    event = json.loads((folder / "event.json").read_bytes())
    sys.path.insert(0, request["code"])
    configure_logging(request)
    try:
        answer = call(request, event)
    except Exception as error:  # noqa: BLE001 whatever the handler raises is the answer
        (folder / "failed").touch()
        answer = describe(error, request)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform != "darwin" else 1024 * 1024)
    (folder / "memory").write_text(str(used))
    (folder / "answer.json").write_text(answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
