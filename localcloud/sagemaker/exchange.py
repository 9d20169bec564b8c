"""One call of an endpoint: what the container was asked, by which variant, and what it answered."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from .store import now

if TYPE_CHECKING:
    from .fleet import Variant
    from .server import Server


@dataclass(frozen=True)
class Call:
    """A request as it goes to a container. `captured` is decided once, for every variant that gets it."""

    body: bytes
    headers: Mapping[str, str]
    inference_id: str = ""
    target_model: str = ""
    captured: bool = False
    moment: datetime = field(default_factory=now)
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True)
class Reply:
    """What a container answered. `status` is 0 if it did not; `seconds` is how long that took.

    `loading` are the multi-model metrics of the call by name, in the units in which CloudWatch gets them.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float
    loading: Mapping[str, float] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Exchange:
    """A call and its reply, by one variant of so many instances."""

    call: Call
    variant: str
    instances: int
    reply: Reply


def perform(variant: "Variant", server: "Server", call: Call) -> Exchange:
    """Hand a call to a server and wait for what comes of it."""
    return Exchange(call, variant.name, len(variant.servers), server.invoke(call))
