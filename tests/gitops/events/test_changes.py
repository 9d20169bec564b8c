import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.events import changes

EXPECTED = {
    "params/ncf.yml": "retrain",
    "params/deep/er/ncf.yml": "retrain",
    "pipelines/ncf.py": "retrain",
    "processing_code/prepare.py": "retrain",
    "training_code/train.py": "retrain",
    "buildspec.yml": "retrain",
    "serving_code/app.py": "image",
    "deploy/staging/ncf.yml": "reconcile staging",
    "deploy/production/ncf.yml": "reconcile production",
    "releases/ncf/ncf-0123456789ab.json": "evidence",
    "docs/params/ncf.yml": "other",
    "my-params/ncf.yml": "other",
    "params.yml": "other",
    "buildspec.yml.orig": "other",
    "infra/buildspec.yml": "other",
    "deploy/README.md": "other",
    "deploy/staging-old/ncf.yml": "other",
    "README.md": "other",
}


@pytest.mark.parametrize("path", EXPECTED)
def test_each_path_falls_in_the_class_of_the_table(path):
    assert changes.classify(path).name == EXPECTED[path]


def test_no_path_that_deploys_also_trains():
    acting = [prefix for kind in changes.CLASSES for prefix in kind.prefixes]
    assert len(acting) == len(set(acting))
    for prefix in acting:
        assert sum(prefix.startswith(other) for other in acting) == 1


def test_paths_are_grouped_in_the_order_of_the_table():
    groups = changes.by_class(["README.md", "deploy/staging/ncf.yml", "params/b.yml", "params/a.yml"])
    assert [(kind.name, paths) for kind, paths in groups.items()] == [
        ("retrain", ["params/a.yml", "params/b.yml"]),
        ("reconcile staging", ["deploy/staging/ncf.yml"]),
        ("other", ["README.md"]),
    ]


def test_a_list_that_fits_is_left_alone():
    detail = {"sha": "a", "changedFiles": ["params/ncf.yml", "README.md"], "truncated": False}
    assert changes.fit(detail) == detail


def test_a_list_too_long_is_folded_and_files_on_top_stay():
    files = [f"docs/{number:06}/{'x' * 40}.md" for number in range(6000)]
    detail = {"changedFiles": [*files, "buildspec.yml", "README.md", "deploy/staging/ncf.yml"], "truncated": False}
    fitted = changes.fit(detail)
    assert fitted["changedFiles"] == ["README.md", "buildspec.yml", "deploy/staging/", "docs/"]
    assert fitted["truncated"] is True


def test_even_a_folded_list_too_long_keeps_what_a_rule_asks_for():
    files = [f"{number:06}{'x' * 60}.md" for number in range(6000)]
    fitted = changes.fit({"changedFiles": [*files, "params/ncf.yml"], "truncated": False})
    assert fitted["changedFiles"] == ["params/"]
    assert len(json.dumps(fitted)) < changes.ENTRY_LIMIT


part = st.sampled_from(["params", "deploy", "staging", "production", "docs", "a", "ncf.yml", "buildspec.yml", "ü"])


@given(st.lists(part, min_size=1, max_size=4).map("/".join))
def test_a_folded_path_is_of_the_class_of_what_it_stands_for(path):
    assert changes.classify(changes.fold(path)) == changes.classify(path)


@given(st.lists(st.lists(part, min_size=1, max_size=3).map("/".join), max_size=50), st.integers(60, 2000))
def test_folding_loses_no_class_that_acts(paths, budget):
    fitted = changes.fit({"changedFiles": paths, "truncated": False}, budget)
    acting = {changes.classify(path).name for path in paths} - {"other"}
    assert {changes.classify(path).name for path in fitted["changedFiles"]} - {"other"} == acting


# what each class's build writes to the branch, as commits of its own; a test of the loop, not of the builds
WRITTEN = {
    "retrain": ("deploy/staging/ncf.yml", "deploy/production/ncf.yml", "releases/ncf/ncf-0123456789ab.json"),
    "reconcile staging": ("deploy/staging/ncf.yml",),  # the revert of a release that was rolled back
    "reconcile production": ("deploy/production/ncf.yml",),
}
BY_TIME_AND_DATA = ("params/ncf.data.yml",)  # of the schedule, of new data and of drift: no push starts those


def led_to(paths: tuple[str, ...]) -> set[str]:
    """The classes that a commit to these paths starts, and all that their own commits start."""
    reached: set[str] = set()
    coming = [changes.classify(path).name for path in paths]
    while coming:
        kind = coming.pop()
        if kind not in reached:
            reached.add(kind)
            coming += [changes.classify(path).name for path in WRITTEN.get(kind, ())]
    return reached


@pytest.mark.parametrize("kind", [kind.name for kind in (*changes.CLASSES, changes.OTHER)])
def test_no_commit_of_a_build_leads_back_to_training_or_to_the_other_environment(kind):
    reached = led_to(WRITTEN.get(kind, ()))
    assert "retrain" not in reached
    assert "image" not in reached
    if kind.startswith("reconcile"):
        assert reached == {kind}


def test_a_data_lock_written_by_a_bot_trains_once_and_ends_in_deployments():
    assert led_to(BY_TIME_AND_DATA) == {"retrain", "reconcile staging", "reconcile production", "evidence"}
