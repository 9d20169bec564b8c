from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st

from pipelines import params
from pipelines.errors import ProjectError

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "params" / "ncf.yml"
SHIPPED = yaml.safe_load(FILE.read_text())
NAN, INFINITY = float("nan"), float("inf")

# key, wrong value, what the one line says
MISTAKES = [
    ("hyperparameters.epoch", 3, "hyperparameters.epoch: unknown key; did you mean epochs?"),
    ("prepair", {}, "prepair: unknown key; did you mean prepare?"),
    ("gate.absolute.ndcg@10.minimum", 1, "gate.absolute.ndcg@10.minimum: unknown key; did you mean min?"),
    ("train.gpu", 1, "train.gpu: unknown key; known keys: models, instance_type"),
    ("hyperparameters.epochs", -3, "hyperparameters.epochs: -3 is wrong; it must be greater than or equal to 1"),
    ("hyperparameters.epochs", 0, "hyperparameters.epochs: 0 is wrong"),
    ("hyperparameters.epochs", "10", "hyperparameters.epochs: '10' is wrong; it must be a valid integer"),
    ("hyperparameters.epochs", True, "hyperparameters.epochs: true is wrong; it must be a valid integer"),
    ("hyperparameters.epochs", 1.5, "hyperparameters.epochs: 1.5 is wrong"),
    ("hyperparameters.epochs", None, "hyperparameters.epochs: is empty"),
    ("hyperparameters.epochs", [3], "hyperparameters.epochs: a list of 1 is wrong"),
    ("hyperparameters.lr", NAN, "hyperparameters.lr: nan is wrong; it must be a finite number"),
    ("hyperparameters.lr", INFINITY, "hyperparameters.lr: inf is wrong; it must be a finite number"),
    ("hyperparameters.lr", 0, "hyperparameters.lr: 0 is wrong"),
    ("hyperparameters.lr", True, "hyperparameters.lr: true is wrong"),
    ("hyperparameters.dropout", 1, "hyperparameters.dropout: 1 is wrong; it must be less than or equal to 0.99"),
    ("hyperparameters.batch_size", 0, "hyperparameters.batch_size: 0 is wrong"),
    ("hyperparameters.top_k", 7, "hyperparameters.top_k: 7 is not in evaluate.top_k"),
    ("hyperparameters.test_num_ng", 5, "hyperparameters.test_num_ng: 5 contradicts evaluate.test_num_ng 99"),
    ("evaluate.top_k", [], "evaluate.top_k: a list of 0 is wrong; give at least 1"),
    ("evaluate.top_k", 10, "evaluate.top_k: 10 is wrong; it must be a valid list"),
    ("evaluate.top_k", [10, 0], "evaluate.top_k[1]: 0 is wrong"),
    ("evaluate.top_k", [10, "50"], "evaluate.top_k[1]: '50' is wrong"),
    ("evaluate.top_k", [10, 10], "evaluate.top_k: each depth once"),
    ("evaluate.top_k", [20], "gate.absolute.ndcg@10: ndcg@10 is not measured; add 10 to evaluate.top_k"),
    ("columns.user", "id; rm -rf /", "columns.user: 'id; rm -rf /' is wrong; write a column name"),
    ("columns.item", "$(id)", "columns.item: '$(id)' is wrong"),
    ("columns.time", "a\nb", "columns.time: 'a\\nb' is wrong"),
    ("columns.time", "t\n", "columns.time: 't\\n' is wrong"),
    ("columns.item", "household_id", "columns: user, item and time must be three different columns"),
    ("data", "../x.data.yml", "data: '../x.data.yml' is wrong; write params/<model>.data.yml"),
    ("data", "/etc/passwd", "data: '/etc/passwd' is wrong"),
    ("data", "params/../x.data.yml", "data: 'params/../x.data.yml' is wrong"),
    ("data", "params/ncf.yml", "data: 'params/ncf.yml' is wrong"),
    ("pipeline", "nfc", "pipeline: unknown pipeline 'nfc'; write ncf"),
    ("prepare.engine", "pandas", "prepare.engine: 'pandas' is wrong; it must be 'duckdb' or 'spark'"),
    ("prepare.folds", 1, "prepare.folds: 1 is wrong"),
    ("prepare.max_user_share", 0, "prepare.max_user_share: 0 is wrong"),
    ("columns.segment", "age; --", "columns.segment: 'age; --' is wrong; write a column name"),
    ("prepare.split", "random", "prepare.split: 'random' is wrong"),
    ("prepare.max_bad_ratio", 1.5, "prepare.max_bad_ratio: 1.5 is wrong"),
    ("prepare.instance_count", 2, "prepare.instance_count: 2 is wrong; it must be 1"),
    (
        "prepare.instance_type",
        "m5.xlarge",
        "prepare.instance_type: 'm5.xlarge' is wrong; write an instance type such as",
    ),
    ("train.instance_type", "ml.m5.xlarge --x", "train.instance_type: 'ml.m5.xlarge --x' is wrong"),
    ("train.models", ["svd"], "train.models[0]: 'svd' is wrong; it must be 'gmf', 'mlp', 'neumf'"),
    ("train.models", [], "train.models: a list of 0 is wrong; give at least 1"),
    ("train.models", "neumf", "train.models: 'neumf' is wrong"),
    ("train.models", ["als", "als"], "train.models: each model once"),
    ("hyperparameters.sampling", "local", "hyperparameters.sampling: 'local' is wrong; it must be 'global' or 'class'"),
    ("train.instance_count", 9, "train.instance_count: 9 is wrong"),
    ("train", {"models": ["als"], "instance_count": 2}, "train: instance_count: only models trained in epochs"),
    ("train.spot", "no", "train.spot: 'no' is wrong; it must be a valid boolean"),
    ("train.spot", 0, "train.spot: 0 is wrong"),
    ("gate.absolute", {}, "gate.absolute: a mapping is wrong; give at least 1"),
    ("gate.absolute.ndcg@10.min", "0.02", "gate.absolute.ndcg@10.min: '0.02' is wrong; it must be a valid number"),
    ("gate.absolute.ndcg@10", 0.02, "gate.absolute.ndcg@10: 0.02 is wrong; it must be a mapping"),
    ("gate.absolute.auc", {"min": 0.5}, "gate.absolute.auc: 'auc' is wrong; write ndcg@k, hr@k, recall@k"),
    ("gate.absolute.ndcg@10", {}, "gate.absolute.ndcg@10: is empty; give min, max or both"),
    ("gate.absolute.ndcg@10.max", 0.01, "gate.absolute.ndcg@10: min 0.02 is above max 0.01; nothing could pass"),
    ("gate.relative.metric", "gini@10", "gate.relative.metric: 'gini@10' is wrong; write ndcg@k"),
    ("gate.baselines", {"svd": {"max_drop": 0.1}}, "gate.baselines.svd: 'svd' is wrong; it must be 'als'"),
    ("gate.baselines", {"als": {}}, "gate.baselines.als.max_drop: missing; add it"),
    ("gate.slices", {"users=old": {}}, "gate.slices.users=old: 'users=old' is wrong; write activity=low"),
    ("gate.slices", {"segment=$(id)": {}}, "gate.slices.segment=$(id): 'segment=$(id)' is wrong"),
    ("gate.slices", {"users=new": {}}, "gate.slices.users=new: a mapping is wrong; give at least 1"),
    ("gate.slices", {"users=new": {"hr@20": {"min": 0.1}}}, "gate.slices.users=new.hr@20: hr@20 is not measured"),
    ("gate.relative.interval", 1, "gate.relative.interval: 1 is wrong"),
    ("gate.sanity.min_users", 0, "gate.sanity.min_users: 0 is wrong"),
    ("registry.group", "film recommender", "registry.group: 'film recommender' is wrong; write letters"),
    ("registry.group", "g`id`", "registry.group: 'g`id`' is wrong"),
    ("release.staging", "yolo", "release.staging: 'yolo' is wrong; it must be 'auto' or 'merge_request'"),
    ("release.stagin", "auto", "release.stagin: unknown environment; did you mean staging?"),
    ("release.qa", "auto", "release.qa: unknown environment; project.yml has staging, production"),
    ("run.nonce", -1, "run.nonce: -1 is wrong"),
    ("run", None, "run: is empty; it must be a mapping"),
    ("run", [], "run: a list of 0 is wrong; it must be a mapping"),
    ("build", {"wait_minutes": 0}, "build.wait_minutes: 0 is wrong"),
]


