"""Start the endpoint: `python -m serving_code serve`."""

import signal
import sys
from collections.abc import Sequence

import uvicorn

from .application import Application
from .settings import read_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM: then no new call is taken, those in flight are answered, and the exit code is 0."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given not in ([], ["serve"]):
        print(f"error: {' '.join(given)}: unknown; right is: python -m serving_code serve", file=sys.stderr)
        return 1
    settings = read_settings()
    # uvicorn raises the signal again once it has drained; an orderly end is no failure
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(
        Application(settings),
        host="0.0.0.0",  # noqa: S104 - SageMaker reaches a container from outside it
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
