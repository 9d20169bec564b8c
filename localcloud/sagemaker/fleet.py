"""The servers behind an endpoint's variants: started together, chosen by weight, drained together."""

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import models
from .server import Server, Spec
from .store import Row, lock, now

if TYPE_CHECKING:
    from ..cloud import Cloud

# SageMaker lets a container take 8 minutes to become healthy, or as long as the variant says; here a twentieth
STARTUP_SECONDS = 480.0
SCALE = 20.0
DRAIN_SECONDS = 60.0


@dataclass
class Variant:
    """A production variant that serves."""

    row: Row
    image: str
    servers: list[Server]

    @property
    def name(self) -> str:
        return str(self.row["VariantName"])

    @property
    def weight(self) -> float:
        return float(self.row["InitialVariantWeight"])

    def description(self) -> Row:
        """ProductionVariantSummary."""
        count = len(self.servers)
        return {
            "VariantName": self.name,
            "DeployedImages": [
                {"SpecifiedImage": self.image, "ResolvedImage": self.image, "ResolutionTime": self.row["Deployed"]}
            ],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": count,
            "DesiredInstanceCount": count,
        }


class Fleet:
    """Everything that serves one endpoint configuration."""

    def __init__(self, cloud: "Cloud", endpoint: str, config: Row) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._retired = False
        with lock(cloud):
            self.variants = [_variant(cloud, endpoint, row) for row in config["ProductionVariants"]]

    def start(self) -> None:
        """Bring every server to health, or raise the first ServerError (what has started then waits for `stop`)."""
        for variant in self.variants:
            for server in variant.servers:
                server.start()

    def acquire(self, target: str | None) -> tuple[Variant, Server] | None:
        """A server of the target variant, or of one drawn by weight; None if there is none, or no more."""
        with self._lock:
            candidates = [variant for variant in self.variants if target in (None, variant.name)]
            if not candidates or self._retired:
                return None
            weights = [variant.weight for variant in candidates]
            variant = candidates[0]
            if len(candidates) > 1 and sum(weights) > 0:
                variant = random.choices(candidates, weights)[0]  # noqa: S311 traffic shares are no secret
            server = min(variant.servers, key=lambda item: item.in_flight)
            server.in_flight += 1
            return variant, server

    def release(self, server: Server) -> None:
        """The request is answered."""
        with self._idle:
            server.in_flight -= 1
            self._idle.notify_all()

    def retire(self) -> None:
        """Wait until nothing is in flight any more, then stop; new requests already go elsewhere."""
        deadline = time.monotonic() + DRAIN_SECONDS
        with self._idle:
            self._retired = True
            while any(server.in_flight for server in self._servers()) and time.monotonic() < deadline:
                self._idle.wait(0.5)
        self.stop()

    def stop(self) -> None:
        """Stop every server at once."""
        threads = [threading.Thread(target=server.stop, daemon=True) for server in self._servers()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _servers(self) -> list[Server]:
        return [server for variant in self.variants for server in variant.servers]


def _variant(cloud: "Cloud", endpoint: str, row: Row) -> Variant:
    container = models.find(cloud, row["ModelName"])["Runs"]
    seconds = row.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS) / SCALE
    spec = Spec(endpoint, row["VariantName"], container, seconds)
    servers = [Server(cloud, spec) for _ in range(row["InitialInstanceCount"])]
    return Variant({**row, "Deployed": now()}, container["Image"], servers)
