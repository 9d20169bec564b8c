"""Outlives localcloud by a moment: when its standard input closes, it kills the process groups still on its list.

Lines are `+<group>` and `-<group>`. Started by localcloud/processes.py; imports only the standard library.
"""

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Keep the list until the pipe closes, then kill."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change, group = line[0], int(line[1:])
        if change == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
