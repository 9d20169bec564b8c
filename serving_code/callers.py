"""Callers who ask as fast as they are answered, each on a connection of their own, for serving_code.bench."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
PATIENCE = 30.0


@dataclass
class Heard:
    """What callers measured: seconds of each answer that was 200, and how many were not."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0


class Caller(asyncio.Protocol):
    """Sends the next request when the answer to the last one is complete, until the time is over."""

    def __init__(self, requests: Sequence[bytes], first: int, until: float, heard: Heard) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._next = first
        self._until = until
        self._heard = heard
        self._answer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first."""
        self._transport: Any = transport  # uvloop's has no class in common with asyncio's
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Note how long a complete answer took, and ask again."""
        self._answer += data
        if not complete(self._answer):
            return
        now = time.perf_counter()
        if self._answer.startswith(b"HTTP/1.1 200"):
            self._heard.seconds.append(now - self._sent)
        else:
            self._heard.errors += 1
        self._answer = b""
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends before its time is an error too."""
        if time.perf_counter() < self._until:
            self._heard.errors += 1
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._sent = time.perf_counter()
        self._transport.write(request)


def complete(answer: bytes) -> bool:
    """Whether an answer has as many bytes as its head says."""
    end = answer.find(END)
    if end < 0:
        return False
    head = answer[:end].lower()
    place = head.find(LENGTH)
    length = int(head[place + len(LENGTH) :].partition(b"\r\n")[0]) if place >= 0 else 0
    return len(answer) >= end + len(END) + length


async def call(address: tuple[str, int], requests: Sequence[bytes], connections: int, seconds: float) -> Heard:
    """Ask for so many seconds on so many connections. Raises OSError if there is nobody to connect to."""
    heard, until = Heard(), time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    callers = []
    for number in range(connections):
        first = number * len(requests) // connections
        _, caller = await loop.create_connection(lambda at=first: Caller(requests, at, until, heard), *address)  # type: ignore[misc]
        callers.append(caller)
    await asyncio.wait([caller.done for caller in callers], timeout=seconds + PATIENCE)
    heard.errors += sum(not caller.done.done() for caller in callers)
    return heard
