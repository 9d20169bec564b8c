"""Time, through one seam: what waits or expires asks a Clock, never the machine.

What day it is decides about freezes, and this machine is not believed there: see Lease.now in gitops/delivery/lease.py.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """`monotonic` is in seconds and only its differences mean something."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


SYSTEM = Clock()
