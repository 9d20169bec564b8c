"""decide(desired, observed) -> action: pure, total over all nine endpoint states. The shell is in reconcile.py."""

from dataclasses import dataclass
from enum import StrEnum

MOVING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
SERVES_NOTHING = frozenset({"Failed", "OutOfService"})
STATES = MOVING | SERVES_NOTHING | {"InService", "UpdateRollbackFailed"}


class Kind(StrEnum):
    NOTHING = "nothing"  # nothing is asked for
    CREATE = "create"
    UPDATE = "update"
    VERIFY = "verify"  # the asked config is in service: let it prove itself
    WAIT = "wait"  # SageMaker is at work: look again
    RECREATE = "recreate"  # delete, then create
    DRIFT = "drift"  # git asks for what it had, and something else is live: the environment's policy says what then
    CLOSED = "closed"  # this very spec was rolled back: not again until it changes
    REFUSE = "refuse"  # a person decides


@dataclass(frozen=True)
class Action:
    kind: Kind
    reason: str


@dataclass(frozen=True)
class Desired:
    """What git asks of one endpoint."""

    config: str | None  # the content-addressed EndpointConfigName; None: release is null
    digest: str  # of the whole spec, retry included
    allow_recreate: bool = False


@dataclass(frozen=True)
class Observed:
    """What SageMaker says about it. The attempt is what reconcile noted as tags before its last call."""

    status: str
    config: str
    modified: str  # LastModifiedTime
    attempt_digest: str = ""
    attempt_modified: str = ""  # LastModifiedTime when the attempt was noted
    failure: str = ""
    verified: str = ""  # the config that last proved itself

    def attempted(self, digest: str) -> bool:
        """True if the last attempt was this spec and its call arrived (a crash may come between note and call)."""
        return self.attempt_digest == digest and self.attempt_modified != self.modified


def decide(desired: Desired, observed: Observed | None) -> Action:
    """The next thing to do so that `observed` becomes `desired`; None means that there is no endpoint."""
    if desired.config is None:
        return Action(Kind.NOTHING, "release is null: nothing is deployed from git, and nothing is deleted")
    if observed is None:
        return Action(Kind.CREATE, "there is no endpoint yet")
    if observed.status in MOVING:
        return Action(Kind.WAIT, f"the endpoint is {observed.status}")
    if observed.status == "InService":
        return _in_service(desired, observed)
    if observed.status in SERVES_NOTHING:
        return _serves_nothing(desired, observed)
    # UpdateRollbackFailed serves a mix of two configs: whatever is done next, a person decides it
    return Action(
        Kind.REFUSE,
        f"the endpoint is {observed.status}: it may serve two configs at once, and nothing here touches it; "
        "see its events, then run `python -m gitops recover`",
    )


def _in_service(desired: Desired, observed: Observed) -> Action:
    if observed.config == desired.config:
        return Action(Kind.VERIFY, f"{observed.config} is in service")
    if observed.attempted(desired.digest):
        why = f" ({observed.failure})" if observed.failure else ""
        return Action(
            Kind.CLOSED,
            f"this very spec was tried and rolled back{why}; {observed.config} serves. "
            "Revert the commit, or raise retry to try again",
        )
    # with an attempt on record, what serves came from that: it was found wanting, and git went back
    if observed.verified == desired.config and not observed.attempt_digest:
        return Action(Kind.DRIFT, f"{observed.config} is in service, and git, unchanged, asks for {desired.config}")
    return Action(Kind.UPDATE, f"{observed.config} is in service, not {desired.config}")


def _serves_nothing(desired: Desired, observed: Observed) -> Action:
    state = f"the endpoint is {observed.status}" + (f" ({observed.failure})" if observed.failure else "")
    if observed.attempted(desired.digest):
        return Action(Kind.REFUSE, f"{state} after this very spec; change the release, or raise retry to try again")
    if not desired.allow_recreate:
        return Action(Kind.REFUSE, f"{state} and can only be deleted; delete it, or set allow_recreate: true")
    return Action(Kind.RECREATE, f"{state} and serves nothing")
