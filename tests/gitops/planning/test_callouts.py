"""What a reviewer is told although every file is valid."""

import json

import pytest

from gitops.planning import plan
from tests.gitops.planning.test_plan import CODE
from tests.gitops.repository import DEPLOY, LOCK, PARAMS, PROJECT, project

ARN = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/film-recommender-ncf/3"
RELEASE = f"""release:
  id: ncf-9c41d2e7a0b1
  package_arn: {ARN}
  archive_uri: s3://film-recommender/steps/model.tar.gz
  archive_sha256: "{"a" * 64}"
  image: 111122223333.dkr.ecr.eu-west-1.amazonaws.com/serving@sha256:{"b" * 64}
"""
RECORD = {
    "package_arn": ARN,
    "archive": {"uri": "s3://film-recommender/steps/model.tar.gz", "sha256": "a" * 64},
    "image": "anything",
}
PRODUCTION, STAGING = "deploy/production/ncf.yml", "deploy/staging/ncf.yml"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    found = project(tmp_path / "clone")
    found.commit({".gitlab-ci.yml": "a: 1\n", STAGING: deploy("staging")})  # without code nothing is compiled
    monkeypatch.chdir(found.root)
    return found


def deploy(environment: str, **changed: str) -> str:
    text = DEPLOY.format(environment=environment).replace("release: null  # nothing yet\n", RELEASE)
    for old, new in changed.items():
        text = text.replace(
            {"account": "1:111122223333", "bucket": "s3://film-recommender", "registry": "/serving@"}.get(old, old), new
        )
    return text


def planned(repository, files: dict[str, str | None]) -> plan.Plan:
    repository.commit(files)
    return plan.plan("HEAD~1", "HEAD")


WARNED = {
    "who checks it": ({".gitlab-ci.yml": "b: 1\n", "gitops/x.py": ""}, ".gitlab-ci.yml, gitops/: decides what CI"),
    "the name": ({"project.yml": PROJECT.replace("recsys-team", "others")}, "project.yml: is part of every name"),
    "the champion": (
        {"project.yml": PROJECT.replace("production]", "production, other]")},
        "project.yml: the last environment is other, it was production",
    ),
    "a model gone": ({"params/ncf.yml": None, "params/b.yml": PARAMS}, "params/ncf.yml: is removed: ncf is trained no"),
    "a model more": ({"params/b.yml": PARAMS}, "params/b.yml: is a new model: infra/template.yml must know"),
    "an endpoint gone": (
        {STAGING: None, "deploy/staging/b.yml": DEPLOY.format(environment="x").replace("ncf", "b")},
        "deploy/staging/ncf.yml: is removed: its endpoint goes on serving and costing",
    ),
    "another ending": ({"deploy/staging/b.yaml": "a: 1\n"}, "deploy/staging/b.yaml: nothing reads it"),
    "a folder too deep": ({"params/x/b.yml": "a: 1\n"}, "params/x/b.yml: nothing reads it"),
    "two causes": (
        {"params/ncf.yml": PARAMS + "run: {nonce: 1}\n", "params/ncf.data.yml": LOCK.replace("2017-40", "2017-41")},
        "params/ncf.yml and its data lock change at once",
    ),
    "another account": ({PRODUCTION: deploy("production", account="1:999999999999")}, "release.package_arn is of arn:"),
    "another bucket": (
        {PRODUCTION: deploy("production", bucket="s3://attacker")},
        "release.archive_uri is of s3://att",
    ),
    "another registry": ({PRODUCTION: deploy("production", registry="/evil@")}, "release.image is of 111122223333"),
}


@pytest.mark.parametrize("what", WARNED)
def test_f58_a_valid_change_that_needs_a_second_look_is_called_out(repository, what):
    files, sentence = WARNED[what]
    found = planned(repository, files)
    assert any(sentence in warning for warning in found.warnings), found.warnings
    assert plan.render(found).index("**Warnings**") < plan.render(found).index("Checked ")


def test_a_promotion_of_the_staging_release_is_not_called_out(repository):
    record = {"releases/ncf/ncf-9c41d2e7a0b1.json": json.dumps(RECORD)}
    found = planned(repository, {PRODUCTION: deploy("production"), **record})
    assert (found.warnings, found.problems) == ([], [])


@pytest.mark.parametrize("key", ["package_arn", "uri", "sha256"])
def test_f52_a_release_that_its_record_does_not_describe_is_a_problem(repository, key):
    archive = {**RECORD["archive"], key: "another"} if key in RECORD["archive"] else RECORD["archive"]
    record = {**RECORD, "archive": archive, **({key: "another"} if key in RECORD else {})}
    repository.commit({"releases/ncf/ncf-9c41d2e7a0b1.json": json.dumps(record)})
    (problem,) = planned(repository, {PRODUCTION: deploy("production")}).problems
    assert problem.startswith(f"deploy/production/ncf.yml: release.{'archive_' * (key in archive)}{key} is not what")


@pytest.mark.parametrize("path", ["params/ncf.yml", STAGING])
def test_a_folder_that_is_left_without_what_its_builds_read_is_a_problem(repository, path):
    problems = planned(repository, {path: None}).problems
    assert f"{path.rpartition('/')[0]}/: nothing is left that its builds read" in problems[-1]


def test_what_a_larger_machine_costs_is_said_where_nobody_knows_for_how_long(repository):
    repository.commit(CODE)
    larger = PARAMS + "train: {instance_type: ml.m5.4xlarge, instance_count: 8}\n"
    found = planned(repository, {"params/ncf.yml": larger})
    hourly = found.trainings[0].estimates[1].hourly
    assert hourly is not None
    assert f"est. unknown, up to {hourly:.2f} USD an hour" in plan.render(found)


def test_a_change_that_starts_nothing_now_says_what_the_next_retrain_does(repository):
    repository.commit(CODE)
    text = plan.render(planned(repository, {"project.yml": PROJECT.replace("film-recommender\n", "other\n", 1)}))
    assert "Nothing would be trained or deployed now; the next retrain would do this:" in text


def test_only_some_of_many_models_are_compiled_and_that_is_said(repository, monkeypatch):
    repository.commit(CODE)
    monkeypatch.setattr(plan, "MODELS", 1)
    found = planned(repository, {"params/a.yml": PARAMS, "params/ncf.yml": PARAMS + "run: {nonce: 1}\n"})
    assert [one.name for one in found.trainings] == ["a"]
    assert "params/: has 2 models; only the first 1 are compiled here" in found.warnings[-1]
