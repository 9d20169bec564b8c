"""A project with an endpoint on a real localcloud, deployed without reconcile: for the commands of who is on call."""

import hashlib
import uuid
from pathlib import Path

from botocore.exceptions import ClientError

from gitops import deployment, ledger, specs
from gitops.delivery.endpoint import ATTEMPT_DIGEST, ATTEMPT_MODIFIED
from gitops.deployment import Release
from gitops.oncall import live
from gitops.oncall.rollback import Slot
from tests.gitops.repository import PROJECT, project
from tests.gitops.serving import Registry

ROLE = "arn:aws:iam::123456789012:role/serving"


class Site:
    """One model in one environment; `deploy` does what a deploy build does, and leaves what it leaves."""

    def __init__(self, localcloud, folder: Path, environment: str = "staging") -> None:
        self.name = f"s{uuid.uuid4().hex[:8]}"
        self.sagemaker, self.runtime, self.s3 = map(localcloud.client, ("sagemaker", "sagemaker-runtime", "s3"))
        self.registry = Registry(self.s3, self.sagemaker)
        self.repository = project(folder)
        self.repository.commit({"project.yml": PROJECT.replace("film-recommender", self.name)})
        self.slot = Slot(environment, "ncf", folder)
        self.endpoint = f"{self.name}-ncf-{environment}"
        self.said: list[str] = []

    def commit(self, release: Release | None, record: bool = True, **lines: str) -> str:
        """git asks for the release, and has its record; `lines` replace other lines of the deploy file."""
        path = self.slot.path
        text = deployment.with_release((self.repository.root / path).read_text(), release, Path(path))
        kept = [line for line in text.splitlines(keepends=True) if line.split(":")[0] not in lines]
        files = {path: "".join(kept) + "".join(f"{key}: {value}\n" for key, value in lines.items())}
        if release and record:
            files[ledger.path("ncf", release.id)] = ledger.render({"id": release.id, "gate": {"verdict": "pass"}})
        return self.repository.commit(files)

    def spec(self) -> specs.Spec:
        desired = deployment.load(self.repository.root / self.slot.path)
        return specs.spec(desired, specs.Place(self.name, self.slot.environment, ROLE), self.facts(desired.release))

    def facts(self, release: Release) -> dict[str, specs.Facts]:
        found = self.sagemaker.describe_model_package(ModelPackageName=release.package_arn)
        run_id = found["CustomerMetadataProperties"]["run_id"]
        return {release.id: specs.Facts(run_id, hashlib.sha256(run_id.encode()).hexdigest())}

    def observe(self) -> live.Live | None:
        return live.observe(self.sagemaker, self.endpoint)

    def ensure(self, spec: specs.Spec) -> None:
        """The spec's models and config are there, as a deploy build makes them before it touches the endpoint."""
        for create, request in (
            *((self.sagemaker.create_model, model) for model in spec.models),
            (self.sagemaker.create_endpoint_config, spec.config),
        ):
            try:
                create(**request)
            except ClientError as error:
                if "already exist" not in str(error):
                    raise

    def deploy(self, release: Release, **lines: str) -> live.Live | None:
        """Commit the release and bring the endpoint to it, whatever comes of it; the last thing observed."""
        self.commit(release, **lines)
        spec, before = self.spec(), self.observe()
        self.ensure(spec)
        request = {"EndpointName": self.endpoint, "EndpointConfigName": spec.config["EndpointConfigName"]}
        tags = _tags({ATTEMPT_DIGEST: spec.digest, ATTEMPT_MODIFIED: "before"})
        if before:
            self.note(tags)
            self.sagemaker.update_endpoint(**request)
        else:
            self.sagemaker.create_endpoint(**request, Tags=tags)
        observed = live.wait(self.sagemaker, self.endpoint, self.said.append)
        if (observed.status, observed.config) == ("InService", request["EndpointConfigName"]):
            self.note(_tags({ATTEMPT_DIGEST: ""}))
        return self.observe()

    def roll(self, release: Release, alarm: str) -> None:
        """Commit the release, and begin to bring it in instance by instance under an alarm."""
        self.commit(release)
        spec = self.spec()
        self.ensure(spec)
        batch = {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1}, "WaitIntervalInSeconds": 20}
        guard = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}}
        self.note(_tags({ATTEMPT_DIGEST: spec.digest, ATTEMPT_MODIFIED: "before"}))
        self.sagemaker.update_endpoint(
            EndpointName=self.endpoint,
            EndpointConfigName=spec.config["EndpointConfigName"],
            DeploymentConfig={"RollingUpdatePolicy": batch, **guard},
        )

    def instances(self) -> int:
        """How many instances of what served before still do."""
        (variant,) = self.sagemaker.describe_endpoint(EndpointName=self.endpoint)["ProductionVariants"]
        return variant["CurrentInstanceCount"]

    def note(self, tags: list[dict[str, str]]) -> None:
        arn = self.sagemaker.describe_endpoint(EndpointName=self.endpoint)["EndpointArn"]
        self.sagemaker.add_tags(ResourceArn=arn, Tags=tags)

    def delete(self) -> None:
        self.sagemaker.delete_endpoint(EndpointName=self.endpoint)
        live.wait(self.sagemaker, self.endpoint, self.said.append)

    def clean(self) -> None:
        observed = self.observe()
        if observed and observed.status in {"InService", "Failed"}:
            self.delete()


def _tags(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]
