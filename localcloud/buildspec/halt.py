"""Ends a build from outside: StopBuild and the time limit."""

import subprocess
import threading

from ..processes import Processes


class Halt:
    """Knows the command that runs now; a request ends it and lets no other one start."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self.reason: str | None = None

    def request(self, reason: str) -> None:
        """End the build with the status `reason`, STOPPED or TIMED_OUT; the first request counts."""
        with self._lock:
            if self.reason:
                return
            self.reason = reason
            running = self._running
        if running:
            self._processes.stop(running)

    def after(self, seconds: float) -> threading.Timer:
        """Request TIMED_OUT in so many seconds; the caller cancels the timer."""
        timer = threading.Timer(seconds, self.request, args=("TIMED_OUT",))
        timer.daemon = True
        timer.start()
        return timer

    def wait(self, process: "subprocess.Popen[bytes]") -> int:
        """The exit status of `process`, which a request ends early."""
        with self._lock:
            self._running, halted = process, self.reason
        if halted:
            self._processes.stop(process)
        status = process.wait()
        with self._lock:
            self._running = None
        return status
