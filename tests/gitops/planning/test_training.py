"""What a merge request is told about a model, from one real plan that is compiled once."""

import json
from datetime import UTC, datetime

import pytest

from gitops.errors import GitopsError
from gitops.planning import plan, prices
from gitops.planning.estimates import History
from gitops.planning.plan import Outlook
from tests.gitops.repository import DEPLOY, LOCK, PARAMS, project

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CODE = {"buildspec.yml": "version: 0.2\n", "processing_code/prepare.py": "a\n", "training_code/train.py": "a\n"}
CHAMPION = "ncf-0123456789ab"
RELEASE = f"""release:
  id: {CHAMPION}
  package_arn: arn:aws:sagemaker:eu-west-1:111122223333:model-package/film-recommender-ncf/17
  archive_uri: s3://film-recommender/steps/Evaluate/1/models/neumf/model.tar.gz
  archive_sha256: "{"a" * 64}"
  image: 111122223333.dkr.ecr.eu-west-1.amazonaws.com/film-recommender/serving@sha256:{"b" * 64}
"""
RECORD = {
    "id": CHAMPION,
    "created": "2026-11-09T00:00:00+00:00",
    "report": "s3://bucket/report.html",
    "data_lock_sha256": "c" * 64,
    "data": {"counts": {"rows": 24000, "bad_rows": 12}},
    "metrics": {"ndcg@10": {"value": 0.0312, "low": 0.0301, "high": 0.0323}},
    "gate": {"rules": {"relative": {"metric": "ndcg@10"}}},
    "cost": {"step_seconds": {"Prepare": 60.0, "Train": 3600.0, "Evaluate": 120.0}},
}
NEW = "raw/completejourney/week=2017-41/part-0.parquet"


def outlook(recall=lambda pipeline, region: None) -> Outlook:
    known = prices.Prices(as_of="2026-11-21", region="eu-west-1", source="s", hourly={"ml.m5.2xlarge": 0.5})
    return Outlook(known, recall, NOW)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    found = project(tmp_path_factory.mktemp("plan") / "clone")
    deployed = DEPLOY.format(environment="production").replace("release: null  # nothing yet\n", RELEASE)
    record = {f"releases/ncf/{CHAMPION}.json": json.dumps(RECORD)}
    found.commit({**CODE, **record, "deploy/production/ncf.yml": deployed})
    return found


@pytest.fixture(scope="module")
def found(clone):
    clone.git("checkout", "--quiet", "-b", "topic")
    partition = f'  - {{key: "{NEW}", sha256: "{"b" * 64}", bytes: 5, rows: 7}}\n'
    clone.commit({"params/ncf.yml": PARAMS.replace("epochs: 10", "lr: 0.004"), "params/ncf.data.yml": LOCK + partition})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(clone.root)
        return plan.plan("main", "topic", outlook())


@pytest.fixture(scope="module")
def text(found) -> str:
    return plan.render(found)


def test_the_headline_says_how_much_would_run_for_how_long_and_for_what(text):
    assert "2 changed paths, 3 steps will run, est. unknown, 63 min" in text


def test_a_default_is_shown_as_one(text):
    assert "- `hyperparameters.lr: 0.008 (default) -> 0.004`" in text
    assert "epochs:" not in text.partition("<details>")[0]  # 10 is the default too, so that nothing changes


def test_each_step_says_whether_it_runs_and_why(text):
    assert "| Prepare | **runs** | `data lock changed` | 60 s | unknown |" in text
    assert "| Train | **runs** | `hyperparameters.lr 0.008 -> 0.004; Prepare runs` | 60 min | 0.50 USD |" in text
    assert "| Evaluate | **runs** | `Prepare runs; Train runs` | 2 min | unknown |" in text
    assert "| Gate, Register, GateFailed | always |" in text


def test_estimates_say_how_they_were_made(text):
    assert "Time: median of 1 release in releases/." in text
    assert "Cost: on-demand prices of eu-west-1 as of 2026-11-21 (s)." in text


def test_the_data_lock_says_what_it_is_and_what_changed(text):
    assert "Data lock: `params/ncf.data.yml: completejourney: 2 partitions, 24,018 rows, 91,828 bytes, sha256 " in text
    assert f"- `1 added: {NEW}`" in text


def test_the_data_lock_says_which_share_was_quarantined_or_why_that_is_not_known(text):
    unknown = "no record in releases/ncf/ is of this lock, and no credentials to ask AWS"
    older = f"0.05% (12 of 24,000 rows, by {CHAMPION}, of lock {'c' * 12})"
    assert f"; quarantined share unknown: {unknown}; {older}`" in text


def test_the_champion_is_named_with_version_metric_and_age(text):
    facts = "version 17, ndcg@10 0.0312 [0.0301, 0.0323], 12 days old, report s3://bucket/report.html"
    assert f"Champion now: `{CHAMPION}, {facts}`" in text


def test_what_is_long_is_folded_and_the_rest_is_short(text):
    unfolded = [line for part in text.split("</details>") for line in part.partition("<details>")[0].splitlines()]
    assert len(unfolded) < 60
    assert "ncf: resolved params" in text
    assert "ncf: definition diff" in text


def test_it_notes_which_base_and_which_data_it_holds_for(found, text):
    assert text.startswith("<!-- gitops:plan -->\n")
    assert (
        f"<!-- base {found.base} head {found.head} params/ncf.data.yml={found.locks['params/ncf.data.yml'][:12]} -->"
        in text
    )
    assert text.rstrip().endswith("stale if main or the data lock moves")
    assert found.stale == []


def test_it_is_stale_when_main_moved_on(clone, monkeypatch):
    monkeypatch.chdir(clone.root)
    clone.git("checkout", "--quiet", "-b", "docs", "main")
    clone.commit({"docs/a.md": "a"})
    clone.git("checkout", "--quiet", "-b", "later", "main")
    tip = clone.commit({"docs/b.md": "b"})
    text = plan.render(plan.plan("later", "docs", outlook()))
    assert f"**Stale**\n- `main moved on to {tip[:12]}" in text


def test_times_come_from_sagemaker_where_it_can_be_asked_and_its_refusal_is_a_warning(clone, monkeypatch):
    monkeypatch.chdir(clone.root)
    asked = []

    def refuse(pipeline: str, region: str) -> History:
        asked.append((pipeline, region))
        raise GitopsError("no")

    clone.git("checkout", "--quiet", "-b", "spec", "main")
    clone.commit({"buildspec.yml": "version: 0.2 # again\n"})
    found = plan.plan("main", "spec", outlook(refuse))
    assert asked == [("film-recommender-ncf", "eu-west-1")]
    assert found.warnings[1:] == ["no"]
    assert [step.runs for one in found.trainings for step in one.steps] == [False] * 3  # a run of cache hits
