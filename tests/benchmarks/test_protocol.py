"""The metrics: values worked out by hand, and a slow definition to agree with."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.arrays import Arrays, validation
from benchmarks.errors import BenchmarkError
from benchmarks.protocol import measure, sampled_hit_rate


def arrays(taken: list[list[int]], held: list[list[int]], negatives: list[list[int]], items: int) -> Arrays:
    user, item = rows(taken)
    test_user, test_item = rows(held)
    time = np.arange(len(user), dtype=np.int64)
    drawn = np.array(negatives, dtype=np.int32)
    return Arrays("small", len(taken), items, user, item, time, test_user, test_item, drawn)


def rows(of_users: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(user, item) for user, own in enumerate(of_users) for item in own]
    return tuple(np.array(pairs, dtype=np.int32).reshape(-1, 2).T.copy())


def found(scores: list[list[float]], data: Arrays) -> dict[str, list[float]]:
    table = np.array(scores, dtype=np.float32)
    return {name: values.tolist() for name, values in measure(lambda users: table[users], data).items()}


def test_the_third_of_the_unseen_is_hit_with_half_the_gain():
    data = arrays([[0]], [[1]], [[2, 3]], items=5)
    metrics = found([[9.0, 3.0, 4.0, 1.0, 5.0]], data)  # item 0 was seen; 4 and 2 are better than 1
    assert metrics["hr@10"] == [1.0]
    assert metrics["ndcg@10"] == [pytest.approx(1 / np.log2(4))]
    assert metrics["sampled_hr@10"] == [1.0]
    assert metrics["sampled_ndcg@10"] == [pytest.approx(1 / np.log2(3))]  # among 2 and 3 it is second


def test_the_eleventh_is_no_hit():
    data = arrays([[0]], [[11]], [list(range(1, 11))], items=12)
    metrics = found([[0.0] + [2.0] * 10 + [1.0]], data)
    assert {name: values for name, values in metrics.items() if values != [0.0]} == {}


def test_ties_count_against_the_held_back_item():
    data = arrays([[0]], [[1]], [list(range(2, 13))], items=13)
    assert found([[1.0] * 13], data)["hr@10"] == [0.0]
    assert found([[1.0] * 13], data)["sampled_hr@10"] == [0.0]


def test_a_negative_that_is_the_item_itself_or_there_twice_counts_once():
    data = arrays([[0]], [[1]], [[1, 1, 2, 2, 2, 3]], items=4)
    metrics = found([[0.0, 5.0, 6.0, 1.0]], data)
    assert metrics["sampled_ndcg@10"] == [pytest.approx(1 / np.log2(3))]


def test_two_held_back_items_do_not_stand_in_each_others_way():
    data = arrays([[0]], [[1, 2]], [[3], [4]], items=5)
    metrics = found([[9.0, 2.0, 3.0, 1.0, 1.0]], data)
    assert metrics["ndcg@10"] == [pytest.approx(1.0)]
    assert metrics["sampled_ndcg@10"] == [1.0]


def test_a_score_that_is_not_a_number_is_refused():
    with pytest.raises(BenchmarkError, match="scored NaN"):
        found([[0.0, float("nan"), 1.0]], arrays([[0]], [[1]], [[2]], items=3))


def test_each_user_counts_once_however_many_items_it_has_held_back():
    data = arrays([[0], [0], [0]], [[1], [], [1, 2]], [[3], [3], [3]], items=4)
    metrics = found([[0.0, 1.0, 2.0, 3.0]] * 3, data)
    assert len(metrics["hr@10"]) == 2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_ranks_are_those_of_the_slow_definition(seed: int):
    random = np.random.default_rng(seed)
    users, items = 6, 30
    order = [random.permutation(items).tolist() for _ in range(users)]
    taken, held = [own[:5] for own in order], [own[5 : 5 + 1 + user % 3] for user, own in enumerate(order)]
    count = sum(map(len, held))
    data = arrays(taken, held, random.integers(items, size=(count, 8)).tolist(), items)
    scores = random.integers(12, size=(users, items)).astype(np.float32)
    assert found(scores.tolist(), data)["ndcg@10"] == pytest.approx(
        [slow_ndcg(scores[user], taken[user], held[user]) for user in range(users)]
    )


def slow_ndcg(scores: np.ndarray, taken: list[int], held: list[int]) -> float:
    """The list a user would be shown, worst case among equal scores; the gain of each held-back item on it."""
    shown = sorted(set(range(len(scores))) - set(taken), key=lambda item: (-scores[item], item in held))[:10]
    gain = sum(1 / np.log2(place + 2) for place, item in enumerate(shown) if item in held)
    return gain / sum(1 / np.log2(place + 2) for place in range(min(10, len(held))))


def test_scores_of_pairs_give_the_same_hit_rate(board: Arrays):
    table = np.random.default_rng(3).random((board.users, board.items)).astype(np.float32)
    whole = measure(lambda users: table[users], board)["sampled_hr@10"].mean()
    assert sampled_hit_rate(lambda users, items: table[users, items], board) == pytest.approx(whole)


def test_the_validation_split_holds_back_the_last_and_knows_nothing_of_the_holdout(board: Arrays):
    earlier = validation(board, count=5)
    assert len(earlier.user) == len(board.user) - board.users
    last = {user: board.item[board.user == user][-1] for user in range(board.users)}
    assert dict(zip(earlier.test_user.tolist(), earlier.test_item.tolist(), strict=True)) == last
    assert not {*zip(earlier.user, earlier.item, strict=True)} & {*last.items()}
    other = validation(replace(board, test_item=board.test_item[::-1].copy()), count=5)
    np.testing.assert_array_equal(earlier.negatives, other.negatives)


def test_the_last_days_are_held_back_where_the_holdout_is_days(board: Arrays):
    day = 86_400_000_000
    days = np.tile(np.arange(10), len(board.user) // 10 + 1)[: len(board.user)] * day
    earlier = validation(replace(board, time=days), days=3, count=5)
    assert earlier.time.max() == 6 * day
    assert len(earlier.user) + len(earlier.test_user) == len(board.user)
    assert (np.diff(earlier.test_user) >= 0).all()