def changed(key: str, value: Any) -> dict[str, Any]:
    """The shipped params with one value put at a dotted key."""
    document = deepcopy(SHIPPED)
    *folders, last = key.split(".")
    place = document
    for folder in folders:
        place = place.setdefault(folder, {})
    place[last] = value
    return document


def load(document: dict[str, Any]) -> params.Params:
    return params.load(FILE, yaml.safe_dump(document))


@pytest.mark.parametrize(
    ("key", "value", "says"), MISTAKES, ids=[f"{key}={value!r}"[:60] for key, value, _ in MISTAKES]
)
def test_a_mistake_is_one_line_with_file_key_and_remedy(key: str, value: Any, says: str):
    with pytest.raises(ProjectError) as caught:
        load(changed(key, value))
    message = str(caught.value)
    assert message.startswith(f"{FILE}: {says}")
    assert "\n" not in message


@pytest.mark.parametrize(
    "key", ["token", "train.environment", "train.aws_secret_access_key", "registry.password", "columns.key"]
)
def test_f57_params_have_no_place_for_a_secret_and_a_refusal_does_not_show_it(key: str):
    with pytest.raises(ProjectError, match=f"{key}: unknown key; ") as caught:
        load(changed(key, "hunter2hunter2"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["train.instance_type", "registry.group", "columns.user", "release.staging"])
def test_f57_an_error_about_a_value_that_looks_like_a_secret_does_not_show_it(key: str):
    token = "gl" + "pat-" + "x" * 20
    with pytest.raises(ProjectError, match=r"\*\*\*") as caught:
        load(changed(key, f"a {token}"))
    assert token[-10:] not in str(caught.value)


@pytest.mark.parametrize("key", ["pipeline", "data", "columns"])
def test_what_has_no_sensible_default_must_be_there(key: str):
    document = deepcopy(SHIPPED)
    del document[key]
    with pytest.raises(ProjectError, match=f"{key}: missing; add it"):
        load(document)


@pytest.mark.parametrize(
    "key", ["prepare", "train", "hyperparameters", "evaluate", "gate", "registry", "release", "run", "build"]
)
def test_what_has_a_sensible_default_may_be_left_out(key: str):
    document = deepcopy(SHIPPED)
    document.pop(key, None)
    load(document)


def test_the_shipped_params_are_valid_and_frozen():
    found = params.load(FILE)
    assert found.release == {"staging": "auto", "production": "merge_request"}
    with pytest.raises(ValueError, match="frozen"):
        found.run.nonce = 1


def test_lotteons_top_k_and_test_num_ng_mean_evaluates():
    document = changed("hyperparameters.top_k", 10)
    document["hyperparameters"]["test_num_ng"] = 50
    del document["evaluate"]
    assert (load(document).evaluate.top_k, load(document).evaluate.test_num_ng) == ((10,), 50)


def test_lotteons_top_k_may_repeat_what_evaluate_says():
    assert load(changed("hyperparameters.top_k", 50)).evaluate.top_k == (10, 50)


def test_a_params_file_whose_name_cannot_name_a_pipeline_is_refused(home: Path):
    bad = home / "params" / "My Model.yml"
    bad.write_text((home / "params" / "ncf.yml").read_text())
    with pytest.raises(ProjectError, match="My Model cannot name a model"):
        params.load(bad)


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
KEYS = list(SHIPPED) + [f"{key}.{inner}" for key in SHIPPED if isinstance(SHIPPED[key], dict) for inner in SHIPPED[key]]


@settings(max_examples=150, deadline=None)
@given_by(st.sampled_from(KEYS), VALUES)
def test_any_value_anywhere_is_accepted_or_refused_in_one_line(key: str, value: Any):
    assert "\n" not in outcome(changed(key, value))


def outcome(document: dict[str, Any]) -> str:
    try:
        params.parse(params.Params, FILE, document)
    except ProjectError as error:
        return str(error)
    return "accepted"


def lock(**changes: Any) -> dict[str, Any]:
    partition = {"key": "raw/toy/week=2020-01/part-0.parquet", "sha256": "a" * 64, "bytes": 10, "rows": 5}
    return {"dataset": "toy", "reason": "manual", "partitions": [partition], **changes}


def load_lock(document: dict[str, Any]) -> params.DataLock:
    return params.load_lock(Path("params/ncf.data.yml"), yaml.safe_dump(document))


def test_a_lock_is_identified_by_its_data_not_by_order_or_reason():
    first, second = lock()["partitions"][0], {**lock()["partitions"][0], "key": "raw/toy/week=2020-02/part-0.parquet"}
    one = load_lock(lock(partitions=[first, second]))
    assert load_lock(lock(partitions=[second, first], reason="drift")).sha256 == one.sha256
    assert load_lock(lock()).sha256 != one.sha256


def partition(**changes: Any) -> dict[str, Any]:
    return lock(partitions=[{**lock()["partitions"][0], **changes}])


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (lock(partitions=[]), "partitions: a list of 0 is wrong; give at least 1"),
        (
            lock(partitions=lock()["partitions"] + lock()["partitions"]),
            "partitions[1].key: raw/toy/week=2020-01/part-0.parquet is listed twice",
        ),
        (lock(reason="because"), "reason: 'because' is wrong"),
        (lock(dataset="other"), "partitions[0].key: raw/toy/week=2020-01/part-0.parquet is not of this data set"),
        (lock(owner="x"), "owner: unknown key"),
        (partition(key="raw/toy/../../x.parquet"), "partitions[0].key: 'raw/toy/../../x.parquet' is wrong"),
        (partition(key="/raw/toy/x.parquet"), "partitions[0].key: '/raw/toy/x.parquet' is wrong"),
        (partition(key="raw/toy/$(id).parquet"), "partitions[0].key: 'raw/toy/$(id).parquet' is wrong"),
        (partition(sha256="abc"), "partitions[0].sha256: 'abc' is wrong; write a sha256"),
        (partition(bytes=0), "partitions[0].bytes: 0 is wrong"),
        (partition(bytes="10"), "partitions[0].bytes: '10' is wrong"),
        (partition(row=1), "partitions[0].row: unknown key; did you mean rows?"),
        (partition(rows=0), "partitions: no rows in any of them"),
    ],
)
def test_a_wrong_lock_is_one_line_with_file_key_and_remedy(document: dict[str, Any], says: str):
    with pytest.raises(ProjectError) as caught:
        load_lock(document)
    assert str(caught.value).startswith(f"params/ncf.data.yml: {says}")


def test_the_shipped_lock_is_valid():
    params.load_lock(ROOT / params.load(FILE).data)
