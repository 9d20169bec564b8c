"""The templates as data for policy tests, and the same templates deployed to localcloud."""

import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from infra import stack
from localcloud.cloudformation import functions, template

ROOT = Path(__file__).parent.parent.parent
ACCOUNT, REGION = "123456789012", "eu-west-1"
TEMPLATES = [each.path for each in stack.TEMPLATES]
PARAMETERS = {
    "ProjectName": "film-recommender",
    "GitUrl": "https://gitlab.example.com",
    "GitProject": "recsys/film-recommender",
    "Branch": "main",
    "GitTokenSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:git-token",
    "GitReadTokenSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:git-read-token",
    "TrainingImage": "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312",
    "ProcessingImage": "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312",
    "ServingImage": f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/film-recommender/serving@sha256:" + "0" * 64,
}


@dataclass(frozen=True)
class Statement:
    """One statement of one of the template's IAM policies."""

    owner: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: dict[str, Any]

    def allows(self, action: str, resource: str) -> bool:
        return any(fnmatchcase(action.lower(), item.lower()) for item in self.actions) and any(
            fnmatchcase(resource, item) for item in self.resources
        )


@dataclass(frozen=True)
class Infra:
    """The template with its functions evaluated; a resource's attribute reads `<LogicalId.Attribute>`."""

    raw: dict[str, Any]
    resources: dict[str, dict[str, Any]]

    def of_type(self, type_: str) -> dict[str, dict[str, Any]]:
        return {name: item["Properties"] for name, item in self.resources.items() if item["Type"] == type_}

    def statements(self, role: str | None = None) -> list[Statement]:
        """What roles may do: their inline policies and the managed ones they name."""
        result = []
        for name, properties in self.of_type("AWS::IAM::Role").items():
            managed = [self.resources[arn.strip("<>")]["Properties"] for arn in properties.get("ManagedPolicyArns", [])]
            for policy in [*properties.get("Policies", []), *managed]:
                result += [_statement(name, item) for item in policy["PolicyDocument"]["Statement"]]
        return [item for item in result if role in {None, item.owner}]


def _statement(owner: str, item: dict[str, Any]) -> Statement:
    assert item["Effect"] == "Allow"
    assert not set(item) & {"NotAction", "NotResource"}
    return Statement(owner, _tuple(item["Action"]), _tuple(item["Resource"]), item.get("Condition", {}))


def _tuple(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


# what the later templates are given of the first one, and of the packed code
HANDED_ON = {
    "BucketName": "bucket", "BusName": "<Bus.Name>", "KeyArn": "<Key.Arn>",
    "ModelPackageGroupArn": "<ModelPackageGroup>",
    "DeployStagingProjectName": "<DeployStagingProject>", "DeployProductionProjectName": "<DeployProductionProject>",
    "ApiCode": "lambda/api_code/0.zip", "RegisterCode": "lambda/register/0.zip", "StartCode": "lambda/start/0.zip",
}  # fmt: skip


def evaluated(parameters: dict[str, str]) -> Infra:
    """All templates, as one, as these parameters make them."""
    raws = [template.parse(path.read_text()) for path in TEMPLATES]
    made: dict[str, dict[str, Any]] = {}
    for raw in raws:
        found = resources(raw, parameters | HANDED_ON)
        assert not set(found) & set(made)
        made |= found
    parts = ("Parameters", "Resources", "Outputs")
    return Infra({part: {key: item for raw in raws for key, item in raw[part].items()} for part in parts}, made)


def resources(raw: dict[str, Any], parameters: dict[str, str]) -> dict[str, dict[str, Any]]:
    """A template's resources, but for those whose condition does not hold."""
    given = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items() if key in raw["Parameters"]
    ]
    values = template.fill_parameters(raw["Parameters"], given, {})
    pseudo = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws"}
    arns = {"Bucket": "arn:aws:s3:::bucket"}

    def attribute(name: str, key: str) -> str:
        return arns[name] if key == "Arn" and name in arns else f"<{name}.{key}>"

    scope = functions.Scope(values | pseudo, {}, raw["Conditions"], lambda name: f"<{name}>", attribute)
    return {
        name: functions.evaluate(item, scope)
        for name, item in raw["Resources"].items()
        if "Condition" not in item or functions.truth(item["Condition"], scope)
    }


@pytest.fixture(scope="session")
def infra() -> Infra:
    return evaluated(PARAMETERS)


def command(localcloud, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m infra ...` as a person types it."""
    line = [sys.executable, "-m", "infra", *words]
    return subprocess.run(line, cwd=ROOT, env=localcloud.environment, capture_output=True, text=True, check=False)


def words(name: str, **changes: str) -> list[str]:
    """The command line that deploys a project called `name`."""
    return [f"--parameter={key}={value}" for key, value in (PARAMETERS | {"ProjectName": name} | changes).items()]


@pytest.fixture(scope="session")
def deployed(localcloud) -> str:
    """The stacks on the session's localcloud; gives the project's name."""
    name = "infra-deployed"
    result = command(localcloud, "deploy", *words(name))
    assert result.returncode == 0, result.stderr
    return name
