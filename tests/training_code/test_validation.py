from pathlib import Path

import checkerboard as board
import numpy as np
import pytest
from dataset import load
from model_contract import checkerboard, from_arrays
from settings import Settings
from validation import Quality, Split, Validation, Watch, measure, split


def test_f26_validation_holds_back_each_users_last_item(tmp_path: Path):
    data = load(board.prepared(tmp_path) / "train")
    parts = split(data, Settings(), limit=10)
    held = parts.validation
    assert len(held.user) == len(data.user) - len(parts.train.user) == 10
    for user, (item,) in zip(held.user, held.items, strict=True):
        own = data.time[data.user == user]
        assert data.time[(data.user == user) & (data.item == item)] == own.max()
        assert item not in parts.train.item[parts.train.user == user]


def test_f26_validation_may_hold_back_the_last_days_of_everyone(tmp_path: Path):
    data = load(board.prepared(tmp_path) / "train")
    parts = split(data, Settings(validation_days=5))
    assert parts.train.time.max() < data.time.max() - 4 * 86_400_000_000
    held = {
        (user, item)
        for user, items in zip(parts.validation.user, parts.validation.items, strict=True)
        for item in items
    }
    left = set(zip(parts.train.user.tolist(), parts.train.item.tolist(), strict=True))
    assert held.isdisjoint(left)
    assert held | left == set(zip(data.user.tolist(), data.item.tolist(), strict=True))


def test_several_items_held_back_of_one_user_are_measured_together():
    train = from_arrays(np.array([0, 1]), np.array([0, 4]))
    parts = Split(train, Validation(np.array([0]), [np.array([2, 3])], np.array([[1]])))
    found = measure(lambda users: np.array([[9, 3, 4, 1, 2]], dtype=np.float32), parts, 2)
    assert found.hr == 1.0
    assert found.ndcg == pytest.approx(1 / (1 + 1 / np.log2(3)))
    assert found.sampled_hr == 1.0


def test_users_with_little_history_lose_none_of_it_to_validation():
    few = from_arrays(np.array([0, 0, 1]), np.array([0, 1, 0]))
    parts = split(few, Settings())
    assert len(parts.train.user) == 3
    assert not len(parts.validation.user)


def test_sampled_negatives_of_a_validation_user_are_items_it_never_took():
    data = checkerboard()
    held = split(data, Settings(test_num_ng=9)).validation
    taken = set(zip(data.user.tolist(), data.item.tolist(), strict=True))
    assert not {(user, item) for user, row in zip(held.user, held.negatives, strict=True) for item in row} & taken


def two_users() -> Split:
    """Users 0 and 1 of four items; 0 took item 0, item 3 of both is held back, item 1 is a sampled negative."""
    train = from_arrays(np.array([0, 1]), np.array([0, 3]))
    return Split(train, Validation(np.array([0]), [np.array([3])], np.array([[1]])))


@pytest.mark.parametrize(
    ("row", "right"),
    [
        ([9, 0, 0, 1], Quality(1.0, 1.0, 1.0, 1.0)),  # what was taken does not compete
        ([0, 0, 2, 1], Quality(0.0, 0.0, 1.0, 1.0)),  # an item that was not sampled is better
        ([0, 1, 0, 1], Quality(0.0, 0.0, 0.0, 0.0)),  # a tie counts against
    ],
)
def test_quality_of_scores_worked_out_by_hand(row: list[float], right: Quality):
    assert measure(lambda users: np.array([row], dtype=np.float32), two_users(), 1) == right


def test_a_score_that_is_not_a_number_hits_nothing():
    scores = np.full((1, 4), np.nan, dtype=np.float32)
    assert measure(lambda users: scores, two_users(), 1) == Quality(0.0, 0.0, 0.0, 0.0)


def test_training_ends_when_patience_does_and_remembers_the_best_epoch():
    told = []
    watch = Watch(two_users(), Settings(patience=2, top_k=10), told.append)
    good, bad = ([[0, 0, 0, 1]], [[0, 1, 1, 0]])
    best = [
        watch(number, lambda users, now=now: np.array(now, dtype=np.float32))
        for number, now in enumerate([bad, good, bad])
    ]
    assert best == [True, True, False]
    assert not watch.ended
    watch(3, lambda users: np.array(bad, dtype=np.float32))
    assert watch.ended
    assert watch.best is told[1]
