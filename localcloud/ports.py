"""A port for a process that is about to listen: nobody else is given it before it does.

Asking the system for any port, closing it and telling it to a process is a race: until the process listens, the
same port may be given to somebody else. Two containers of one port are the worst of it: the second cannot start,
and the first one answers its pings and its requests meanwhile.
"""

import random
import socket
import threading
import time

# below those that the system gives to whoever asks for any (Linux 32768 and up, others 49152 and up)
RANGE = range(15_000, 32_000)
KEPT_SECONDS = 300.0  # by then a process listens, or is gone

_given: dict[int, float] = {}
_lock = threading.Lock()


def free(within: range = RANGE) -> int:
    """A port on loopback that nobody listens on, given to nobody else for a while; RuntimeError if there is none."""
    with _lock:
        now = time.monotonic()
        for port in random.sample(within, len(within)):
            if now - _given.get(port, -KEPT_SECONDS) >= KEPT_SECONDS and _unused(port):
                _given[port] = now
                return port
    raise RuntimeError(f"no port from {within.start} to {within.stop - 1} is free")


def _unused(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
