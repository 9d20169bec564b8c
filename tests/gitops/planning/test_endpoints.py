import json
from datetime import UTC, datetime

import pytest

from gitops.planning import endpoints, prices
from gitops.planning.text import render
from tests.gitops.repository import FILES

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PATH = "deploy/production/ncf.yml"
PRICES = prices.Prices(as_of="2026-11-21", region="r", source="s", hourly={"ml.c6i.large": 0.1, "ml.c6i.xlarge": 0.2})


def release(number: int) -> str:
    arn = f"arn:aws:sagemaker:eu-west-1:111122223333:model-package/film-recommender-ncf/{number}"
    return (
        f"release: {{id: ncf-{number:012x}, package_arn: '{arn}', archive_uri: 's3://bucket/{number}/model.tar.gz',"
        f" archive_sha256: '{'a' * 64}', image: 'serving@sha256:{'b' * 64}'}}\n"
    )


def deployed(number: int, serving: str = "instance_type: ml.c6i.large, instances: 1", more: str = "") -> str:
    return f"model: ncf\n{release(number) if number else 'release: null'}\nserving: {{{serving}}}\n{more}"


@pytest.fixture
def roots(tmp_path):
    return tmp_path / "base", tmp_path / "head"


def planned(roots, before: str | None, after: str, records: dict[int, float] | None = None):
    for root, text in zip(roots, (before, after), strict=True):
        (root / PATH).parent.mkdir(parents=True, exist_ok=True)
        (root / "project.yml").write_text(FILES["project.yml"])
        if text is not None:
            (root / PATH).write_text(text)
    for number, value in (records or {}).items():
        file = roots[1] / f"releases/ncf/ncf-{number:012x}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"metrics": {"ndcg@10": {"value": value}}, "created": "2026-11-20T00:00:00+00:00"}))
    return endpoints.plan(roots, PATH, PRICES, NOW)


def test_a_promotion_shows_both_releases_their_metrics_and_the_way_back(roots):
    found = planned(roots, deployed(1), deployed(2), {1: 0.03, 2: 0.0312})
    assert found.releases[1] == "ncf-000000000002, version 2, ndcg@10 0.0312, 1 day old"
    assert found.metrics == [("ndcg@10", "0.0300", "0.0312", "+0.0012")]
    assert (found.differences, found.warnings) == ([], [])
    assert found.rollback == "python -m gitops rollback production ncf"


def test_values_are_compared_with_their_defaults(roots):
    found = planned(roots, deployed(1), deployed(1, more="capture: {sampling_percent: 20}\nretry: 0\n"), {1: 0.03})
    assert found.differences == ["capture.sampling_percent: (absent) -> 20"]


def test_cost_is_of_a_month_with_every_instance_and_of_the_most_that_scaling_may_take(roots):
    more = "autoscaling: {min: 1, max: 4, invocations_per_instance: 750}\n"
    shadow = f"shadow: {{share: 0.5, {release(3).strip()}}}\n"
    found = planned(roots, deployed(1), deployed(1, "instance_type: ml.c6i.xlarge, instances: 2", more + shadow))
    assert found.monthly == (pytest.approx(73), pytest.approx(3 * 146))
    assert found.most == pytest.approx(5 * 146)


def test_nothing_deployed_costs_nothing_and_a_machine_without_a_price_is_unknown(roots):
    assert planned(roots, None, deployed(0)).monthly == (0, 0)
    assert planned(roots, None, deployed(1, "instance_type: ml.x.large")).monthly == (0, None)


def test_a_release_without_a_record_a_step_back_and_a_null_are_warned_of(roots):
    assert "no record in releases/" in planned(roots, deployed(0), deployed(2)).warnings[0]
    assert planned(roots, deployed(2), deployed(1), {1: 0.1}).warnings == [f"{PATH}: goes back from version 2 to 1"]
    assert "the endpoint itself stays" in planned(roots, deployed(2), deployed(0)).warnings[0]


@pytest.mark.parametrize("record", ["[]", "{", '{"metrics": []}', '{"metrics": {"ndcg@10": "x"}, "gate": 7}'])
def test_a_record_that_is_none_of_ours_is_no_evidence(roots, record):
    planned(roots, deployed(1), deployed(2), {1: 0.1})
    (roots[1] / "releases/ncf/ncf-000000000002.json").write_text(record)
    found = endpoints.plan(roots, PATH, PRICES, NOW)
    assert all(after == "-" for _, _, after, _ in found.metrics)


def test_the_text_has_all_of_it(roots):
    from gitops.planning.plan import Plan

    found = Plan("a" * 40, "b" * 40, "a" * 40, [PATH])
    found.endpoints.append(planned(roots, deployed(1), deployed(2), {1: 0.03, 2: 0.0312}))
    text = render(found)
    assert "### Plan: ncf · `bbbbbbbbbbbb` on `aaaaaaaaaaaa` · 1 changed path" in text
    assert "- cost per month: 73.00 USD -> 73.00 USD (+0.00 USD)" in text
    assert "| `ndcg@10` | 0.0300 | 0.0312 | +0.0012 |" in text
    assert "- rollback: `python -m gitops rollback production ncf`" in text
