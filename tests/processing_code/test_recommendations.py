import numpy as np
import pytest
from channels import Data, Train
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics import PerUser
from ranking import Holdout, Ranks, group
from recommendations import by_user, of_all

# users 0 and 1 took items 0 and 1, user 2 items 1 and 2, user 3 item 3; of items 0 and 1 together 2 of 2 * 3
PAIRS = np.array([(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2), (3, 3)]).T


def data(category: list[str] | None = None) -> Data:
    users, items = [str(one) for one in range(4)], [str(one) for one in range(4)]
    user, item = PAIRS
    train = Train(users, items, user, item, user, None, category)
    asked = np.array([0, 2])
    return Data(train, Holdout(asked, group(user[:0], item[:0], asked), group(user, item, asked), 4), "temporal", "")


def ranks(top: list[list[int]], broken: tuple[bool, bool] = (False, False)) -> Ranks:
    nothing = np.array([], dtype=np.int64)
    return Ranks(nothing, nothing, np.array(top), np.array(broken), 0.0)


def described(top: list[list[int]], **more) -> PerUser:
    return by_user(ranks(top), data(**more), (1, 2))


def test_novelty_is_in_bits():
    found = described([[1, 2], [3, 0]])  # taken by 3, 1, 1, 2 of 4 users
    assert found["novelty@1"].tolist() == pytest.approx([np.log2(4 / 3), 2])
    assert found["novelty@2"].tolist() == pytest.approx([(np.log2(4 / 3) + 2) / 2, 1.5])


def test_popularity_lift_compares_with_what_the_user_took():
    found = described([[1, 2], [3, 0]])  # user 0 took items of popularity 2 and 3, user 2 of 3 and 1
    assert found["popularity_lift@1"].tolist() == pytest.approx([3 / 2.5 - 1, 1 / 2 - 1])
    assert found["popularity_lift@2"].tolist() == pytest.approx([2 / 2.5 - 1, 1.5 / 2 - 1])


def test_a_list_of_items_that_the_same_users_took_is_not_diverse():
    found = described([[0, 1], [0, 3]])
    assert found["diversity@2"].tolist() == pytest.approx([1 - 2 / np.sqrt(6), 1])
    assert "diversity@1" not in found


def test_categories_are_counted_where_items_have_one():
    found = described([[0, 1], [1, 2]], category=["a", "a", "b", "b"])
    assert (found["categories@1"].tolist(), found["categories@2"].tolist()) == ([1, 1], [0.5, 1])
    assert not any(name.startswith("categories") for name in described([[0, 1], [1, 2]]))


def test_a_short_or_empty_list_is_described_by_what_is_in_it():
    found = described([[0, -1], [-1, -1]], category=["a", "b", "c", "d"])
    assert found["novelty@2"].tolist() == [1, 0]
    assert found["popularity_lift@2"].tolist() == pytest.approx([2 / 2.5 - 1, -1])
    assert (found["diversity@2"].tolist(), found["categories@2"].tolist()) == ([0, 0], [1, 0])


def test_lists_made_of_no_numbers_are_no_numbers():
    found = by_user(ranks([[0, 1], [1, 2]], (True, False)), data(["a"] * 4), (1, 2))
    assert all(np.isnan(values[0]) and np.isfinite(values[1]) for values in found.values())


def test_coverage_and_gini_tell_one_list_for_all_from_lists_that_share_the_catalogue():
    same, fair = of_all(ranks([[0, 1], [0, 1]]), 4, (2,)), of_all(ranks([[0, 1], [2, 3]]), 4, (2,))
    assert same == {"coverage@2": 0.5, "gini@2": 0.5}
    assert fair == {"coverage@2": 1.0, "gini@2": 0.0}
    assert of_all(ranks([[-1, -1], [-1, -1]]), 4, (2,)) == {"coverage@2": 0.0, "gini@2": 0.0}


def test_a_list_longer_than_anybody_reads_is_not_described():
    assert (by_user(ranks([[0], [1]]), data(), (101,)), of_all(ranks([[0], [1]]), 4, (101,))) == ({}, {})


@given(st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3, unique=True), min_size=1, max_size=9))
@settings(max_examples=50, deadline=None)
def test_gini_is_the_mean_difference_of_all_pairs(top: list[list[int]]):
    counts = np.bincount(np.concatenate(top), minlength=6)
    plain = np.abs(counts[:, None] - counts).sum() / (2 * 6 * counts.sum())
    found = of_all(Ranks(np.array([]), np.array([]), np.array(top), np.array([]), 0.0), 6, (3,))
    assert found["gini@3"] == pytest.approx(plain)
