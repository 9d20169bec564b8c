"""Token buckets: so many requests at once, and so many a second."""

import threading
import time
from collections.abc import Callable


class Bucket:
    """Holds `burst` tokens and gets `rate` new ones a second; a request takes one."""

    def __init__(self, burst: float, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = burst, rate
        self._tokens = burst
        self._clock = clock
        self._filled = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether there was a token."""
        burst, rate = self.limits
        with self._lock:
            now = self._clock()
            self._tokens = min(burst, self._tokens + (now - self._filled) * rate)
            self._filled = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
