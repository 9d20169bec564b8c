"""Copies of requests for a shadow variant: a few threads send what waits in a short queue; nobody waits for them."""

import queue
import random
import threading
import time
from collections.abc import Callable

from .exchange import Call

WAITING = 100
THREADS = 4
POLL_SECONDS = 0.1
CLOSE_SECONDS = 5.0


class Shadow:
    """Hands copies of calls to `answer`; a copy that finds the queue full is dropped and counted."""

    def __init__(self, name: str, answer: Callable[[Call], None]) -> None:
        self.dropped = 0
        self._name = name
        self._answer = answer
        self._queue: queue.Queue[Call] = queue.Queue(WAITING)
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def offer(self, call: Call, share: float) -> None:
        """Copy this call with a probability of `share`."""
        if random.random() >= share or self._closed.is_set():  # noqa: S311 traffic shares are no secret
            return
        with self._lock:
            if not self._threads:
                self._threads = [
                    threading.Thread(target=self._run, name=self._name, daemon=True) for _ in range(THREADS)
                ]
                for thread in self._threads:
                    thread.start()
        try:
            self._queue.put_nowait(call)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Take no more, and give what waits a moment to be sent."""
        self._closed.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _run(self) -> None:
        while True:
            try:
                call = self._queue.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if self._closed.is_set():
                    return
                continue
            self._answer(call)
