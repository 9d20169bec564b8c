"""Success is not a status: an endpoint in service still has to answer as its archives promised, and in time."""

from dataclasses import dataclass

from gitops.delivery import golden
from gitops.delivery.endpoint import ATTEMPT_P99, Endpoint
from gitops.delivery.order import Cloud, Order, RejectedError, Say
from gitops.deployment import VARIANT
from gitops.errors import GitopsError

SCALING_SECONDS = 900.0  # for which a change of the number of instances is waited for
NOISE_MS = 5.0  # a p99 that is worse by less is no regression: it is measured over a network


@dataclass(frozen=True)
class Verifier:
    """Asks one endpoint what its archives promise."""

    cloud: Cloud
    order: Order
    endpoint: Endpoint
    say: Say

    def prove(self) -> float:
        """Every variant answers right and in time: the p99 of the slowest, in milliseconds.

        RejectedError if not, GitopsError if somebody interferes.
        """
        spec, name = self.order.spec, self.order.spec.endpoint
        found = [self._ask(variant["VariantName"]) for variant in spec.config["ProductionVariants"]]
        self._compare()
        # again: golden requests prove nothing of a config that was replaced meanwhile; autoscaling may be at work
        clock = self.endpoint.clock
        observed = self.endpoint.wait(clock.monotonic() + SCALING_SECONDS, lambda line: None)
        if not observed or (observed.status, observed.config) != ("InService", spec.config["EndpointConfigName"]):
            raise GitopsError(f"{name}: was changed while it was verified; reconcile again")
        count = sum(asked for asked, _ in found)
        self.say(f"{name}: in service and verified: {count} golden request{'s' * (count != 1)}")
        return max(milliseconds for _, milliseconds in found)

    def _ask(self, variant: str) -> tuple[int, float]:
        """One variant's golden requests: how many, and their p99; RejectedError for one that is wrong or too late."""
        name, desired = self.order.spec.endpoint, self.order.desired
        requests = self.order.requests[desired.releases[variant].id]
        # with one variant its name is left out, as any other caller does
        target = variant if len(self.order.spec.config["ProductionVariants"]) > 1 else None
        wrong, milliseconds = golden.replay(self.cloud.runtime, name, requests, target)
        if wrong:
            shown = f"{name}{f' ({variant})' * bool(target)}"
            raise RejectedError(f"{shown}: {len(wrong)} of {len(requests)} golden requests fail; {wrong[0]}")
        limit = desired.verify.max_p99_ms
        if limit is not None and milliseconds > limit:
            raise RejectedError(f"{name}: p99 of golden requests is {milliseconds:.0f} ms, verify allows {limit:g}")
        self.say(f"{name}: {variant}: golden requests answered, p99 {milliseconds:.0f} ms")
        return len(requests), milliseconds

    def _compare(self) -> None:
        """No slower than the champion: beside it where both answer, else than what it took before the update."""
        ratio, name = self.order.desired.verify.max_p99_ratio, self.order.spec.endpoint
        if ratio is None:
            return
        if self.order.desired.challenger:
            found = self._load((VARIANT, "challenger"))
            before, after = found.get(VARIANT), found.get("challenger")
        else:
            noted = self.endpoint.tag(ATTEMPT_P99)
            before, after = (float(noted), self._load((None,)).get(None)) if noted else (None, None)
        if before is None or after is None:
            return  # nothing served before, or nothing that answers these requests
        self.say(f"{name}: p99 under load {after:.1f} ms, the champion's {before:.1f} ms")
        problem = regression(before, after, ratio)
        if problem:
            raise RejectedError(f"{name}: {problem}")

    def _load(self, variants: tuple[str | None, ...]) -> dict[str | None, float]:
        release = self.order.desired.releases[VARIANT]
        requests, timer = self.order.requests[release.id], self.endpoint.clock.monotonic
        return golden.load(self.cloud.runtime, self.order.spec.endpoint, requests, variants, timer)

    def before(self) -> float | None:
        """p99 in ms of what serves now, asked as what comes will be; None where nobody wants to compare."""
        if self.order.desired.verify.max_p99_ratio is None or self.order.desired.challenger:
            return None
        return self._load((None,)).get(None)


def regression(before: float, after: float, ratio: float) -> str:
    """What is wrong with a p99 of `after` ms where the champion's is `before`; empty if nothing. Pure."""
    if after <= before * ratio or after - before <= NOISE_MS:
        return ""
    return f"p99 is {after:.1f} ms, the champion's {before:.1f} ms; verify allows {ratio:g} times that"
