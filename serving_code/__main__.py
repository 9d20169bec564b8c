"""Start the endpoint: `python -m serving_code serve`."""

import signal
import sys
from collections.abc import Sequence

from .settings import SettingsError, read_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM: then no new call is taken, those in flight are answered, and the exit code is 0."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given not in ([], ["serve"]):
        print(f"error: {' '.join(given)}: unknown; right is: python -m serving_code serve", file=sys.stderr)
        return 1
    try:
        settings = read_settings()
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    # an orderly end, also while imports still run; uvicorn puts its own handlers in their place
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    from .server import serve

    return serve(settings)


if __name__ == "__main__":
    sys.exit(main())
