"""One update of an endpoint: the steps that guardrails.py lists, from its old fleet to a new one, or back again."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import endpoints, guardrails
from .endpoints import Endpoint
from .fleet import Fleet, Variant
from .guard import Guard, GuardError
from .guardrails import Config, Step
from .server import ServerError
from .store import Row, lock, now

if TYPE_CHECKING:
    from ..cloud import Cloud

STUCK = "UpdateRollbackFailed"
# VariantStatus and what it says
_MESSAGES = {
    "Creating": "Creating instances of the new fleet",
    "ActivatingTraffic": "Turning on traffic for the new fleet",
    "Baking": "Waiting while the alarms of the automatic rollback are watched",
    "Updating": "Changing the number of instances",
    "Deleting": "Terminating the new fleet",
}


class Deployment:
    """An update that has been accepted: made under SageMaker's lock, run in a thread of its own.

    `config` is the new endpoint configuration, `policy` the DeploymentConfig that is carried out.
    """

    def __init__(self, cloud: "Cloud", endpoint: Endpoint, old: Fleet, config: Row, policy: Config) -> None:
        self._cloud, self._endpoint, self._policy = cloud, endpoint, policy
        self._old, self._before = old, endpoint.shifted
        self._old_count = sum(len(variant.servers) for variant in old.variants)
        self._counts = {row["VariantName"]: row["InitialInstanceCount"] for row in _rows(config)}
        self._new_count = sum(row["InitialInstanceCount"] for row in config["ProductionVariants"])
        self._steps = guardrails.steps(policy, self._old_count, self._new_count)
        self._rolling = "RollingUpdatePolicy" in policy
        self._new = Fleet(cloud, endpoint.name, _starting(config, self._steps[0].new) if self._rolling else config)
        self._old.told_apart = self._new.told_apart = bool(guardrails.alarms(policy))
        self._reached = 0
        self._started = now()
        self._note("Creating")

    def run(self) -> None:
        """Bring the endpoint to the new configuration; back to the old one if an alarm or a container says so."""
        try:
            with Guard(self._cloud, guardrails.alarms(self._policy), guardrails.maximum(self._policy)) as guard:
                self._shift(guard)
        except (GuardError, ServerError) as error:
            self._roll_back(str(error))
        except Exception as error:  # noqa: BLE001 whatever it is, the endpoint must leave its passing state
            self._roll_back(f"InternalServerError: {type(error).__name__}: {error}")
        else:
            self._finish()

    def summary(self) -> Row:
        """PendingDeploymentSummary."""
        name = self._new.config["EndpointConfigName"]
        row = {"EndpointConfigName": name, "ProductionVariants": self._pending(self._new.variants)}
        shadows = {"ShadowProductionVariants": self._pending(self._new.shadows)} if self._new.shadows else {}
        return {**row, **shadows, "StartTime": self._started}

    def _shift(self, guard: Guard) -> None:
        guard.check()
        self._new.start()
        for step in self._steps:
            self._resize(self._new, step.new)
            guard.check()
            self._note("ActivatingTraffic")
            if not self._rolling:  # all of the new fleet has started, and only a part of it is turned on
                self._new.activate(step.new, self._new_count)
            self._turn(step)
            self._note("Baking")
            guard.wait(step.wait)
            if step is not self._steps[-1]:  # the last of the old fleet goes when nothing leads back any more
                self._resize(self._old, step.old)

    def _turn(self, step: Step) -> None:
        with lock(self._cloud):
            self._endpoint.shifted = (self._new, step.share) if step.new else self._before
            self._reached = step.new

    def _resize(self, fleet: Fleet, count: int) -> None:
        """In a rolling update, start or drain and stop instances; it has one variant only."""
        variant = fleet.variants[0]
        if not self._rolling or variant.desired_count == count:
            return
        if fleet is self._new:
            self._note("Updating")
        variant.desired_count = count
        fleet.adjust()

    def _finish(self) -> None:
        left = [self._old, *([self._before[0]] if self._before else [])]
        with lock(self._cloud):
            self._endpoint.fleet, self._endpoint.shifted = self._new, None
        self._close(self._new.config["EndpointConfigName"], EndpointStatus="InService")
        for fleet in left:
            fleet.retire()

    def _roll_back(self, reason: str) -> None:
        endpoints.change(self._cloud, self._endpoint, EndpointStatus="RollingBack")
        name = str(self._endpoint.row["EndpointConfigName"])
        try:
            left = len(self._old.variants[0].servers)
            for step in guardrails.rollback(self._policy, self._old_count, self._new_count, self._reached, left):
                self._resize(self._old, step.old)
                self._turn(step)
                if step.new:
                    self._resize(self._new, step.new)
        except Exception as error:  # noqa: BLE001 the endpoint must leave its passing state, serving both
            self._close(name, EndpointStatus=STUCK, FailureReason=f"{reason} The rollback failed: {error}"[:1024])
            return
        self._note("Deleting")
        self._new.retire()
        self._close(name, EndpointStatus=STUCK if self._before else "InService", FailureReason=reason[:1024])

    def _close(self, name: str, **members: Any) -> None:
        """The update is over and `name` the endpoint's configuration."""
        endpoint = self._endpoint
        with lock(self._cloud):
            endpoint.row["EndpointConfigName"] = name
            mixed = {str(endpoint.shifted[0].config["EndpointConfigName"])} if endpoint.shifted else set()
            endpoint.configs, endpoint.pending = {name, *mixed}, None
            endpoints.change(self._cloud, endpoint, **members)

    def _note(self, status: str) -> None:
        self._status = {"Status": status, "StatusMessage": _MESSAGES[status], "StartTime": now()}

    def _pending(self, variants: Iterable[Variant]) -> list[Row]:
        """PendingProductionVariantSummary of each variant."""
        share = self._reached / self._new_count
        return [
            {
                **variant.description(),
                "CurrentWeight": variant.weight * share,
                "CurrentInstanceCount": sum(server.serving for server in variant.servers),
                "DesiredInstanceCount": self._counts[variant.name],
                "InstanceType": variant.row["InstanceType"],
                "VariantStatus": [self._status],
            }
            for variant in variants
        ]


def _rows(config: Row) -> list[Row]:
    return [*config["ProductionVariants"], *config.get("ShadowProductionVariants", [])]


def _starting(config: Row, count: int) -> Row:
    """The configuration of a single variant with only its first instances."""
    (variant,) = config["ProductionVariants"]
    return {**config, "ProductionVariants": [{**variant, "InitialInstanceCount": count}]}
