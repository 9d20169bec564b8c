"""One process that listens: uvicorn with what this endpoint needs of it, and nothing else."""

import os
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from .application import Application, Service
from .multi_model import MultiModel
from .protocol import HttpProtocol
from .settings import Settings
from .single_model import SingleModel

GRACE_SECONDS = 20  # for calls in flight after SIGTERM; SageMaker kills after 120, ECS after 30
KEEP_ALIVE_SECONDS = 75  # longer than the 60 of most proxies, so that it is them who close an idle connection


class Server(uvicorn.Server):
    """Drains at the first signal, ends at the second."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A second signal means at once: also a model that still computes is left."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True


def serve(settings: Settings, port: socket.socket, first: bool, on_ready: Callable[[], None]) -> int:
    """Serve until a signal. `first`: listen at once, and load meanwhile. The exit code: 0 after an orderly end."""
    service: Service = MultiModel(settings) if settings.multi_model else SingleModel(settings)
    if not first and not service.start():
        return 1
    config = uvicorn.Config(
        Application(service, settings.variant, on_ready, loaded=not first),
        http=HttpProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,  # nobody asks who calls
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    Server(config).run(sockets=[port])
    return 0
