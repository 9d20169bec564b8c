"""Decide and act until an endpoint is what its deploy file asks for. decide.py decides; policy.py may hold it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws, policy
from gitops.delivery import autoscaling, divergence, excerpt
from gitops.delivery.decide import Action, Desired, Kind, Observed, decide
from gitops.delivery.divergence import Live
from gitops.delivery.endpoint import SCALED, Endpoint
from gitops.delivery.order import Cloud, Order, RejectedError, Site
from gitops.delivery.verify import Verifier
from gitops.errors import GitopsError
from gitops.events import origin
from gitops.policy import Policy

STEPS_LIMIT = 20  # decisions for one endpoint; more would be a loop


class HeldError(GitopsError):
    """The environment's policy says not now: no failure, and said in one line."""


@dataclass(frozen=True)
class Converger:
    """One endpoint, one order, under the lease that `endpoint` holds."""

    cloud: Cloud
    site: Site
    order: Order
    endpoint: Endpoint
    seconds: float  # until nobody waits any longer, beside what the rollout itself takes

    def run(self) -> None:
        """Until the endpoint is in service with the order's config.

        HeldError if the policy holds it back, RejectedError if this very spec was rolled back, else GitopsError.
        """
        spec, clock = self.order.spec, self.site.clock
        asked = Desired(spec.config["EndpointConfigName"], spec.digest, self.order.desired.allow_recreate)
        deadline = clock.monotonic() + self.seconds + self.order.desired.rollout.waiting_seconds
        observed = self.endpoint.observe()
        for _ in range(STEPS_LIMIT):
            action = decide(asked, observed)
            if action.kind is Kind.VERIFY:
                return self._scale()
            if action.kind is not Kind.WAIT:
                self._act(action, observed)
            observed = self.endpoint.wait(deadline, self.site.say)
        raise GitopsError(f"{spec.endpoint}: does not come to rest; see its events, then reconcile again")

    def _scale(self) -> None:
        """Tell Application Auto Scaling what git asks, or that it is over where it was told before."""
        wanted = self.order.desired.autoscaling is not None
        if not wanted and not self._told:
            return
        if policy.read(self.site.host, self.site.place.environment).paused:
            self.site.say(f"{self.endpoint.name}: not done: autoscaling; paused")
            return
        names = [variant["VariantName"] for variant in self.order.spec.config["ProductionVariants"]]
        calls = autoscaling.calls(self.endpoint.name, names, self.order.desired)
        self.endpoint.scaled("yes")  # before the calls: after a crash somebody still knows that they may be made
        autoscaling.carry_out(self.cloud.client(autoscaling.SERVICE), calls)
        if not wanted:
            self.endpoint.scaled("")

    @property
    def _told(self) -> bool:
        """True if Application Auto Scaling was told of this endpoint."""
        return bool(self.endpoint.tag(SCALED))

    def _hand_over(self) -> Mapping[str, Any]:
        """What the update leaves alone: the counts of an endpoint that autoscaling was told of, and still should be.

        A variant that the update takes away, or gives another instance type, is taken off autoscaling before it.
        """
        if not self._told:
            return {}
        names = autoscaling.given_up(self.endpoint.config(), self.order.spec.config)
        if names:
            ended = autoscaling.ended(self.endpoint.name, names)
            autoscaling.carry_out(self.cloud.client(autoscaling.SERVICE), ended)
            self.site.say(f"{self.endpoint.name}: off autoscaling for the update: {', '.join(names)}")
        return autoscaling.RETAINED if self.order.desired.autoscaling else {}

    def _act(self, action: Action, observed: Observed | None) -> None:
        """Make the one call the action names, unless policy or a newer commit says otherwise."""
        self._refuse(action, observed)
        serving = observed is not None and observed.status == "InService"
        found = divergence.live(self.cloud.sagemaker, self.endpoint.config()) if serving else None
        rules = policy.read(self.site.host, self.site.place.environment)
        self._permit(action, found, rules, self._back(action, observed, found))
        if origin.standing(self.site.host, self.site.commit, self.site.root, self.order.path) is not (
            origin.Standing.CURRENT
        ):
            raise GitopsError("a newer version of the file came meanwhile")
        self.site.say(f"{self.order.spec.endpoint}: {action.kind}: {action.reason}")
        try:
            self._call(action)
        except ClientError as error:
            if not aws.busy(error):
                raise
            self.site.say(f"{self.order.spec.endpoint}: another build is at work on it; waiting")

    def _refuse(self, action: Action, observed: Observed | None) -> None:
        """Raises where the decision is not to act; the containers' last words come first, if it was a failure."""
        if action.kind not in {Kind.REFUSE, Kind.NOTHING, Kind.CLOSED}:
            return
        if observed and observed.attempted(self.order.spec.digest):
            for line in excerpt.last_words(self.cloud.client("logs"), self.endpoint.name, observed.attempt_modified):
                self.site.say(f"{self.endpoint.name}: log: {line}")
        raise RejectedError(action.reason) if action.kind is Kind.CLOSED else GitopsError(action.reason)

    def _back(self, action: Action, observed: Observed | None, found: Live | None) -> bool:
        """True if this leads back: to an earlier version, or to what last proved itself."""
        release = self.order.desired.release
        if observed is None or found is None or release is None or action.kind is Kind.DRIFT:
            return False
        return release.version < found.version or observed.verified == self.order.spec.config["EndpointConfigName"]

    def _permit(self, action: Action, found: Live | None, rules: Policy, back: bool) -> None:
        """HeldError where the policy says not now, or that drift is only reported."""
        name = self.order.spec.endpoint
        why = policy.held(rules, self.endpoint.lease.now(), back)
        if why:
            raise HeldError(f"{name}: not done: {action.kind} ({action.reason}); {why}")
        if action.kind is not Kind.DRIFT or found is None or rules.drift == "heal":
            return
        if rules.drift == "propose":
            divergence.propose(self.site, self.order, found)
            raise HeldError(f"{name}: drift: {action.reason}; proposed to git, and left as it is")
        raise GitopsError(
            f"{name}: drift: {action.reason}; {policy.path(self.site.place.environment)} says drift: report, so "
            "it is left as it is"
        )

    def _call(self, action: Action) -> None:
        spec = self.order.spec
        if action.kind is Kind.RECREATE:
            self.endpoint.delete()  # and created in the next round, when it is gone
            return
        self.endpoint.ensure(spec)
        if action.kind is Kind.CREATE:
            self.endpoint.create(spec)
            return
        before = Verifier(self.cloud, self.order, self.endpoint, self.site.say).before()
        self.endpoint.update(spec, before, self._hand_over())
