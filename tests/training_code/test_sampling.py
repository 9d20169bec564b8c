from dataclasses import replace

import numpy as np
import pytest
from dataset import Dataset, TrainingError, from_arrays
from hypothesis import given
from hypothesis import strategies as st
from model_contract import checkerboard
from sampling import Negatives, Taken

PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=200, unique=True)


def of(pairs: list[tuple[int, int]]) -> Dataset:
    user, item = np.array(pairs).T
    return from_arrays(user, item)


@given(PAIRS)
def test_what_was_taken_is_known_exactly(pairs: list[tuple[int, int]]):
    data = of(pairs)
    users, items = (grid.ravel() for grid in np.indices((len(data.users), len(data.items))))
    truth = np.zeros((len(data.users), len(data.items)), dtype=bool)
    truth[data.user, data.item] = True
    assert (Taken(data)(users, items) == truth.ravel()).all()


def test_its_memory_grows_with_interactions_and_not_with_users_times_items():
    random = np.random.default_rng(1)
    data = from_arrays(random.integers(200_000, size=10_000), random.integers(100_000, size=10_000))
    taken = Taken(data)
    assert not taken.exact
    assert taken.table.nbytes + taken.pairs.nbytes <= 64 * len(data.user)
    assert taken(data.user, data.item).all()


def test_negatives_are_items_the_user_never_took():
    data = checkerboard()
    drawn = Negatives(data)(data.user, data.item, 4, np.random.default_rng(1))
    assert not Taken(data)(np.repeat(data.user, 4), drawn.ravel()).any()
    assert len(np.unique(drawn)) == len(data.items)


def test_a_user_who_took_everything_does_not_stop_the_draw():
    data = of([(0, 0), (0, 1), (1, 0)])
    drawn = Negatives(data)(np.array([0, 1]), np.array([0, 0]), 3, np.random.default_rng(1))
    assert drawn[1].tolist() == [1, 1, 1]


def test_class_level_negatives_are_of_the_positives_category():
    data = replace(checkerboard(), category=[f"aisle {item // 10}" for item in range(40)])
    drawn = Negatives(data, "class")(data.user, data.item, 4, np.random.default_rng(1))
    assert (drawn // 10 == data.item[:, None] // 10).all()
    assert not Taken(data)(np.repeat(data.user, 4), drawn.ravel()).any()


def test_whom_a_category_offers_nothing_new_is_given_any_item():
    data = replace(of([(0, 0), (0, 1), (1, 2), (1, 3)]), category=["a", "a", "b", "b"])
    drawn = Negatives(data, "class")(np.array([0]), np.array([0]), 8, np.random.default_rng(1))
    assert set(drawn.ravel()) == {2, 3}


def test_class_level_sampling_without_categories_is_refused():
    with pytest.raises(TrainingError, match="class needs items with a category"):
        Negatives(checkerboard(), "class")
