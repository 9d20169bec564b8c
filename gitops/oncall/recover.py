"""An endpoint that no reconcile may touch, brought back: python -m gitops recover production ncf [--yes]

For UpdateRollbackFailed (a mix of two configs serves) and Failed (nothing serves, only delete is possible). Goes back
to the last release that was not the one that failed, has a record in releases/ and still its archive, by the config it
was served with: configs are named by their content and are never deleted while git or an endpoint names them. Says
every step before it takes it, and takes none without --yes. The note of the failed attempt stays on the endpoint, so
the release that failed is not tried again before git says something else.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gitops import aws, deployment, git, ledger, specs
from gitops.delivery import golden
from gitops.delivery.decide import MOVING, SERVES_NOTHING
from gitops.delivery.endpoint import ATTEMPT_MODIFIED, FENCE
from gitops.delivery.golden import Contents
from gitops.delivery.lease import Lease, Store
from gitops.deployment import Release
from gitops.errors import GitopsError
from gitops.oncall import catalogue, history
from gitops.oncall.live import Live, observe, wait
from gitops.oncall.rollback import Slot
from gitops.oncall.unfinished import GONE, Unfinished

Say = Callable[[str], None]


class Kind(StrEnum):
    UPDATE = "update"
    DELETE = "delete"
    CREATE = "create"


@dataclass(frozen=True)
class Cloud:
    """The AWS clients a recovery needs."""

    sagemaker: Any
    runtime: Any
    s3: Any


def plan(status: str, endpoint: str, config: str, allow_recreate: bool) -> list[tuple[Kind, str]]:
    """The steps from a state to `config`, each with its sentence: pure. GitopsError where a person decides first."""
    if status == "UpdateRollbackFailed":
        return [(Kind.UPDATE, f"UpdateEndpoint {endpoint} to {config}, all at once: what serves keeps serving")]
    create = (Kind.CREATE, f"CreateEndpoint {endpoint} with {config}")
    if status == GONE:
        return [create]
    if status not in SERVES_NOTHING:
        raise GitopsError(f"{endpoint}: is {status}; recover is for UpdateRollbackFailed, Failed and OutOfService")
    if not allow_recreate:
        raise GitopsError(
            f"{endpoint}: is {status} and can only be deleted; merge allow_recreate: true into its deploy file first"
        )
    return [(Kind.DELETE, f"DeleteEndpoint {endpoint}: it is {status}, so it serves nothing"), create]


@dataclass(frozen=True)
class Recovery:
    """One endpoint, and the clone in which its past is read."""

    cloud: Cloud
    slot: Slot
    project: str
    say: Say = print

    def run(self, act: bool) -> bool:
        """Say the steps and, if `act`, take them; False if there is nothing to recover."""
        name = specs.endpoint_name(self.project, self.slot.model, self.slot.environment)
        observed = observe(self.cloud.sagemaker, name)
        if observed is None or observed.status == "Deleting":
            observed = self._left(name)
        if observed is None:
            self.say(f"{name}: is not there; python -m gitops sync {self.slot.environment} makes what git says")
            return False
        if observed.status == "InService" or observed.status in MOVING:
            self.say(f"{name}: is {observed.status}; there is nothing to recover")
            return False
        desired = deployment.load(self.slot.root / self.slot.path)
        good, contents = self._good(failed=not observed.proved, public_key=desired.verify.public_key)
        config = self._config(good)
        self.say(f"{name}: is {observed.status}{f' ({observed.failure})' if observed.failure else ''}")
        self.say(f"{name}: the last good release is {good.id} (version {good.version}), config {config}")
        steps = plan(observed.status, name, config, desired.allow_recreate)
        if not act:
            for number, (_, sentence) in enumerate(steps, 1):
                self.say(f"{number}. {sentence}")
            self.say("nothing was done; with --yes the steps above are taken")
            return True
        with self._alone(name, good, observed):
            for number, (kind, sentence) in enumerate(steps, 1):
                self.say(f"{number}. {sentence}")
                self._act(kind, name, config, observed)
            self._prove(name, config, contents)
        if desired.release != good:
            again = f"python -m gitops rollback {self.slot.environment} {self.slot.model} --to {good.id}"
            self.say(f"git still asks for another release; now: {again}")
        return True

    def _left(self, name: str) -> Live | None:
        """What a recovery noted that was killed before it had put the endpoint back; None if there was none."""
        note = self._note()
        left = note.read() if note else None
        return left if left and wait(self.cloud.sagemaker, name, self.say) is None else None

    def _note(self) -> Unfinished | None:
        """Where a recovery notes what it deletes: in the bucket of the archives; None if there never was one."""
        found = history.versions(self.slot.path, git.commit("HEAD", self.slot.root), self.slot.root)
        uri = next((version.release.archive_uri for version in found if version.release), "")
        place = (self.project, self.slot.model, self.slot.environment)
        return Unfinished(self.cloud.s3, aws.split_uri(uri)[0], *place) if uri else None

    @contextmanager
    def _alone(self, name: str, good: Release, observed: Live) -> Iterator[None]:
        """The lease of the endpoint, so that no reconcile writes meanwhile; GitopsError if one is at work."""
        bucket, _ = aws.split_uri(good.archive_uri)
        held = Lease(Store(self.cloud.s3, bucket, name), "a recovery")
        held.acquire(int(observed.notes.get(FENCE) or 0), patience=0)
        try:
            yield
        finally:
            held.release()

    def _good(self, failed: bool, public_key: str | None) -> tuple[Release, Contents]:
        """The newest release of the file that has its record and its archive as it was, and what that archive holds.

        Without the newest of all, if that one `failed`.
        """
        head = git.commit("HEAD", self.slot.root)
        found = history.versions(self.slot.path, head, self.slot.root)
        bad = found[0].release if found and failed else None
        for version in found:
            release = version.release
            if release is None or release == bad:
                continue
            if git.show(head, ledger.path(self.slot.model, release.id), self.slot.root) is None:
                self.say(f"{release.id}: has no record in {ledger.FOLDER}/, so it is passed over")
                continue
            try:
                return release, golden.read(self.cloud.s3, release.archive_uri, release.archive_sha256, public_key)
            except GitopsError as error:
                self.say(f"{release.id}: is passed over; {error}")
        raise GitopsError(
            f"{self.slot.path}: has no earlier release that is whole; merge a good release, then reconcile"
        )

    def _config(self, release: Release) -> str:
        """The newest endpoint config that still exists and serves exactly this release by its main variant."""
        for config in catalogue.configs(self.cloud.sagemaker, f"{self.project}-{self.slot.model}-"):
            if config.serves(release):
                return config.name
        raise GitopsError(f"{release.id}: no endpoint config of it is left; roll back to it in git, then reconcile")

    def _act(self, kind: Kind, name: str, config: str, before: Live) -> None:
        sagemaker, note = self.cloud.sagemaker, self._note()
        if kind is Kind.UPDATE:
            sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
        elif kind is Kind.DELETE:
            if note:
                note.note(before)
            sagemaker.delete_endpoint(EndpointName=name)
            wait(sagemaker, name, self.say)
        else:
            notes = {**before.notes, ATTEMPT_MODIFIED: "recovered"}
            tags = [{"Key": key, "Value": value} for key, value in notes.items()]
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)
            if note:
                note.note(None)

    def _prove(self, name: str, config: str, contents: Contents) -> None:
        """In service, with that config, and with the answers its archive promised."""
        observed = wait(self.cloud.sagemaker, name, self.say)
        if not observed or (observed.status, observed.config) != ("InService", config):
            state = f"{observed.status} with {observed.config}" if observed else "gone"
            raise GitopsError(f"{name}: is {state} and not InService with {config}; see its events and logs")
        wrong, _ = golden.replay(self.cloud.runtime, name, contents.requests, _target(self.cloud, config))
        if wrong:
            raise GitopsError(f"{name}: {len(wrong)} golden requests fail; {wrong[0]}")
        self.say(f"{name}: in service with {config}, {len(contents.requests)} golden request(s) answered")


def _target(cloud: Cloud, config: str) -> str | None:
    variants: Iterable[Any] = cloud.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    return deployment.VARIANT if len(list(variants)) > 1 else None


def recover(cloud: Cloud, slot: Slot, project: str, act: bool, say: Say = print) -> bool:
    """Recover one endpoint; False if there is nothing to recover."""
    with aws.explained():
        return Recovery(cloud, slot, project, say).run(act)
