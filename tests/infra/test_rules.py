"""The deployed rules against events that should and should not start a build."""

import json
from typing import Any

import pytest

ACCOUNT, REGION = "123456789012", "eu-west-1"
COMMIT = {"version": 1, "project": "p", "sha": "a" * 40, "before": "b" * 40, "sequence": 3, "truncated": False}
RETRAIN, STAGING, PRODUCTION, IMAGE = "retrain", "reconcile-staging", "reconcile-production", "image"


@pytest.fixture(scope="session")
def matching(localcloud, deployed) -> Any:
    """A function from an event to the names of the rules that take it, by EventBridge's own TestEventPattern."""
    events = localcloud.client("events")
    buses = dict.fromkeys([RETRAIN, STAGING, PRODUCTION, IMAGE], deployed) | {"propose": "default"}
    patterns = {
        name: events.describe_rule(Name=f"{deployed}-{name}", EventBusName=bus)["EventPattern"]
        for name, bus in buses.items()
    }

    def find(source: str, kind: str, detail: dict[str, Any]) -> set[str]:
        event = json.dumps(
            {
                "id": "1", "account": ACCOUNT, "region": REGION, "time": "2026-11-02T00:00:00Z", "resources": [],
                "source": source, "detail-type": kind, "detail": detail,
            }
        )  # fmt: skip
        return {
            name
            for name, text in patterns.items()
            if events.test_event_pattern(EventPattern=text, Event=event)["Result"]
        }

    return find


FILES = {
    "params/ncf.yml": {RETRAIN},
    "params/deep/er.yml": {RETRAIN},
    "params/": {RETRAIN},
    "pipelines/steps.py": {RETRAIN},
    "processing_code/prepare.py": {RETRAIN},
    "training_code/": {RETRAIN},
    "buildspec.yml": {RETRAIN},
    "deploy/staging/ncf.yml": {STAGING},
    "deploy/production/ncf.yml": {PRODUCTION},
    "deploy/production/": {PRODUCTION},
    "deploy/": {STAGING, PRODUCTION},
    "docs/index.md": set(),
    "docs/params/ncf.yml": set(),
    "params.yml": set(),
    "paramsx/ncf.yml": set(),
    "xparams/ncf.yml": set(),
    "buildspec.yml.bak": set(),
    "infra/buildspecs/deploy.yml": set(),
    "old/buildspec.yml": set(),
    "deploy/stagingx/ncf.yml": set(),
    "deploy/README.md": set(),
    "releases/ncf/ncf-9c41.json": set(),
    "tests/training_code/test_train.py": set(),
    "serving_code/service.py": {IMAGE},
    "serving_code/": {IMAGE},
    "docs/serving_code/x.md": set(),
    "xserving_code/service.py": set(),
}


@pytest.mark.parametrize("file", FILES)
def test_s25_a_changed_file_starts_the_builds_it_should(matching, file):
    assert matching("gitops.commit", "Commit", COMMIT | {"branch": "main", "changedFiles": [file]}) == FILES[file]


def test_s25_one_file_among_many_is_enough(matching):
    files = ["README.md", "deploy/staging/ncf.yml", "params/ncf.yml"]
    assert matching("gitops.commit", "Commit", COMMIT | {"branch": "main", "changedFiles": files}) == {RETRAIN, STAGING}


@pytest.mark.parametrize("branch", ["main2", "xmain", "feature/main", "main/feature", "Main", "", "refs/heads/main"])
def test_s03_a_branch_that_only_looks_like_the_protected_one_starts_nothing(matching, branch):
    detail = COMMIT | {
        "branch": branch,
        "changedFiles": ["params/ncf.yml", "deploy/production/ncf.yml", "serving_code/x.py"],
    }
    assert matching("gitops.commit", "Commit", detail) == set()


@pytest.mark.parametrize(
    ("source", "kind"), [("gitops.commits", "Commit"), ("gitops.commit", "Push"), ("other", "Commit")]
)
def test_s25_an_event_of_another_kind_starts_nothing(matching, source, kind):
    assert matching(source, kind, COMMIT | {"branch": "main", "changedFiles": ["params/ncf.yml"]}) == set()


def finished(pipeline: str, status: str = "Succeeded") -> dict[str, Any]:
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{pipeline}"
    return {
        "pipelineArn": arn,
        "pipelineExecutionArn": f"{arn}/execution/abc",
        "previousPipelineExecutionStatus": "Executing",
        "currentPipelineExecutionStatus": status,
    }


KIND = "SageMaker Model Building Pipeline Execution Status Change"


def test_s25_a_pipeline_that_succeeded_is_proposed(matching, deployed):
    assert matching("aws.sagemaker", KIND, finished(f"{deployed}-ncf")) == {"propose"}


@pytest.mark.parametrize("status", ["Executing", "Failed", "Stopped"])
def test_s25_a_pipeline_that_did_not_succeed_is_not_proposed(matching, deployed, status):
    assert matching("aws.sagemaker", KIND, finished(f"{deployed}-ncf", status)) == set()


@pytest.mark.parametrize("suffix", ["-ncf2", "-nc", "x-ncf"])
def test_s25_another_projects_pipeline_is_not_proposed(matching, deployed, suffix):
    assert matching("aws.sagemaker", KIND, finished(deployed + suffix)) == set()
