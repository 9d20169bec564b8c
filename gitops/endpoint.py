"""One SageMaker endpoint through boto3: observe it, note the attempt, call, wait. decide.py decides."""

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from gitops import aws
from gitops.decide import MOVING, Observed
from gitops.errors import GitopsError
from gitops.specs import Spec, guards

ATTEMPT_DIGEST = "gitops:attempt-digest"
ATTEMPT_MODIFIED = "gitops:attempt-modified"
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 15.0  # seconds between two looks at an endpoint
VISIBLE_SECONDS = 10.0  # a config just created may not be visible to the next call yet
Say = Callable[[str], None]


class Endpoint:
    """The endpoint of one model in one environment."""

    def __init__(self, sagemaker: Any, name: str) -> None:
        self.sagemaker = sagemaker
        self.name = name

    def observe(self) -> Observed | None:
        """What SageMaker says now; None if there is no such endpoint."""
        described = self._describe()
        if described is None:
            return None
        tags = self._tags(described["EndpointArn"])
        return Observed(
            status=described["EndpointStatus"],
            config=described.get("EndpointConfigName", ""),
            modified=described["LastModifiedTime"].isoformat(),
            attempt_digest=tags.get(ATTEMPT_DIGEST, ""),
            attempt_modified=tags.get(ATTEMPT_MODIFIED, ""),
            failure=described.get("FailureReason", ""),
        )

    def _describe(self) -> dict[str, Any] | None:
        try:
            return dict(self.sagemaker.describe_endpoint(EndpointName=self.name))
        except ClientError as error:
            if aws.missing(error):
                return None
            raise

    def _tags(self, arn: str) -> dict[str, str]:
        pages = self.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    def create(self, spec: Spec) -> None:
        """CreateEndpoint, its attempt noted in the same call."""
        tags = _attempt(spec.digest, "never")
        self._when_visible(
            lambda: self.sagemaker.create_endpoint(
                EndpointName=self.name, EndpointConfigName=spec.config["EndpointConfigName"], Tags=tags
            )
        )

    def update(self, spec: Spec) -> None:
        """Note the attempt, then UpdateEndpoint: a spec that SageMaker rolls back is known by the note."""
        described = self._describe()
        if described is None:
            raise GitopsError(f"{self.name}: is gone since it was looked at; reconcile again")
        live = self.sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
        deployment = guards(spec, live)
        guarded = {"DeploymentConfig": deployment} if deployment else {}
        tags = _attempt(spec.digest, described["LastModifiedTime"].isoformat())
        self.sagemaker.add_tags(ResourceArn=described["EndpointArn"], Tags=tags)
        try:
            self._when_visible(
                lambda: self.sagemaker.update_endpoint(
                    EndpointName=self.name, EndpointConfigName=spec.config["EndpointConfigName"], **guarded
                )
            )
        except ClientError:
            self.settle()  # refused, so nothing was attempted
            raise

    def settle(self) -> None:
        """The attempt is over: whatever config is found here later came from elsewhere, not from a rollback."""
        described = self._describe()
        if described and self._tags(described["EndpointArn"]).get(ATTEMPT_DIGEST):
            tags = [{"Key": ATTEMPT_DIGEST, "Value": ""}]
            self.sagemaker.add_tags(ResourceArn=described["EndpointArn"], Tags=tags)

    def delete(self) -> None:
        """DeleteEndpoint: only ever of one that serves nothing."""
        self.sagemaker.delete_endpoint(EndpointName=self.name)

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

    def wait(self, deadline: float, say: Say) -> Observed | None:
        """Look until the endpoint rests; says each new state. GitopsError at `deadline` (time.monotonic seconds)."""
        pause, last = FIRST_PAUSE, ""
        while True:
            described = self._describe()
            status = described["EndpointStatus"] if described else "gone"
            if status != last:
                say(f"{self.name}: {status}")
                last = status
            if status not in MOVING:
                return self.observe()
            if time.monotonic() > deadline:
                raise GitopsError(
                    f"{self.name}: still {status} at the deadline; reconcile again, it goes on from there"
                )
            time.sleep(min(pause, LONGEST_PAUSE))
            pause *= 1.3

    def _when_visible(self, call: Callable[[], Any]) -> None:
        """SageMaker may not see a model or config created a moment ago."""
        deadline = time.monotonic() + VISIBLE_SECONDS
        while True:
            try:
                call()
            except ClientError as error:
                if not aws.missing(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return


def _attempt(digest: str, modified: str) -> list[dict[str, str]]:
    values = {ATTEMPT_DIGEST: digest, ATTEMPT_MODIFIED: modified}
    return [{"Key": key, "Value": value} for key, value in values.items()]


def _exists(error: ClientError) -> bool:
    sentence = aws.message(error).lower()
    return aws.code(error) in {"ResourceInUse", "ConflictException"} or "already exist" in sentence
