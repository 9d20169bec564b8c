"""One SageMaker endpoint through boto3: observe it, note the attempt, call, wait. decide.py decides.

Every write is made under the lease: it is renewed first, and its number is noted on the endpoint, where a holder with
a smaller number is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.clock import SYSTEM, Clock
from gitops.delivery.decide import MOVING, Observed
from gitops.delivery.lease import Lease
from gitops.errors import GitopsError
from gitops.specs import Spec, guards
from pipelines import crash

ATTEMPT_DIGEST = "gitops:attempt-digest"
ATTEMPT_MODIFIED = "gitops:attempt-modified"
ATTEMPT_P99 = "gitops:attempt-p99-ms"  # of what served before, to compare the attempt with
VERIFIED_CONFIG = "gitops:verified-config"
VERIFIED_COMMIT = "gitops:verified-commit"  # where git asked for it
VERIFIED_P99 = "gitops:verified-p99-ms"  # of its golden requests, seen from the build that verified it
HEAL_NOTED = "gitops:heal"  # which drift was put back, and LastModifiedTime when that was noted
SCALED = "gitops:scaled"  # not empty: this program registered it with Application Auto Scaling
FENCE = "gitops:fence"
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 15.0  # seconds between two looks at an endpoint
VISIBLE_SECONDS = 10.0  # a config just created may not be visible to the next call yet
Say = Callable[[str], None]
Extra = Mapping[str, Any]  # what else UpdateEndpoint is told


class Endpoint:
    """The endpoint of one model in one environment, under a lease."""

    def __init__(self, sagemaker: Any, name: str, lease: Lease, clock: Clock = SYSTEM) -> None:
        self.sagemaker = sagemaker
        self.name = name
        self.lease = lease
        self.clock = clock

    def observe(self) -> Observed | None:
        """What SageMaker says now; None if there is no such endpoint."""
        described = self._describe()
        if described is None:
            return None
        tags = self._tags(described)
        return Observed(
            status=described["EndpointStatus"],
            config=described.get("EndpointConfigName", ""),
            modified=described["LastModifiedTime"].isoformat(),
            attempt_digest=tags.get(ATTEMPT_DIGEST, ""),
            attempt_modified=tags.get(ATTEMPT_MODIFIED, ""),
            failure=described.get("FailureReason", ""),
            verified=tags.get(VERIFIED_CONFIG, ""),
        )

    def tag(self, key: str) -> str:
        """The value of one of the endpoint's tags; empty if there is none, or no endpoint."""
        described = self._describe()
        return self._tags(described).get(key, "") if described else ""

    def config(self) -> dict[str, Any]:
        """The endpoint config that is in service; GitopsError if there is no endpoint."""
        name = self._there()["EndpointConfigName"]
        return dict(self.sagemaker.describe_endpoint_config(EndpointConfigName=name))

    def variants(self) -> list[dict[str, Any]]:
        """What DescribeEndpoint says of each variant, shadow variants too."""
        described = self._there()
        return [*described.get("ProductionVariants", []), *described.get("ShadowProductionVariants", [])]

    @property
    def fence(self) -> int:
        """The highest lease number that ever wrote here."""
        return int(self.tag(FENCE) or 0)

    def _describe(self) -> dict[str, Any] | None:
        try:
            return dict(self.sagemaker.describe_endpoint(EndpointName=self.name))
        except ClientError as error:
            if aws.missing(error):
                return None
            raise

    def _there(self) -> dict[str, Any]:
        described = self._describe()
        if described is None:
            raise GitopsError(f"{self.name}: is gone since it was looked at; reconcile again")
        return described

    def _tags(self, described: Mapping[str, Any]) -> dict[str, str]:
        pages = self.sagemaker.get_paginator("list_tags").paginate(ResourceArn=described["EndpointArn"])
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    def _note(self, described: Mapping[str, Any], **values: str) -> None:
        """Write tags as the lease's holder; GitopsError if a later holder was here."""
        self.lease.renew()
        seen = int(self._tags(described).get(FENCE) or 0)
        if seen > self.lease.number:
            raise GitopsError(
                f"{self.name}: build {seen} was here after this one, which is {self.lease.number}; it changes nothing"
            )
        self.sagemaker.add_tags(
            ResourceArn=described["EndpointArn"], Tags=_rows({**values, FENCE: str(self.lease.number)})
        )

    def create(self, spec: Spec) -> None:
        """CreateEndpoint, its attempt noted in the same call."""
        self.lease.renew()
        tags = {ATTEMPT_DIGEST: spec.digest, ATTEMPT_MODIFIED: "never", FENCE: str(self.lease.number)}
        config = spec.config["EndpointConfigName"]
        crash.point("reconcile:after-note")
        self._when_visible(
            lambda: self.sagemaker.create_endpoint(EndpointName=self.name, EndpointConfigName=config, Tags=_rows(tags))
        )
        crash.point("reconcile:after-call")

    def update(self, spec: Spec, before_ms: float | None, extra: Extra) -> None:
        """Note the attempt, then UpdateEndpoint: a spec that SageMaker rolls back is known by the note.

        `before_ms` is the p99 of what serves, if it was measured; `extra` are further members of the request.
        """
        deployment = guards(spec, self.config())
        described = self._there()
        noted = {ATTEMPT_DIGEST: spec.digest, ATTEMPT_MODIFIED: described["LastModifiedTime"].isoformat()}
        noted[ATTEMPT_P99] = "" if before_ms is None else f"{before_ms:.3f}"
        self._note(described, **noted)
        crash.point("reconcile:after-note")
        request = {"EndpointName": self.name, "EndpointConfigName": spec.config["EndpointConfigName"], **extra}
        if deployment:
            request["DeploymentConfig"] = deployment
        try:
            self.lease.keep()  # if this process slept since the note, it looks again before the call
            self._when_visible(lambda: self.sagemaker.update_endpoint(**request))
        except ClientError:
            self.forget()  # refused, so nothing was attempted
            raise
        crash.point("reconcile:after-call")

    def forget(self) -> None:
        """The attempt is over: whatever config is found here later came from elsewhere, not from a rollback."""
        self._note(self._there(), **{ATTEMPT_DIGEST: ""})

    def settle(self, config: str, commit: str, p99_ms: float) -> None:
        """The config has proved itself, as the commit asks, in this time; written only where the first two are news."""
        values = {ATTEMPT_DIGEST: "", ATTEMPT_P99: "", VERIFIED_CONFIG: config, VERIFIED_COMMIT: commit}
        described = self._there()
        tags = self._tags(described)
        if any(tags.get(key, "") != value for key, value in values.items()):
            self._note(described, **values, **{VERIFIED_P99: f"{p99_ms:.1f}"})

    def scaled(self, value: str) -> None:
        """Remember whether somebody has to be told when autoscaling is no longer asked for."""
        self._tell(SCALED, value)

    def _tell(self, key: str, value: str) -> None:
        """A tag, written only where it is news."""
        described = self._there()
        if self._tags(described).get(key, "") != value:
            self._note(described, **{key: value})

    def adjust(self, rows: list[dict[str, Any]], note: str) -> None:
        """Note what is put back, then UpdateEndpointWeightsAndCapacities: other instances and weights, same config."""
        described = self._there()
        self._note(described, **{HEAL_NOTED: f"{note} {described['LastModifiedTime'].isoformat()}"})
        crash.point("heal:after-note")
        self.lease.keep()
        try:
            self.sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=self.name, DesiredWeightsAndCapacities=rows
            )
        except ClientError:
            self.healed()  # refused, so nothing was tried
            raise
        crash.point("heal:after-call")

    def tried(self, note: str) -> bool:
        """True if just this was put back before, and the call arrived (a crash may come between note and call)."""
        noted, _, modified = self.tag(HEAL_NOTED).partition(" ")
        return noted == note and modified != self._there()["LastModifiedTime"].isoformat()

    def healed(self) -> None:
        """Instances and weights are as asked: the next drift is a new one."""
        self._tell(HEAL_NOTED, "")

    def delete(self) -> None:
        """DeleteEndpoint: only ever of one that serves nothing."""
        self._note(self._there())
        self.sagemaker.delete_endpoint(EndpointName=self.name)
        crash.point("reconcile:after-call")

    def ensure(self, spec: Spec) -> None:
        """The spec's models and config exist; their names are their content, so one that exists is the right one."""
        for create, request in (
            *((self.sagemaker.create_model, model) for model in spec.models),
            (self.sagemaker.create_endpoint_config, spec.config),
        ):
            try:
                create(**request)
            except ClientError as error:
                if not _exists(error):
                    raise
        crash.point("reconcile:after-models")

    def wait(self, deadline: float, say: Say) -> Observed | None:
        """Look until the endpoint rests; says each new state. GitopsError at `deadline` (the clock's monotonic)."""
        pause, last = FIRST_PAUSE, ""
        while True:
            described = self._describe()
            status = described["EndpointStatus"] if described else "gone"
            if status != last:
                say(f"{self.name}: {status}")
                last = status
            if status not in MOVING:
                return self.observe()
            if self.clock.monotonic() > deadline:
                raise GitopsError(
                    f"{self.name}: still {status} at the deadline; reconcile again, it goes on from there"
                )
            self.lease.keep()
            self.clock.sleep(min(pause, LONGEST_PAUSE))
            pause *= 1.3

    def _when_visible(self, call: Callable[[], Any]) -> None:
        """SageMaker may not see a model or config created a moment ago."""
        deadline = self.clock.monotonic() + VISIBLE_SECONDS
        while True:
            try:
                call()
            except ClientError as error:
                if not aws.missing(error) or self.clock.monotonic() > deadline:
                    raise
                self.clock.sleep(0.5)
            else:
                return


def _rows(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _exists(error: ClientError) -> bool:
    sentence = aws.message(error).lower()
    return aws.code(error) in {"ResourceInUse", "ConflictException"} or "already exist" in sentence
