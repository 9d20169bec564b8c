"""Decide and act until an endpoint is what its deploy file asks for. decide.py decides; policy.py may hold it back."""

from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from gitops import autoscaling, aws, drift, excerpt, origin, policy
from gitops.decide import Action, Desired, Kind, Observed, decide
from gitops.drift import Live
from gitops.endpoint import SCALED, Endpoint
from gitops.errors import GitopsError
from gitops.order import Cloud, Order, RejectedError, Site
from gitops.policy import Policy
from gitops.verify import Verifier

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
        scaled = self._scaled()
        observed = self.endpoint.observe()
        for _ in range(STEPS_LIMIT):
            action = decide(asked, observed)
            if action.kind is Kind.VERIFY:
                return self._scale(scaled)
            if action.kind is not Kind.WAIT:
                self._act(action, observed, scaled)
            observed = self.endpoint.wait(deadline, self.site.say)
        raise GitopsError(f"{spec.endpoint}: does not come to rest; see its events, then reconcile again")

    def _scaled(self) -> bool:
        """True if Application Auto Scaling is to be told: it is wanted, and it answers."""
        if self.order.desired.autoscaling is None:
            return False
        return autoscaling.answers(self.cloud.service(autoscaling.SERVICE), self.order.spec.endpoint, self.site.say)

    def _scale(self, scaled: bool) -> None:
        """Tell it, or that it is over where it was told before."""
        if not scaled and (self.order.desired.autoscaling is not None or not self.endpoint.tag(SCALED)):
            return
        names = [variant["VariantName"] for variant in self.order.spec.config["ProductionVariants"]]
        autoscaling.carry_out(self.cloud.service(autoscaling.SERVICE), self.endpoint.name, names, self.order.desired)
        self.endpoint.scaled("yes" if scaled else "")

    def _act(self, action: Action, observed: Observed | None, scaled: bool) -> None:
        """Make the one call the action names, unless policy or a newer commit says otherwise."""
        self._refuse(action, observed)
        found = drift.live(self.cloud.sagemaker, self.endpoint.config()) if observed and observed.config else None
        rules = policy.read(self.site.host, self.site.place.environment)
        self._permit(action, found, rules)
        if origin.standing(self.site.host, self.site.commit, self.site.root, self.order.path) is not (
            origin.Standing.CURRENT
        ):
            raise GitopsError("a newer version of the file came meanwhile")
        self.site.say(f"{self.order.spec.endpoint}: {action.kind}: {action.reason}")
        try:
            self._call(action, scaled)
        except ClientError as error:
            if not aws.busy(error):
                raise
            self.site.say(f"{self.order.spec.endpoint}: another build is at work on it; waiting")

    def _refuse(self, action: Action, observed: Observed | None) -> None:
        """Raises where the decision is not to act; the containers' last words come first, if it was a failure."""
        if action.kind not in {Kind.REFUSE, Kind.NOTHING, Kind.CLOSED}:
            return
        if observed and observed.attempted(self.order.spec.digest):
            for line in excerpt.last_words(self.cloud.service("logs"), self.endpoint.name, observed.attempt_modified):
                self.site.say(f"{self.endpoint.name}: log: {line}")
        raise RejectedError(action.reason) if action.kind is Kind.CLOSED else GitopsError(action.reason)

    def _permit(self, action: Action, found: Live | None, rules: Policy) -> None:
        """HeldError where the policy says not now, or that drift is only reported."""
        name, release = self.order.spec.endpoint, self.order.desired.release
        back = found is not None and release is not None and release.version < found.version
        why = policy.held(rules, self.site.clock.now(), back)
        if why:
            raise HeldError(f"{name}: not done: {action.kind} ({action.reason}); {why}")
        if action.kind is not Kind.DRIFT or found is None or rules.drift == "heal":
            return
        if rules.drift == "propose":
            drift.propose(self.site, self.order, found)
            raise HeldError(f"{name}: drift: {action.reason}; proposed to git, and left as it is")
        raise GitopsError(
            f"{name}: drift: {action.reason}; {Path(policy.path(self.site.place.environment))} says drift: report, so "
            "it is left as it is"
        )

    def _call(self, action: Action, scaled: bool) -> None:
        spec = self.order.spec
        if action.kind is Kind.RECREATE:
            self.endpoint.delete()  # and created in the next round, when it is gone
            return
        self.endpoint.ensure(spec)
        if action.kind is Kind.CREATE:
            self.endpoint.create(spec)
            return
        before = Verifier(self.cloud, self.order, self.endpoint, self.site.say).before()
        self.endpoint.update(spec, before, autoscaling.RETAINED if scaled else {})
