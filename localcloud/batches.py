"""What is gathered beside the calls it comes from, and written together about every second."""

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

EVERY_SECONDS = 1.0
T = TypeVar("T")


class Batches(Generic[T]):
    """Items wait here until one thread writes all of them. `add` never waits for a write.

    At most `most` items wait: what comes on top is dropped and counted, so that a store that is slow or gone
    costs its own records and neither memory nor a caller's time.
    """

    def __init__(self, name: str, write: Callable[[list[T]], None], most: int = 50_000) -> None:
        self.dropped = 0
        self._name = name
        self._write = write
        self._most = most
        self._items: list[T] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, item: T) -> None:
        """Take one item in, or drop it if too many wait."""
        with self._lock:
            if len(self._items) >= self._most:
                self.dropped += 1
                return
            self._items.append(item)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Write what waits and end the thread; an item that comes later is written by nobody."""
        self._closed.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(EVERY_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            items, self._items = self._items, []
        if not items:
            return
        try:
            self._write(items)
        except Exception:  # noqa: BLE001 one batch is lost, the next may pass; the log is read by a person
            print(f"{self._name}: {len(items)} lost\n{traceback.format_exc()}", file=sys.stderr, flush=True)
