"""Instances and weights that somebody set on a running endpoint: said, proposed to git or put back, as policy asks.

The config stays the one that git asks for, so this is no deployment: nothing is rolled out, nothing is verified anew.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitops import deployment, policy, specs
from gitops.delivery import autoscaling
from gitops.delivery.converge import HeldError
from gitops.delivery.endpoint import Endpoint
from gitops.delivery.order import Cloud, Order, Site
from gitops.deployment import VARIANT
from gitops.errors import GitopsError
from gitops.events import origin
from gitops.hosts import Change as Proposal
from pipelines import rewriting
from pipelines.errors import ProjectError

COUNT, WEIGHT = "DesiredInstanceCount", "DesiredWeight"
# what UpdateEndpointWeightsAndCapacities changes, beside where the config has it
CHANGEABLE = {COUNT: "InitialInstanceCount", WEIGHT: "InitialVariantWeight"}
SECTIONS = {VARIANT: "serving", "challenger": "challenger", "shadow": "shadow"}  # a variant's, in its deploy file
Row = Mapping[str, Any]  # of DescribeEndpoint's variants


@dataclass(frozen=True)
class Drift:
    """One field of one variant that is not as git asks."""

    variant: str
    field: str
    live: float
    asked: float

    def __str__(self) -> str:
        return f"{self.variant}: {self.field} is {self.live:g}, git asks for {self.asked:g}"


def drift(config: Mapping[str, Any], variants: Iterable[Row], delegated: Collection[str]) -> list[Drift]:
    """Where the live `variants` differ from their config in what can be changed without one: pure.

    `delegated` fields of production variants belong to somebody else, and are no drift.
    """
    shadows = {one["VariantName"]: one for one in config.get("ShadowProductionVariants", ())}
    asked = {one["VariantName"]: one for one in config["ProductionVariants"]} | shadows
    found = []
    for variant in variants:
        name = variant["VariantName"]
        owned = () if name in shadows else delegated
        for field, initial in CHANGEABLE.items():
            wanted = asked[name][initial]
            # a weight is a float of 32 bits on its way, so 0.1 may come back as 0.100000001
            if field in variant and field not in owned and not math.isclose(variant[field], wanted, rel_tol=1e-5):
                found.append(Drift(name, field, variant[field], wanted))
    return found


def restored(found: Iterable[Drift]) -> list[dict[str, Any]]:
    """UpdateEndpointWeightsAndCapacities' rows that undo the drift, one for each variant: pure."""
    rows: dict[str, dict[str, Any]] = {}
    for one in found:
        rows.setdefault(one.variant, {"VariantName": one.variant})[one.field] = one.asked
    return list(rows.values())


def edits(found: Iterable[Drift], variants: Iterable[Row]) -> dict[str, dict[str, float]]:
    """Section of the deploy file -> the keys that say what is live: pure.

    GitopsError for a weight that the file has no word for: that of a variant which answers alone.
    """
    weights = {one["VariantName"]: one[WEIGHT] for one in variants}
    changed: dict[str, dict[str, float]] = {}
    for one in found:
        if one.field == COUNT:
            changed.setdefault(SECTIONS[one.variant], {})["instances"] = int(one.live)
            continue
        other = next((name for name in ("challenger", "shadow") if name in weights), None)
        if other is None:
            raise GitopsError(f"{one}, and a deploy file has no word for the weight of what answers alone")
        whole = weights[VARIANT] + (weights[other] if other == "challenger" else 0)
        changed.setdefault(other, {})["share"] = round(weights[other] / whole, 6) if whole else 1.0
    return changed


