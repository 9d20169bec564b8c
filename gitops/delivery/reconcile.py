"""Make an environment what git says: python -m gitops reconcile staging

Success is not a status: the endpoint is InService, with the config asked for, and answers the archive's golden
requests. Every file of deploy/<environment>/ is tried; one that fails does not stop the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws, deployment, policy, specs
from gitops.clock import SYSTEM, Clock
from gitops.delivery import approval, golden, lease, revert
from gitops.delivery.capacity import Capacity
from gitops.delivery.converge import Converger, HeldError
from gitops.delivery.endpoint import VERIFIED_COMMIT, Endpoint
from gitops.delivery.order import Cloud, Order, RejectedError, Site
from gitops.delivery.verify import Verifier
from gitops.deployment import Release
from gitops.errors import GitopsError
from gitops.events import origin
from gitops.hosts import Host
from pipelines import crash, documents
from pipelines.errors import ProjectError

__all__ = ["Cloud", "Reconciler"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Reconciler:
    """One environment at one commit, in the tree at `root`."""

    cloud: Cloud
    host: Host
    place: specs.Place
    commit: str
    root: Path
    seconds: float = 1800.0  # for one endpoint, beside what its rollout takes
    say: Say = print
    clock: Clock = SYSTEM
    lease_seconds: float = lease.SECONDS
    who: str = "a reconcile"  # said to those who wait for the lease

    @property
    def site(self) -> Site:
        return Site(self.host, self.place, self.commit, self.root, self.say, self.clock)

    def all(self) -> list[str]:
        """Reconcile every deploy file of the environment; returns the failures, each a line."""
        files = deployment.files(self.root, self.place.environment)
        if not files:
            folder = self.root / "deploy" / self.place.environment
            raise GitopsError(f"{folder}: holds no <model>.yml; is {self.place.environment!r} in project.yml?")
        failures = []
        for file in files:
            name = file.relative_to(self.root).as_posix()
            try:
                with aws.explained():
                    self.one(file)
            except HeldError as error:
                self.say(str(error))
            except ProjectError as error:
                failures.append(str(error) if str(error).startswith(name) else f"{name}: {error}")
        return failures

    def one(self, file: Path) -> None:
        """Reconcile one deploy file; GitopsError if the endpoint is not what it asks for in the end."""
        path = file.relative_to(self.root).as_posix()
        if self._superseded(path):
            return
        desired = deployment.load(Path(path), documents.read(file))
        if desired.release is None:
            self.say(f"{path}: release is null; nothing is deployed, nothing is deleted")
            return
        self.say(f"{path}: {desired.release.id} (version {desired.release.version})")
        found = {release.id: self._known(release, desired.verify.public_key) for release in desired.releases.values()}
        spec = specs.spec(desired, self.place, {release: facts for release, (facts, _) in found.items()})
        order = Order(path, desired, spec, {release: requests for release, (_, requests) in found.items()})
        bucket, _ = aws.split_uri(desired.release.archive_uri)
        store = lease.Store(self.cloud.s3, bucket, spec.endpoint)
        held = lease.Lease(store, self.who, self.lease_seconds, self.clock)
        endpoint = Endpoint(self.cloud.sagemaker, spec.endpoint, held, self.clock)
        crash.point("reconcile:before-lease")
        held.acquire(endpoint.fence, self.seconds)
        crash.point("reconcile:after-lease")
        try:
            self._carry_out(order, endpoint)
        finally:
            held.release()
        crash.point("reconcile:after-release")

    def _carry_out(self, order: Order, endpoint: Endpoint) -> None:
        """Converge and prove; what was rejected is asked back in git."""
        try:
            self._succeed(order, endpoint)
        except GitopsError as error:
            if self._overtaken(order.path):
                return  # a newer build is at work on the same endpoint: what it finds is what counts
            if isinstance(error, RejectedError):
                self._ask_back(order, endpoint, error)
            raise

    def _succeed(self, order: Order, endpoint: Endpoint) -> None:
        release = order.desired.release
        Converger(self.cloud, self.site, order, endpoint, self.seconds).run()
        crash.point("reconcile:before-verify")
        p99_ms = Verifier(self.cloud, order, endpoint, self.say).prove()
        crash.point("reconcile:after-verify")
        endpoint.settle(order.spec.config["EndpointConfigName"], self.commit, p99_ms)
        crash.point("reconcile:after-tags")
        if release and self.place.environment == approval.ENVIRONMENT:
            approval.approve(self.cloud.sagemaker, release, self.commit, self.say)
            for line in approval.strays(self.cloud.sagemaker, release):
                self.say(line)
        crash.point("reconcile:after-approve")
        Capacity(self.cloud, self.site, order, endpoint, self.seconds).settle()

    def _ask_back(self, order: Order, endpoint: Endpoint, error: RejectedError) -> None:
        """A revert request; what hinders it is said, and does not hide why it is needed."""
        rejection = revert.Rejection(str(error), self._alarms(order), endpoint.tag(VERIFIED_COMMIT))
        try:
            rules = policy.read(self.host, self.place.environment)
            revert.ask(self.site, order, rejection, rules.revert == "auto")
        except ProjectError as hindrance:
            self.say(f"{order.path}: no revert request could be made: {hindrance}")

    def _alarms(self, order: Order) -> str:
        """The alarms that watched the rollout, in words; which of them is in alarm now, where CloudWatch says so."""
        names = order.desired.rollout.alarms
        if not names:
            return "none watched"
        try:
            answer = self.cloud.client("cloudwatch").describe_alarms(AlarmNames=list(names))
        except ClientError:
            return ", ".join(names)
        states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in answer["MetricAlarms"]}
        return ", ".join(f"{name} ({states.get(name, 'does not exist')})" for name in names)

    def _superseded(self, path: str) -> bool:
        """True, and said, if the branch has a newer version of the file: its own build deploys that."""
        if origin.standing(self.host, self.commit, self.root, path) is origin.Standing.CURRENT:
            return False
        self.say(f"{path}: superseded by a newer version on the branch; its own build deploys that")
        return True

    def _overtaken(self, path: str) -> bool:
        """As `_superseded`, asked after a failure: one that hides behind a silent git host is still that failure."""
        try:
            return self._superseded(path)
        except GitopsError:
            return False

    def _known(self, release: Release, public_key: str | None) -> tuple[specs.Facts, list[golden.Golden]]:
        """What the release's package and archive say of it, and the golden requests that prove it."""
        package = self._package(release)
        contents = golden.read(self.cloud.s3, release.archive_uri, release.archive_sha256, public_key)
        run_id = package["CustomerMetadataProperties"]["run_id"]
        return specs.Facts(run_id, contents.manifest_sha256), contents.requests

    def _package(self, release: Release) -> dict[str, Any]:
        """The package, which must be about this very archive and run."""
        try:
            package = self.cloud.sagemaker.describe_model_package(ModelPackageName=release.package_arn)
        except ClientError as error:
            if not aws.missing(error):
                raise
            raise GitopsError(f"{release.package_arn}: is not in the registry; propose a release that is") from error
        metadata = package.get("CustomerMetadataProperties", {})
        if metadata.get("archive_sha256") != release.archive_sha256:
            raise GitopsError(f"{release.package_arn}: was registered for another archive than archive_sha256 names")
        if not release.id.endswith("-" + metadata.get("run_id", "")[:12]):
            raise GitopsError(f"{release.package_arn}: was registered by another run than release.id names")
        return dict(package)
