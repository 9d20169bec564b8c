"""Start the endpoint: `python -m serving_code serve`."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence

from .settings import Settings, SettingsError, read_settings
from .workers import Workers

BACKLOG = 2048


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM: then no new call is taken, those in flight are answered, and the exit code is 0."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given not in ([], ["serve"]):
        print(f"error: {' '.join(given)}: unknown; right is: python -m serving_code serve", file=sys.stderr)
        return 1
    # an orderly end, also while imports still run; uvicorn puts its own handlers in their place
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    # requests run side by side, each on one thread; read when numpy is loaded
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return run(read_settings())
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def run(settings: Settings) -> int:
    """Serve in this process, or in several. Raises SettingsError if the port is taken."""

    def work(port: socket.socket, first: bool, on_ready: Callable[[], None]) -> int:
        from .server import serve  # the process that only starts others needs none of what serving imports

        return serve(settings, port, first, on_ready)

    with listening(settings.port) as port:
        if settings.workers == 1:
            return work(port, True, lambda: None)
        return Workers(settings.workers, port, work).run()


def listening(number: int) -> socket.socket:
    """A socket on which SageMaker can reach the container from outside it. Raises SettingsError."""
    try:
        return socket.create_server(("0.0.0.0", number), backlog=BACKLOG)  # noqa: S104
    except OSError as error:
        raise SettingsError(f"SAGEMAKER_BIND_TO_PORT: port {number} cannot be taken: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
