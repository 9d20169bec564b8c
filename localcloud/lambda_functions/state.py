"""What Lambda remembers, in memory; the unpacked code lies in <directory>/lambda."""

import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..service import CloudError

if TYPE_CHECKING:
    from ..cloud import Cloud
    from .environments import Environment

_NAME = re.compile(r"(?:arn:aws:lambda:[^:]+:)?(?:\d{12}:)?(?:function:)?(?P<name>[\w-]+)(?::(?P<qualifier>[\w$-]+))?")


@dataclass
class Function:
    """`configuration` is botocore's FunctionConfiguration without its state."""

    configuration: dict[str, Any]
    folder: Path
    tags: dict[str, str]
    statements: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.configuration["FunctionName"])

    def describe(self) -> dict[str, Any]:
        """The configuration as AWS returns it; code is unpacked before a request is answered, so it is always ready."""
        return {**self.configuration, "State": "Active", "LastUpdateStatus": "Successful"}


@dataclass
class State:
    """All functions, and processes that wait for work; whoever changes them holds `lock`."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    functions: dict[str, Function] = field(default_factory=dict)
    spare: list["Environment"] = field(default_factory=list)  # warm, the one that was used last at the end


def state(cloud: "Cloud") -> State:
    """The one State of this cloud."""
    found: State = cloud.store("lambda").setdefault("state", State())
    return found


def invalid(message: str) -> CloudError:
    """Lambda's answer to a value it does not take."""
    return CloudError("InvalidParameterValueException", message)


def arn(cloud: "Cloud", name: str) -> str:
    """A function's ARN."""
    return f"arn:aws:lambda:{cloud.region}:{cloud.account}:function:{name}"


def find(cloud: "Cloud", asked: str, qualifier: str | None = None) -> Function:
    """A function by name, partial ARN or ARN; only $LATEST exists."""
    parts = _NAME.fullmatch(asked)
    name = parts["name"] if parts else asked
    version = qualifier or (parts["qualifier"] if parts else None)
    found = state(cloud).functions.get(name)
    if found is None or version not in (None, "$LATEST"):
        suffix = f":{version}" if version else ""
        raise CloudError("ResourceNotFoundException", f"Function not found: {arn(cloud, name)}{suffix}", 404)
    return found
