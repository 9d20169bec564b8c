"""A load client as a process of its own: HTTP/1.1 over kept connections, closed loop, every answer checked.

Cheap on purpose, as it shares the machine with what it measures: the standard library only, requests built before the
clock runs, one system call each to send and to receive. What it costs is itself measured, against an echo (echo.py).
"""

import contextlib
import gc
import json
import selectors
import socket
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from ..errors import BenchmarkError

HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds without any answer after which a server counts as stuck
Request = tuple[bytes, bytes]  # what is sent, and what the answer must hold


class Connection:
    """One kept connection with at most one request on its way."""

    def __init__(self, port: int, requests: Iterable[Request], found: "Found") -> None:
        self.port, self.requests, self.found = port, iter(requests), found
        self.socket = self.opened()

    def opened(self) -> socket.socket:
        try:
            made = socket.create_connection((HOST, self.port), PATIENCE)
        except OSError as error:
            raise BenchmarkError(
                f"the server at port {self.port} takes no connection ({error}); its log says why"
            ) from None
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def send(self) -> None:
        """Send the next request."""
        words, self.expected = next(self.requests)
        self.received = b""
        self.began = time.perf_counter_ns()
        with contextlib.suppress(ConnectionError):  # then there is nothing to receive either, which is noted there
            self.socket.sendall(words)

    def receive(self) -> bool:
        """Take what has arrived; whether the answer is complete, and then it is noted."""
        try:
            more = self.socket.recv(1 << 18)
        except ConnectionError:
            more = b""
        if not more:
            self.found.errors["the connection was closed"] += 1
            self.socket.close()
            self.socket = self.opened()
            return True
        self.received += more
        if not complete(self.received):
            return False
        took = time.perf_counter_ns() - self.began
        if trouble := wrong(self.received, self.expected):
            self.found.errors[trouble] += 1
        else:
            self.found.took.append(took)
        return True


def complete(received: bytes) -> bool:
    """Whether an answer has its head, and as much body as that says."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = received[:end].lower()
    place = head.find(b"\r\ncontent-length:")
    if place < 0:
        raise BenchmarkError(f"the server answers without Content-Length: {head[:200]!r}; this client needs it")
    return len(received) >= end + 4 + int(head[place + 17 :].partition(b"\r\n")[0])


def wrong(received: bytes, expected: bytes) -> str:
    """What is wrong with a complete answer; nothing if it is 200 and holds what it must."""
    if received[9:12] != b"200":
        return f"status {received[9:12].decode('latin-1')}"
    return "" if expected in received else "not the answer to what was asked"


class Found:
    """What came of the requests of one stretch: nanoseconds of each good answer, and the bad ones by reason."""

    def __init__(self) -> None:
        self.took = array("q")
        self.errors: Counter[str] = Counter()


def load(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The task: send the requests of `folder`/requests.json, again and again, over so many connections.

    settings: port, path, connections, seconds, warmup (seconds not counted). Latency is of good answers only; an answer
    that is not 200, or not to what was asked, is an error and neither a request per second nor a latency.
    """
    bodies = json.loads((folder / "requests.json").read_text(encoding="utf-8"))
    requests = [(built(settings["path"], body.encode()), expected.encode()) for body, expected in bodies]
    found = Found()
    with connected(requests, settings, found) as connections:
        drive(connections, settings["warmup"])
        warmed = len(found.took) + found.errors.total()
        found.took, found.errors = array("q"), Counter()
        cpu, began = time.process_time(), time.perf_counter()
        drive(connections, settings["seconds"])
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    each = round(cpu / max(1, len(found.took)) * 1e6, 2)
    return {**summary(found, seconds), "warmed": warmed, "client_cpu_us": each}


@contextlib.contextmanager
def connected(requests: Sequence[Request], settings: Mapping[str, Any], found: Found) -> Iterator[Sequence[Connection]]:
    """So many connections, each starting elsewhere in the requests; closed at the end."""
    count = settings["connections"]
    own = [islice(cycle(requests), place * len(requests) // count, None) for place in range(count)]
    gc.disable()  # a collection here would be seen as the server's
    connections: list[Connection] = []
    try:
        connections += (Connection(settings["port"], one, found) for one in own)
        yield connections
    finally:
        gc.enable()
        for one in connections:
            one.socket.close()


def built(path: str, body: bytes, method: str = "POST") -> bytes:
    """A whole request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def drive(connections: Sequence[Connection], seconds: float) -> None:
    """Keep one request on its way on each connection for so long; returns when all are answered."""
    until = time.perf_counter() + seconds
    for one in connections:
        one.send()
    if len(connections) == 1:  # then there is nothing to choose from: a blocking read is the shortest way
        drive_one(connections[0], until)
        return
    with selectors.DefaultSelector() as selector:
        for one in connections:
            selector.register(one.socket, selectors.EVENT_READ, one)
        drive_all(selector, until, time.perf_counter)


def drive_one(one: Connection, until: float) -> None:
    """One connection, with blocking reads."""
    try:
        while True:
            if one.receive():
                if time.perf_counter() >= until:
                    return
                one.send()
    except TimeoutError:
        raise stuck() from None


def drive_all(selector: selectors.BaseSelector, until: float, clock: Callable[[], float]) -> None:
    """Several connections, whichever is answered first."""
    while selector.get_map():
        ready = selector.select(PATIENCE)
        if not ready:
            raise stuck()
        for key, _ in ready:
            one, before = key.data, key.data.socket
            if one.receive():
                if one.socket is not before:
                    selector.unregister(before)
                    selector.register(one.socket, selectors.EVENT_READ, one)
                if clock() < until:
                    one.send()
                else:
                    selector.unregister(one.socket)


def stuck() -> BenchmarkError:
    """The error for silence."""
    return BenchmarkError(f"the server has not answered for {PATIENCE:.0f} seconds; its log says why")


def summary(found: Found, seconds: float) -> dict[str, Any]:
    """Counts, requests per second and percentiles in milliseconds; p99.9 of a thousand answers or more."""
    ordered = sorted(found.took)
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, **({"p999_ms": 0.999} if len(ordered) >= 1000 else {})}
    points = {name: round(percentile(ordered, share) / 1e6, 4) for name, share in shares.items()} if ordered else {}
    return {
        "requests": len(ordered), "errors": dict(found.errors), "seconds": round(seconds, 3),
        "rps": round(len(ordered) / seconds, 1), **points,
    }  # fmt: skip


def percentile(ordered: Sequence[int], share: float) -> int:
    """The smallest value that so large a share of the values does not exceed."""
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]
