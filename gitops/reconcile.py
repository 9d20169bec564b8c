"""Make an environment what git says: python -m gitops reconcile staging

Success is not a status: the endpoint is InService, with the config asked for, and answers the archive's golden
requests. Every file of deploy/<environment>/ is tried; one that fails does not stop the others.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws, deployment, golden, origin, specs
from gitops.decide import Action, Desired, Kind, decide
from gitops.deployment import Deployment, Release
from gitops.endpoint import Endpoint
from gitops.errors import GitopsError
from gitops.hosts import Host
from pipelines import documents
from pipelines.errors import ProjectError

APPROVED_IN = "production"  # the environment whose success approves the package
STEPS_LIMIT = 20  # decisions for one endpoint; more would be a loop
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cloud:
    """The AWS clients a reconcile needs."""

    sagemaker: Any
    runtime: Any
    s3: Any


@dataclass(frozen=True)
class Reconciler:
    """One environment at one commit, in the tree at `root`."""

    cloud: Cloud
    host: Host
    place: specs.Place
    commit: str
    root: Path
    seconds: float = 1800.0  # for one endpoint
    say: Say = print

    def all(self) -> list[str]:
        """Reconcile every deploy file of the environment; returns the failures, each a line."""
        folder = self.root / "deploy" / self.place.environment
        files = sorted(folder.glob("*.yml"))
        if not files:
            raise GitopsError(f"{folder}: holds no <model>.yml; is {self.place.environment!r} in project.yml?")
        failures = []
        for file in files:
            name = file.relative_to(self.root).as_posix()
            try:
                with aws.explained():
                    self.one(file)
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
        try:
            self._converge(desired, spec, path)
            self._prove(desired, spec, {release: requests for release, (_, requests) in found.items()})
        except GitopsError:
            if not self._overtaken(path):
                raise
            return  # a newer build is at work on the same endpoint: what it finds is what counts
        if self.place.environment == APPROVED_IN:
            self._approve(desired.release)

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

    def _converge(self, desired: Deployment, spec: specs.Spec, path: str) -> None:
        """Decide and act until the endpoint is in service with the spec's config."""
        endpoint = Endpoint(self.cloud.sagemaker, spec.endpoint)
        asked = Desired(spec.config["EndpointConfigName"], spec.digest, desired.allow_recreate)
        deadline = time.monotonic() + self.seconds
        observed = endpoint.observe()
        for _ in range(STEPS_LIMIT):
            action = decide(asked, observed)
            if action.kind is Kind.VERIFY:
                return
            if action.kind is not Kind.WAIT:
                self.say(f"{spec.endpoint}: {action.kind}: {action.reason}")
                self._act(action, endpoint, spec, path)
            observed = endpoint.wait(deadline, self.say)
        raise GitopsError(f"{spec.endpoint}: does not come to rest; see its events, then reconcile again")

    def _act(self, action: Action, endpoint: Endpoint, spec: specs.Spec, path: str) -> None:
        """Make the one call the action names, unless a newer commit has come meanwhile."""
        if action.kind in {Kind.REFUSE, Kind.NOTHING}:
            raise GitopsError(action.reason)
        if origin.standing(self.host, self.commit, self.root, path) is not origin.Standing.CURRENT:
            raise GitopsError("a newer version of the file came meanwhile")
        try:
            if action.kind is Kind.RECREATE:
                endpoint.delete()  # and created in the next round, when it is gone
                return
            endpoint.ensure(spec)
            if action.kind is Kind.CREATE:
                endpoint.create(spec)
            else:
                endpoint.update(spec)
        except ClientError as error:
            if not aws.busy(error):
                raise
            self.say(f"{spec.endpoint}: another build is at work on it; waiting")

    def _prove(self, desired: Deployment, spec: specs.Spec, requests: Mapping[str, list[golden.Golden]]) -> None:
        """The endpoint answers as the archive of each of its variants promised, and in time."""
        count = 0
        for variant in spec.config["ProductionVariants"]:
            name = variant["VariantName"]
            asked = requests[desired.releases[name].id]
            self._ask(desired, spec, name, asked)
            count += len(asked)
        endpoint = Endpoint(self.cloud.sagemaker, spec.endpoint)
        observed = endpoint.observe()  # again: golden requests prove nothing of a config that was replaced meanwhile
        if not observed or (observed.status, observed.config) != ("InService", spec.config["EndpointConfigName"]):
            raise GitopsError(f"{spec.endpoint}: was changed while it was verified; reconcile again")
        endpoint.settle()
        if desired.autoscaling:
            self.say(f"{spec.endpoint}: note: autoscaling is not carried out by this version; instances is")
        self.say(f"{spec.endpoint}: in service and verified: {count} golden request{'s' * (count != 1)}")

    def _ask(self, desired: Deployment, spec: specs.Spec, variant: str, requests: list[golden.Golden]) -> None:
        """One variant's golden requests; GitopsError for a wrong answer, or one that came too late."""
        # with one variant its name is left out, as any other caller does
        target = variant if len(spec.config["ProductionVariants"]) > 1 else None
        wrong, milliseconds = golden.replay(self.cloud.runtime, spec.endpoint, requests, target)
        if wrong:
            shown = f"{spec.endpoint}{f' ({variant})' * bool(target)}"
            raise GitopsError(f"{shown}: {len(wrong)} of {len(requests)} golden requests fail; {wrong[0]}")
        limit = desired.verify.max_p99_ms
        if limit is not None and milliseconds > limit:
            raise GitopsError(
                f"{spec.endpoint}: p99 of golden requests is {milliseconds:.0f} ms, verify allows {limit:g}"
            )
        self.say(f"{spec.endpoint}: {variant}: golden requests answered, p99 {milliseconds:.0f} ms")

    def _approve(self, release: Release) -> None:
        """The registry follows git: Approved, with the commit that says so."""
        package = self.cloud.sagemaker.describe_model_package(ModelPackageName=release.package_arn)
        note = f"deployed to {self.place.environment} by commit {self.commit}"
        if package.get("ModelApprovalStatus") == "Approved" and package.get("ApprovalDescription") == note:
            return
        self.cloud.sagemaker.update_model_package(
            ModelPackageArn=release.package_arn, ModelApprovalStatus="Approved", ApprovalDescription=note
        )
        self.say(f"{release.package_arn}: Approved ({note})")