@dataclass(frozen=True)
class Capacity:
    """The instances and weights of one endpoint, under the lease that `endpoint` holds."""

    cloud: Cloud
    site: Site
    order: Order
    endpoint: Endpoint
    seconds: float  # until nobody waits any longer

    def settle(self) -> None:
        """What a hand changed is dealt with; HeldError if it is left for now, GitopsError if a person has to look."""
        found = self._found()
        if not found:
            self.endpoint.healed()
            return
        rules = policy.read(self.site.host, self.site.place.environment)
        why = policy.held(rules, self.endpoint.lease.now(), back=False)
        if why:
            raise HeldError(f"{self._said(found)}; not done: heal; {why}")
        if origin.standing(self.site.host, self.site.commit, self.site.root, self.order.path) is not (
            origin.Standing.CURRENT
        ):
            raise GitopsError("a newer version of the file came meanwhile")
        ANSWERS[rules.drift](self, found)

    def report(self, found: list[Drift]) -> None:
        """Said as a failure, so that somebody looks."""
        rules = policy.path(self.site.place.environment)
        raise GitopsError(f"{self._said(found)}; {rules} says drift: report, so it is left as it is")

    def heal(self, found: list[Drift]) -> None:
        """Put back what git asks for, once for each drift: the attempt is noted before the call."""
        note = specs.digest([self.order.spec.digest, *map(str, found)])[:12]
        if self.endpoint.tried(note):
            raise GitopsError(
                f"{self._said(found)}; putting it back was tried and did not hold; see the endpoint's events and "
                "the instance quota, or raise retry to try again"
            )
        self.site.say(f"{self._said(found)}; putting it back")
        self._stop_scaling(found)
        self.endpoint.adjust(restored(found), note)
        self.endpoint.wait(self.site.clock.monotonic() + self.seconds, self.site.say)
        left = self._found()
        if left:
            raise GitopsError(f"{self._said(left)}; it was put back and is not as asked: see the endpoint's events")
        self.endpoint.healed()

    def _stop_scaling(self, found: list[Drift]) -> None:
        """What somebody had scaled without git's leave would be scaled again after this, and so for ever."""
        counted = [one.variant for one in found if one.field == COUNT]
        if not counted:
            return
        client, name = self.cloud.client(autoscaling.SERVICE), self.endpoint.name
        scaled = autoscaling.registered(client, name, counted)
        if scaled:
            self.site.say(f"{name}: drift: {', '.join(scaled)} is scaled, of which git says nothing; taking it off")
            autoscaling.carry_out(client, autoscaling.ended(name, scaled))

    def propose(self, found: list[Drift]) -> None:
        """A request that writes what is live into the deploy file, once; one that was closed is not made again."""
        site, name, environment = self.site, self.order.desired.model, self.site.place.environment
        head = site.host.head()
        edited = self._edited(site.host.read(self.order.path, head) or "", found)
        stem = f"drift/{environment}/{name}-"
        branch = f"{stem}{specs.digest(edited)[:12]}"
        known = {request.state: request for request in site.host.find(branch)}
        if "closed" in known and "opened" not in known:
            raise GitopsError(
                f"{self._said(found)}; {known['closed'].url} would have written that into git, and is closed"
            )
        if "opened" not in known:
            for older in site.host.opened(stem):
                site.host.close(older, "The endpoint was changed again meanwhile.")
            title = f"Write into git how {environment} runs {name}: {_words(found)}"
            known["opened"] = site.host.open(
                Proposal(branch, title, self._body(found), {self.order.path: edited}), head
            )
        request = known["opened"]
        raise HeldError(f"{self._said(found)}; proposed to git by {request.url}, and left as it is")

    def _found(self) -> list[Drift]:
        delegated = autoscaling.DELEGATED if self.order.desired.autoscaling else ()
        return drift(self.order.spec.config, self.endpoint.variants(), delegated)

    def _said(self, found: Iterable[Drift]) -> str:
        return f"{self.order.spec.endpoint}: drift: {'; '.join(map(str, found))}"

    def _edited(self, text: str, found: list[Drift]) -> str:
        """The deploy file as it would have to be; GitopsError where a deploy file may not say that."""
        path, edited = Path(self.order.path), text
        try:
            for section, values in edits(found, self.endpoint.variants()).items():
                edited = rewriting.with_values(path, edited, section, values)
            deployment.load(path, edited)
            if edited == text:
                raise GitopsError("the shares are those the file has, by other weights")
        except ProjectError as error:
            raise GitopsError(
                f"{self._said(found)}; that cannot be proposed ({error}); drift: heal puts it back"
            ) from error
        return edited

    def _body(self, found: list[Drift]) -> str:
        lines = "\n".join(f"* {one}" for one in found)
        return (
            f"**Somebody changed `{self.order.spec.endpoint}` outside git**, with no other config:\n\n{lines}\n\n"
            "Merging makes git say what is live, and trains nothing. Closing leaves it as it is; reconcile goes on "
            f"saying so until it is put back, or `{policy.path(self.site.place.environment)}` says `drift: heal`.\n"
        )


def _words(found: Iterable[Drift]) -> str:
    return ", ".join(f"{one.variant} {one.field} {one.live:g}" for one in found)


ANSWERS: Mapping[str, Callable[[Capacity, list[Drift]], None]] = {
    "report": Capacity.report,
    "propose": Capacity.propose,
    "heal": Capacity.heal,
}
