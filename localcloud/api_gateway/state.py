"""What API Gateway remembers, in memory: APIs with their integrations, routes and stages."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..service import CloudError

if TYPE_CHECKING:
    from ..cloud import Cloud

Row = dict[str, Any]


@dataclass
class Api:
    """One HTTP API; each part is a dictionary by id (stages by name) of botocore's output members."""

    settings: Row
    parts: dict[str, dict[str, Row]] = field(
        default_factory=lambda: {"Integration": {}, "Route": {}, "Stage": {}}  # the singular in operation names
    )

    @property
    def id(self) -> str:
        """Ten letters and digits."""
        return str(self.settings["ApiId"])


@dataclass
class State:
    """All APIs; whoever changes them holds `lock`."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    apis: dict[str, Api] = field(default_factory=dict)


def state(cloud: "Cloud") -> State:
    """The one State of this cloud."""
    found: State = cloud.store("apigatewayv2").setdefault("state", State())
    return found


def find(cloud: "Cloud", identity: str) -> Api:
    """The API of an id; CloudError NotFoundException."""
    found = state(cloud).apis.get(identity)
    if found is None:
        message = f"Invalid API identifier specified {cloud.account}:{identity}"
        raise CloudError("NotFoundException", message, 404)
    return found
