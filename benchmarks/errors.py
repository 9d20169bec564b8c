"""The one error of the benchmarks, and how a command ends."""

import signal
import sys
from collections.abc import Callable, Sequence


class BenchmarkError(Exception):
    """What is wrong and what would be right, in one line that a user can act on."""


def exit_code(program: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """Run a command: 0, 1 with one line on stderr for what the user can put right, 130 when interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stopped command cleans up as an interrupted one
    try:
        program(argv)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    return 0
