"""The servers behind an endpoint's variants: started together, chosen by weight, scaled and drained."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import models, traffic
from .capture import Capture
from .exchange import Call, Exchange, perform
from .server import Server, Spec
from .shadow import Shadow
from .store import Row, lock, now

if TYPE_CHECKING:
    from ..cloud import Cloud

# SageMaker lets a container take 8 minutes to become healthy, or as long as the variant says; here a twentieth
STARTUP_SECONDS = 480.0
SCALE = 20.0
DRAIN_SECONDS = 60.0
TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"


@dataclass
class Variant:
    """A variant that serves. What it is to become while its endpoint is Updating is in the `desired` fields.

    Of its servers only the first `active` get requests; None for all.
    """

    row: Row
    spec: Spec
    servers: list[Server]
    weight: float
    desired_weight: float
    desired_count: int
    active: int | None = None

    @property
    def name(self) -> str:
        return str(self.row["VariantName"])

    def description(self) -> Row:
        """ProductionVariantSummary."""
        image = self.spec.container["Image"]
        return {
            "VariantName": self.name,
            "DeployedImages": [
                {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": self.row["Deployed"]}
            ],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.desired_weight,
            "CurrentInstanceCount": len(self.servers),
            "DesiredInstanceCount": self.desired_count,
        }


class Fleet:
    """Everything that serves one endpoint configuration. Metrics of its own are kept while it is `told_apart`."""

    def __init__(self, cloud: "Cloud", endpoint: str, config: Row) -> None:
        self.config = config
        self.told_apart = False
        self._cloud = cloud
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._retired = False
        with lock(cloud):
            self.variants = [_variant(cloud, endpoint, row) for row in config["ProductionVariants"]]
            self.shadows = [_variant(cloud, endpoint, row) for row in config.get("ShadowProductionVariants", [])]
        captured = config.get("DataCaptureConfig", {})
        self._capture = Capture(cloud, endpoint, captured) if captured.get("EnableCapture") else None
        self._copies = Shadow(f"shadow {endpoint}", self._answer_copy) if self.shadows else None

    def start(self) -> None:
        """Bring every server to health, or raise the first ServerError (what has started then waits for `stop`)."""
        for server in self._servers():
            server.start()

    def activate(self, part: int, whole: int) -> None:
        """Give requests to this part of every variant's servers, rounded up."""
        with self._lock:
            for variant in self.variants:
                variant.active = -(-len(variant.servers) * part // whole) if part < whole else None

    def acquire(self, target: str | None) -> tuple[Variant, Server] | None:
        """A server of the target variant, or of one drawn by weight; None if there is none, or no more."""
        with self._lock:
            variant = None if self._retired else _drawn(self.variants, target)
            return (variant, _taken(variant)) if variant else None

    def release(self, server: Server) -> None:
        """The request is answered."""
        with self._idle:
            server.in_flight -= 1
            self._idle.notify_all()

    def captures(self) -> bool:
        """Whether the next call is to be captured."""
        return self._capture is not None and self._capture.sampled()

    def observe(self, exchange: Exchange, overhead: float | None) -> None:
        """Count an answered call, capture it if that was decided, and perhaps have a copy of it answered."""
        name = str(self.config["EndpointConfigName"]) if self.told_apart else ""
        traffic.record(self._cloud, self._endpoint, exchange, overhead, name)
        if self._capture and exchange.call.captured:
            self._capture.record(exchange)
        if self._copies and overhead is not None:
            self._copies.offer(exchange.call, _share(self.variants[0], self.shadows[0]))

    def _answer_copy(self, call: Call) -> None:
        """Have the shadow variant answer; it is not told which variant the original was for."""
        variant = self.shadows[0]
        headers = {name: value for name, value in call.headers.items() if name != TARGET_VARIANT}
        with self._lock:
            server = _taken(variant)
        try:
            exchange = perform(variant, server, replace(call, headers=headers))
        finally:
            self.release(server)
        self.observe(exchange, None)

    def adjust(self) -> None:
        """Bring every variant to what is desired of it: new servers first, then the weights, then the drained end.

        ServerError if a new server never became healthy; nothing has changed then.
        """
        added = {variant.name: self._added(variant) for variant in self.all_variants}
        try:
            for servers in added.values():
                for server in servers:
                    server.start()
        except Exception:
            _stop([server for servers in added.values() for server in servers])
            raise
        with self._lock:
            surplus = []
            for variant in self.all_variants:
                servers = [*variant.servers, *added[variant.name]]
                variant.servers, rest = servers[: variant.desired_count], servers[variant.desired_count :]
                variant.weight = variant.desired_weight
                surplus += rest
        self._drain(surplus)
        _stop(surplus)

    def retire(self) -> None:
        """Wait until nothing is in flight any more, then stop; new requests already go elsewhere."""
        with self._lock:
            self._retired = True
        self._drain([server for variant in self.variants for server in variant.servers])
        self.stop()

    def stop(self) -> None:
        """Stop every server at once; what was captured is written first."""
        if self._copies:
            self._copies.close()
        if self._capture:
            self._capture.close()
        _stop(self._servers())

    @property
    def all_variants(self) -> list[Variant]:
        """Those in production, and the shadow."""
        return [*self.variants, *self.shadows]

    def _added(self, variant: Variant) -> list[Server]:
        return [Server(self._cloud, variant.spec) for _ in range(variant.desired_count - len(variant.servers))]

    def _drain(self, servers: Sequence[Server]) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        with self._idle:
            while any(server.in_flight for server in servers) and time.monotonic() < deadline:
                self._idle.wait(0.5)

    def _servers(self) -> list[Server]:
        return [server for variant in self.all_variants for server in variant.servers]


def _share(production: Variant, shadow: Variant) -> float:
    """The part of the requests that the shadow gets a copy of: its weight relative to the other's, at most all."""
    return min(shadow.weight / production.weight, 1.0) if production.weight else float(shadow.weight > 0)


def _taken(variant: Variant) -> Server:
    """The least busy server of a variant, one request busier; one whose container is down only if all are."""
    server = min(variant.servers[: variant.active], key=lambda item: (not item.serving, item.in_flight))
    server.in_flight += 1
    return server


def _drawn(variants: Sequence[Variant], target: str | None) -> Variant | None:
    """The variant that answers one request; one without weight only answers who asks for it by name."""
    if target is not None:
        return next((variant for variant in variants if variant.name == target), None)
    weights = [variant.weight for variant in variants]
    return random.choices(variants, weights)[0] if sum(weights) > 0 else None  # noqa: S311 traffic shares are no secret


def _stop(servers: Sequence[Server]) -> None:
    threads = [threading.Thread(target=server.stop, daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _variant(cloud: "Cloud", endpoint: str, row: Row) -> Variant:
    container = models.find(cloud, row["ModelName"])["Runs"]
    seconds = row.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS) / SCALE
    name = row["VariantName"]
    spec = Spec(f"production variant {name}", (f"/aws/sagemaker/Endpoints/{endpoint}", name), container, seconds)
    weight, count = float(row["InitialVariantWeight"]), row["InitialInstanceCount"]
    servers = [Server(cloud, spec) for _ in range(count)]
    return Variant({**row, "Deployed": now()}, spec, servers, weight, weight, count)
