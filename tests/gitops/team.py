"""A team: a project in a repository, deployed to a real localcloud."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path

from gitops import deployment, specs
from gitops.delivery.lease import Lease, Store
from gitops.delivery.reconcile import Cloud, Reconciler
from gitops.deployment import Release
from gitops.oncall import status
from tests.gitops.host import RepositoryHost
from tests.gitops.repository import project
from tests.gitops.serving import Registry

ROLE = "arn:aws:iam::123456789012:role/serving"
FILE = {environment: f"deploy/{environment}/ncf.yml" for environment in ("staging", "production")}


class Elsewhen:
    """S3, whose clock stands at another time: the date of its answers says so."""

    def __init__(self, s3, moment: datetime) -> None:
        self.s3, self.moment = s3, moment

    def __getattr__(self, name: str):
        return getattr(self.s3, name)

    def put_object(self, **request):
        answer = self.s3.put_object(**request)
        answer["ResponseMetadata"]["HTTPHeaders"]["date"] = format_datetime(self.moment)
        return answer


class Team:
    """A project in a repository, whose checkout is what a deploy build unpacks."""

    def __init__(self, root: Path, clients: Cloud) -> None:
        self.repository = project(root)
        self.host = RepositoryHost(self.repository)
        self.clients = clients
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.said: list[str] = []

    def write(self, release, environment: str = "staging", **lines: str) -> str:
        """Commit a release, and other lines of the deploy file; returns the sha."""
        path = FILE[environment]
        text = deployment.with_release((self.repository.root / path).read_text(), release, Path(path))
        kept = [line for line in text.splitlines(keepends=True) if line.split(":")[0] not in lines]
        return self.repository.commit({path: "".join(kept) + "".join(f"{k}: {v}\n" for k, v in lines.items())})

    def reconciler(self, environment: str = "staging") -> Reconciler:
        return Reconciler(
            cloud=self.clients,
            host=self.host,
            place=specs.Place(self.name, environment, ROLE),
            commit=self.host.head(),
            root=self.repository.root,
            seconds=60,
            say=self.said.append,
        )

    def reconciler_at(self, moment: datetime) -> Reconciler:
        """A deploy build at another time, by S3's clock."""
        return replace(self.reconciler(), cloud=replace(self.clients, s3=Elsewhen(self.clients.s3, moment)))

    def policy(self, text: str, environment: str = "staging") -> str:
        """Commit the environment's policy."""
        return self.repository.commit({f"deploy/{environment}/_policy.yml": text})

    def reconcile(self, environment: str = "staging") -> list[str]:
        self.said.clear()
        return self.reconciler(environment).all()

    def endpoint(self, environment: str = "staging") -> dict:
        return self.clients.sagemaker.describe_endpoint(EndpointName=f"{self.name}-ncf-{environment}")

    def serving(self, release, environment: str = "staging") -> dict:
        """What the container says it is, asked with the release's own golden request."""
        found = self.clients.sagemaker.describe_model_package(ModelPackageName=release.package_arn)
        body = json.dumps({"userId": found["CustomerMetadataProperties"]["run_id"]})
        name = f"{self.name}-ncf-{environment}"
        answer = self.clients.runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=body)
        return json.loads(answer["Body"].read())["model"]


@contextmanager
def at_work(root: Path, clients: Cloud) -> Iterator[Team]:
    """A team of its own, whose endpoints are gone afterwards."""
    found = Team(root, clients)
    yield found
    for environment in FILE:
        name = f"{found.name}-ncf-{environment}"
        if status.observe(clients.sagemaker, name):
            clients.sagemaker.delete_endpoint(EndpointName=name)


def connect(localcloud) -> Cloud:
    """The clients of a reconcile."""
    names = ("sagemaker", "sagemaker-runtime", "s3")
    return Cloud(*(localcloud.client(name) for name in names), client=localcloud.client)


def served(team: Team, registry: Registry, behaviour: str = "good") -> tuple[Release, Release]:
    """A good release in service, then one that behaves so, asked for: (good, other)."""
    good, other = registry.release(), registry.release(behaviour)
    team.write(good)
    assert team.reconcile() == []
    team.write(other)
    return good, other


def lease(team: Team, name: str = "by hand") -> Lease:
    """The lease of the team's staging endpoint, held by nobody yet."""
    return Lease(Store(team.clients.s3, "images-bucket", f"{team.name}-ncf-staging"), name)
