"""Choosing settings, comparing models, and the data sets they are judged on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import arrays, datasets, judging, synthetic
from benchmarks.errors import BenchmarkError

KNN = {"model": "item_knn", "seed": 1, "grid": {"neighbours": [1, 30], "shrink": [0]}}


def test_the_best_point_on_validation_is_chosen(board: arrays.Arrays, tmp_path: Path):
    arrays.save(tmp_path, board)
    found = judging.tune(tmp_path, KNN)
    assert found["best"] == {"neighbours": 30, "shrink": 0}
    assert [one["settings"]["neighbours"] for one in found["points"]] == [1, 30]


def test_choosing_does_not_look_at_the_holdout(board: arrays.Arrays, tmp_path: Path):
    other = replace(board, test_item=board.test_item[::-1].copy(), negatives=board.negatives[::-1].copy())
    for name, one in (("one", board), ("other", other)):
        arrays.save(tmp_path / name, one)
    assert judging.tune(tmp_path / "one", KNN) == judging.tune(tmp_path / "other", KNN)


def test_a_better_model_is_better_by_the_paired_interval(board: arrays.Arrays, tmp_path: Path):
    arrays.save(tmp_path, board)
    for label, settings in (
        ("knn", {"model": "item_knn", "neighbours": 30, "shrink": 0}),
        ("pop", {"model": "popularity"}),
    ):
        judging.judge(tmp_path, {**settings, "label": label})
    found = judging.compare(tmp_path, {"labels": ["knn"], "against": ["pop"]})["ndcg@10"]
    assert 0 < found["low"] <= found["value"] <= found["high"] <= 1


def test_a_model_does_not_differ_from_itself(board: arrays.Arrays, tmp_path: Path):
    arrays.save(tmp_path, board)
    judging.judge(tmp_path, {"model": "popularity", "label": "pop"})
    found = judging.compare(tmp_path, {"labels": ["pop"], "against": ["pop", "pop"]})
    assert found["hr@10"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_synthetic_interactions_are_distinct_and_the_same_again():
    one, other = synthetic.interactions(4000), synthetic.interactions(4000)
    assert len({*zip(one.user.tolist(), one.item.tolist(), strict=True)}) == len(one.user) <= 4000
    assert (one.item == other.item).all()
    assert (one.time == other.time).all()
    assert one.user.max() < one.users
    assert one.item.max() < one.items


def test_large_synthetic_data_has_about_the_size_asked_for():
    assert 0.9 * 150_000 < len(synthetic.interactions(150_000).user) <= 150_000


def test_each_synthetic_user_has_its_last_interaction_held_back():
    found = datasets.made_up(4000)
    assert len(set(found.test_user.tolist())) == len(found.test_user)
    assert not {*zip(found.user, found.item, strict=True)} & {*zip(found.test_user, found.test_item, strict=True)}


def test_a_folder_of_prepare_py_is_read(board: arrays.Arrays, tmp_path: Path):
    datasets.write_channel(tmp_path / "train", board)
    holdout = {"user": board.test_user, "item": board.test_item, "time": board.test_user.astype(np.int64)}
    (tmp_path / "holdout").mkdir()
    pq.write_table(pa.table(holdout), tmp_path / "holdout" / "interactions.parquet")
    found = datasets.load(str(tmp_path), 0)
    assert (found.name, found.users, found.items) == ("board", board.users, board.items)
    np.testing.assert_array_equal(found.item, board.item)
    assert found.negatives.shape == (board.users, 99)


def test_a_folder_that_prepare_py_did_not_write_is_refused(tmp_path: Path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "manifest.json").write_text(json.dumps({}))
    with pytest.raises(BenchmarkError, match="holds no train/ and holdout/"):
        datasets.load(str(tmp_path), 0)
