"""A finished run becomes proposals: python -m gitops propose --execution <arn>

For each environment of project.yml, by params' release policy: `auto` is a merge request merged by the API,
`merge_request` one left to a person. The first environment's commit carries the evidence. What was proposed
before is not proposed again, so an event that comes twice changes nothing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitops import deployment, ledger
from gitops.deployment import Release
from gitops.errors import GitopsError
from gitops.hosts import Change, ConflictError, Host, Request
from gitops.promotion import precedence, review
from gitops.promotion.candidate import Candidate
from gitops.promotion.precedence import Rank
from pipelines import crash
from pipelines.errors import ProjectError

TRIES = 5  # times to begin again from a fresh head when the branch moved on
Say = Callable[[str], None]


@dataclass(frozen=True)
class Policy:
    """What params and project.yml say about a model's way to production."""

    environments: tuple[str, ...]  # in order; the first one's commit carries the evidence
    release: Mapping[str, str]  # environment -> auto | merge_request


@dataclass(frozen=True)
class Slot:
    """One environment's deploy file at the branch's head."""

    environment: str
    prefix: str  # of the source branches of this model's requests
    path: str
    head: str
    text: str

    @property
    def release(self) -> Release | None:
        return deployment.load(Path(self.path), self.text).release


@dataclass(frozen=True)
class Proposer:
    """Proposes one candidate on one git host."""

    host: Host
    policy: Policy
    candidate: Candidate
    say: Say = print

    def all(self) -> None:
        """Propose the candidate to every environment the policy names; says a line for each."""
        for environment in self.policy.environments:
            if environment in self.policy.release:
                self._environment(environment)

    def _environment(self, environment: str) -> None:
        for _ in range(TRIES):
            slot = self._slot(environment)
            done = self._done(slot)
            if done:
                self.say(f"{environment}: {self.candidate.release.id} {done}")
                return
            try:
                self._propose(slot)
            except ConflictError as error:
                self.say(f"{environment}: {error}; again from its new head")
            else:
                return
        raise GitopsError(f"{environment}: the branch moved {TRIES} times meanwhile; run propose again")

    def _slot(self, environment: str) -> Slot:
        head = self.host.head()
        model = self.candidate.model
        path = f"deploy/{environment}/{model}.yml"
        text = self.host.read(path, head)
        if text is None:
            raise GitopsError(f"{path}: is not on the branch; add it with 'release: null' to deploy {model} there")
        first = environment == self.policy.environments[0]
        prefix = f"release/{model}-" if first else f"promote/{environment}/{model}-"
        return Slot(environment, prefix, path, head, text)

    def _automatic(self, environment: str) -> bool:
        return self.policy.release[environment] == "auto" and self.candidate.verdict == "pass"

    def _done(self, slot: Slot) -> str:
        """Why nothing is left to do; empty if something is."""
        release, current = self.candidate.release, slot.release
        if current and current.id == release.id:
            return "is there already"
        if current and _group(current) == _group(release) and not self._precedes(current, slot.head):
            return f"is superseded: version {current.version} is there"
        states = {request.state: request for request in self.host.find(self._branch(slot))}
        if "merged" in states:
            return f"was proposed and merged before ({states['merged'].url})"
        return "" if self._automatic(slot.environment) else self._waiting(slot, states)

    def _precedes(self, other: Release | None, ref: str) -> bool:
        """Whether the candidate goes before `other`, which a deploy file asks for at that ref."""
        model, commit = self.candidate.model, self.candidate.metadata.get("commit", "")
        theirs = precedence.of_release(self.host, model, other, ref)
        return precedence.precedes(self.host, model, Rank(self.candidate.version, commit), theirs)

    def _waiting(self, slot: Slot, states: Mapping[str, Request]) -> str:
        """Why a person has, or had, what they need to decide; empty if not."""
        if "opened" in states and self._asked_for(slot):
            return f"is proposed already ({states['opened'].url})"
        if "closed" in states:
            return f"was proposed before and turned down ({states['closed'].url})"
        newer = [other for other, theirs in self._others(slot) if not self._precedes(theirs, other.branch)]
        return f"is superseded by {newer[0].title} ({newer[0].url})" if newer else ""

    def _asked_for(self, slot: Slot) -> bool:
        """Whether the candidate's branch asks for exactly it: anybody who may push can name a branch so."""
        text, release = self.host.read(slot.path, self._branch(slot)), self.candidate.release
        try:
            there = deployment.load(Path(slot.path), text).release if text is not None else None
        except ProjectError:
            return False
        return there is not None and there.model_copy(update={"image": release.image}) == release

    def _branch(self, slot: Slot) -> str:
        return slot.prefix + self.candidate.execution.run_id[:12]

    def _others(self, slot: Slot) -> list[tuple[Request, Release | None]]:
        """Open requests for other candidates of this model here, with the release each proposes."""
        found = []
        for request in self.host.opened(slot.prefix):
            rest = request.branch.removeprefix(slot.prefix)
            if request.branch == self._branch(slot) or not re.fullmatch(r"[0-9a-f]{12}", rest):
                continue
            text = self.host.read(slot.path, request.branch)
            release = deployment.load(Path(slot.path), text).release if text is not None else None
            found.append((request, release))
        return found

    def _propose(self, slot: Slot) -> None:
        for left in self.host.find(self._branch(slot)):
            if left.state == "opened":  # by a run that was killed, or by anybody: only what is written here is merged
                self.host.close(left, "Begun again from the branch's head.")
        crash.point("propose:before-request")
        request = self.host.open(self._change(slot), slot.head)
        crash.point("propose:after-request")
        self.say(f"{slot.environment}: {request.title} ({request.url})")
        for other, theirs in self._others(slot):
            if self._precedes(theirs, other.branch):
                self.host.close(other, f"A newer candidate is proposed: {request.title}, {request.url}")
                self.say(f"{slot.environment}: closed the older {other.title} ({other.url})")
        crash.point("propose:after-close")
        if not self._automatic(slot.environment):
            return
        try:
            sha = self.host.merge(request)
        except ConflictError:
            self.host.close(request, "The branch moved on; proposed again from its new head.")
            raise
        crash.point("propose:after-merge")
        self.say(f"{slot.environment}: merged as {sha[:12]}")

    def _release(self, slot: Slot) -> Release:
        """The candidate in the image that serves in the first environment: training says nothing about images."""
        first = f"deploy/{self.policy.environments[0]}/{self.candidate.model}.yml"
        text = slot.text if first == slot.path else self.host.read(first, slot.head)
        serving = deployment.load(Path(first), text).release if text is not None else None
        release = self.candidate.release
        return release.model_copy(update={"image": serving.image}) if serving else release

    def _change(self, slot: Slot) -> Change:
        candidate = self.candidate
        edited = deployment.with_release(slot.text, self._release(slot), Path(slot.path))
        files = {slot.path: edited}
        record = ledger.path(candidate.model, candidate.release.id)
        if slot.environment == self.policy.environments[0] and self.host.blob(record, slot.head) is None:
            files[record] = ledger.render(candidate.record())
        current = slot.release.id if slot.release else ""
        promotion = review.Promotion(slot.environment, slot.path, slot.text, edited, current)
        return Change(
            branch=self._branch(slot),
            title=review.title(candidate, slot.environment),
            body=review.description(candidate, promotion),
            files=files,
            draft=candidate.verdict != "pass",
        )


def _group(release: Release) -> str:
    return release.package_arn.rsplit("/", 1)[0]
