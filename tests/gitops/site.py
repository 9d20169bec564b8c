"""A project with an endpoint on a real localcloud, deployed without reconcile: for the commands of who is on call."""

import hashlib
import time
import uuid
from pathlib import Path

from gitops import deployment, ledger, specs
from gitops.deployment import Release
from gitops.endpoint import Endpoint
from gitops.rollback import Slot
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
        self.endpoint = Endpoint(self.sagemaker, f"{self.name}-ncf-{environment}")
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

    def deploy(self, release: Release, **lines: str):
        """Commit the release and bring the endpoint to it, whatever comes of it; the last thing observed."""
        self.commit(release, **lines)
        spec, before = self.spec(), self.endpoint.observe()
        self.endpoint.ensure(spec)
        (self.endpoint.update if before else self.endpoint.create)(spec)
        observed = self.endpoint.wait(time.monotonic() + 30, self.said.append)
        if (observed.status, observed.config) == ("InService", spec.config["EndpointConfigName"]):
            self.endpoint.settle()
        return self.endpoint.observe()

    def clean(self) -> None:
        observed = self.endpoint.observe()
        if observed and observed.status in {"InService", "Failed"}:
            self.endpoint.delete()
            self.endpoint.wait(time.monotonic() + 30, self.said.append)
