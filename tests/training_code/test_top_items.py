"""What training adds to an archive for serving: the table, categories, availability, and blending."""

import json
from dataclasses import replace
from pathlib import Path

import archive
import checkerboard as board
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import top_items
from als import ImplicitALS
from dataset import Dataset, TrainingError, from_arrays, load

from serving_code.archive import load as serving_load
from serving_code.recommender import Recommender

USERS, ITEMS = 30, 25


@pytest.fixture(scope="module")
def data() -> Dataset:
    """User u took the u first items, so that some have taken nearly all and some few."""
    user, item = np.array([(user, item) for user in range(USERS) for item in range(min(user, ITEMS - 1) + 1)]).T
    return from_arrays(user, item)


def model(data: Dataset, items: int = ITEMS) -> ImplicitALS:
    random = np.random.default_rng(0)
    return ImplicitALS(*(random.standard_normal((count, 3), dtype=np.float32) for count in (len(data.users), items)))


def served(folder: Path, data: Dataset, **facts: object) -> Recommender:
    archive.write(folder / "model.tar.gz", data, model(data, len(data.items)), {"model": "als", **facts})
    return Recommender(serving_load(board.unpacked(folder / "model.tar.gz", folder / "model")))


@pytest.mark.parametrize(
    ("users", "items", "width"),
    [(2250, 3871, 100), (40, 30, 30), (1_000_000, 1_000_000, 33), (3_000_000, 50, 11), (5_000_000, 50, 0), (9, 9, 0)],
)
def test_a_row_is_as_wide_as_the_bound_on_the_table_allows(users: int, items: int, width: int):
    assert top_items.width(users, items) == width
    assert 8 * users * width <= 2**20 * top_items.MAX_MIB


def test_a_catalogue_too_small_for_a_table_has_none(tmp_path: Path):
    recommender = served(tmp_path, from_arrays(np.array([0, 1, 1]), np.array([0, 1, 2])))
    assert recommender.archive.table is None
    assert recommender.golden_failure() is None


def test_the_table_ends_where_a_user_has_taken_the_rest(data: Dataset):
    items, scores = top_items.table(model(data), data) or (None, None)
    assert [(row >= 0).sum() for row in items] == [max(0, ITEMS - 1 - user) for user in range(USERS)]
    assert not scores[items < 0].any()


def test_a_table_made_some_users_at_a_time_is_the_same(data: Dataset):
    whole, parts = (top_items.table(model(data), data, at_once) or () for at_once in (10**6, ITEMS * 7))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_categories_and_availability_reach_serving(data: Dataset, tmp_path: Path):
    categories = [("even", "odd", None)[item % 3] for item in range(ITEMS)]
    available = [item % 2 == 0 for item in range(ITEMS)]
    recommender = served(tmp_path, replace(data, category=categories, available=available))
    assert json.loads((tmp_path / "model" / "categories.json").read_text()) == categories
    assert np.load(tmp_path / "model" / "available.npy").tolist() == available
    assert recommender.golden_failure() is None
    assert all(int(item) % 2 == 0 for item in recommender.names(recommender.recommend("3", 5)))


def test_golden_answers_of_users_of_few_interactions_are_blended(data: Dataset, tmp_path: Path):
    blended, plain = served(tmp_path / "blended", data, blend_below=20), served(tmp_path / "plain", data)
    assert (blended.golden_failure(), plain.golden_failure()) == (None, None)
    assert blended.recommend("0", 5).strategy == "blended"
    assert blended.recommend("29", 5) == plain.recommend("29", 5)
    lines = [(tmp_path / name / "model" / "golden.jsonl").read_text().splitlines() for name in ("blended", "plain")]
    assert [one == other for one, other in zip(*lines, strict=True)] == [False, False, True, True, True]


def test_availability_is_read_from_the_channel_and_must_be_boolean(tmp_path: Path):
    folder = board.prepared(tmp_path) / "train"
    assert load(folder).available is None
    items = pq.read_table(folder / "items.parquet")
    flags = pa.array([None, *[True] * (items.num_rows - 1)])
    pq.write_table(items.append_column("available", flags), folder / "items.parquet")
    assert load(folder).available == [False] + [True] * (items.num_rows - 1)
    pq.write_table(items.append_column("available", pa.array(range(items.num_rows))), folder / "items.parquet")
    with pytest.raises(TrainingError, match="available is int64, not bool"):
        load(folder)
