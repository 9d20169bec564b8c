"""One call of an endpoint: what the container was asked, by which variant, and what it answered."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from urllib3.exceptions import HTTPError

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
class Exchange:
    """A call and its answer. `status` is 0 if the container gave none; `seconds` is the container's own time.

    `loading` are the multi-model metrics of this call by name, in the units in which CloudWatch gets them.
    """

    call: Call
    variant: str
    instances: int
    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float
    loading: Mapping[str, float] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


def perform(variant: "Variant", server: "Server", call: Call) -> Exchange:
    """Hand a call to a server and wait for what comes of it."""
    started = time.perf_counter()
    headers: Mapping[str, str] = {}
    try:
        response = server.call(call.body, call.headers)
        status, body, headers = response.status, response.data, response.headers
    except HTTPError as error:
        status = 0
        body = f"Your invocation failed while waiting for a response from container primary ({error})".encode()
    seconds = time.perf_counter() - started
    return Exchange(call, variant.name, len(variant.servers), status, body, headers, seconds)
