"""Several processes that share one port, and the one that starts them again when they die.

The first one listens at once, so that /ping can say what is missing; the others listen once they have loaded the model,
and are started when the first one has. So no call meets a process that is not ready while another one is.
"""

import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

CRASH_SECONDS = 1.0  # a process that lived shorter is not started again before so many seconds

# what a process does: given the port, whether it is the first, and what to call once it is ready
Work = Callable[[socket.socket, bool, Callable[[], None]], int]


class Workers:
    """Keeps `count` processes at work until a signal, which they get too; at a second one all end at once."""

    def __init__(self, count: int, port: socket.socket, work: Work) -> None:
        self._count = count
        self._port = port
        self._work = work
        self._started: dict[int, float] = {}  # process -> when
        self._stopping = False
        # its writing end is open in this process alone: when that is gone, its processes read the end
        self._alive = os.pipe()

    def run(self) -> int:
        """Until all have ended. The exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while self._start_missing():
            process, _ = os.wait()
            lived = time.monotonic() - self._started.pop(process)
            if not self._stopping and lived < CRASH_SECONDS:
                time.sleep(CRASH_SECONDS)
        return 0

    def _start_missing(self) -> bool:
        """Start what is missing; False once all have ended because they were told to."""
        if not self._started and not self._stopping:
            ready = self._start(first=True)
            os.read(ready, 1)  # nothing if it has died or was stopped before
            os.close(ready)
        while not self._stopping and 0 < len(self._started) < self._count:
            os.close(self._start(first=False))
        return bool(self._started) or not self._stopping

    def _start(self, first: bool) -> int:
        """Fork; a pipe from which a byte can be read once the new process is ready."""
        ready, write = os.pipe()
        both = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, both)  # until the process is in the table that a signal goes by
        process = os.fork()
        if process == 0:
            os.close(ready)
            self._be_child(first, write)
        self._started[process] = time.monotonic()
        os.close(write)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
        if self._stopping:  # since before the fork
            os.kill(process, signal.SIGTERM)
        return ready

    def _be_child(self, first: bool, ready: int) -> NoReturn:
        code = 1
        try:
            code = self._child(first, ready)
        except BaseException:  # noqa: BLE001 - a child must never go on as its parent
            traceback.print_exc()
        finally:
            os._exit(code)

    def _child(self, first: bool, ready: int) -> int:
        os.setpgid(0, 0)  # a signal to the group would arrive twice
        os.close(self._alive[1])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(0))  # until the server has handlers of its own
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        threading.Thread(target=end_with, args=(self._alive[0],), daemon=True).start()

        def on_ready() -> None:
            if first:  # nobody listens for the others
                os.write(ready, b"1")

        return self._work(self._port, first, on_ready)

    def _stop(self, number: int, _: FrameType | None) -> None:
        for process in list(self._started):
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(process, signal.SIGKILL if self._stopping else number)
        if self._stopping:
            os._exit(128 + number)
        self._stopping = True


def end_with(alive: int) -> None:
    """Drain this process when the one that started it is gone."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)
