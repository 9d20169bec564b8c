import numpy as np
import pytest
from baselines import BASELINES, ease, hold_back, item_knn, popularity, tune
from channels import Train
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit_als import als
from interactions import Interactions
from ranking import TIE


def board(size: int = 20) -> Train:
    """Even users like even items, odd users odd ones; each has yet to find the item of its own number."""
    pairs = [(user, item) for user in range(size) for item in range(user % 2, size, 2) if item != user]
    user, item = np.array(pairs, dtype=np.int64).T
    names = [str(number) for number in range(size)]
    return Train(names, names, user, item, user * 100 + item, None, None)


def chain() -> Interactions:
    """Three users of three items: 0 and 1 go together, 1 and 2 do once."""
    return Interactions.of(*np.array([(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)], dtype=np.int64).T, 3, 3)


def dense(train: Interactions) -> np.ndarray:
    return train.dense(np.arange(train.users))


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"popularity"}))
def test_every_baseline_recommends_the_one_item_held_back(name: str):
    train = board().matrix
    for settings_, score in zip(BASELINES[name].grid, BASELINES[name].fit(train, BASELINES[name].grid), strict=True):
        unseen = np.where(dense(train) > 0, -np.inf, score(np.arange(20)))
        assert unseen.argmax(axis=1).tolist() == list(range(20)), settings_


def test_popularity_is_how_many_took_it_whoever_asks():
    (score,) = popularity(chain(), [{}])
    assert score(np.array([2, 0])).tolist() == [[2, 3, 1], [2, 3, 1]]


def test_ease_is_what_its_paper_says():
    train, l2 = chain(), 2.0
    inverse = np.linalg.inv(dense(train).T @ dense(train) + l2 * np.eye(3))
    weights = np.eye(3) - inverse @ np.diag(1 / np.diag(inverse))
    (score,) = ease(train, [{"l2": l2}])
    assert np.allclose(np.diag(weights), 0)
    assert np.allclose(score(np.arange(3)), dense(train) @ weights, atol=1e-6)


def test_neighbours_are_the_most_similar_items_by_shrunk_cosine():
    (score,) = item_knn(chain(), [{"neighbours": 1, "shrink": 0}])
    near, far = 2 / np.sqrt(2 * 3), 1 / np.sqrt(1 * 3)
    # each item's own nearest one: 1 for item 0, 0 for item 1, 1 for item 2
    assert np.allclose(score(np.array([2])), [[near, 0, far]], atol=1e-6)
    (shrunk,) = item_knn(chain(), [{"neighbours": 2, "shrink": 2}])
    assert shrunk(np.array([0]))[0, 0] == pytest.approx(2 / np.sqrt(6) * 2 / (2 + 2))


def test_als_solves_the_equation_of_its_paper():
    train = board(6).matrix
    (score,) = als(train, [{"factors": 6, "alpha": 4, "reg": 0.01}])
    confidence, preference = 1 + 4 * dense(train), dense(train)
    assert np.abs(confidence * (score(np.arange(6)) - preference)).mean() < 0.05


def loss(train: Interactions, scores: np.ndarray, alpha: float) -> float:
    return float(((1 + alpha * dense(train)) * (scores - dense(train)) ** 2).sum())


def test_als_fits_closer_with_less_regularisation_and_the_same_on_every_run():
    train = board().matrix
    grid = [{"factors": 4, "alpha": 2, "reg": reg} for reg in (50, 5, 0.5)]
    first, second = ([score(np.arange(20)) for score in als(train, grid)] for _ in range(2))
    losses = [loss(train, scores, 2) for scores in first]
    assert losses == sorted(losses, reverse=True)
    assert all(np.array_equal(*both) for both in zip(first, second, strict=True))


def test_the_last_items_by_time_are_held_back_and_everybody_keeps_one():
    names = ["a", "b", "c"]
    user = np.array([0] * 20 + [1] * 3 + [2])
    item = np.arange(24)
    time = np.concatenate([np.arange(20)[::-1], [5, 9, 7], [1]])
    data = Train(names, [str(one) for one in range(24)], user, item, time, None, None)
    kept, held = hold_back(data)
    assert item[~kept].tolist() == [0, 1, 21]
    assert (held.users.tolist(), held.taken.item.tolist()) == ([0, 1], [0, 1, 21])
    assert held.seen.item.tolist() == [*range(2, 20), 20, 22]


def test_the_best_setting_is_chosen_on_what_is_held_back_and_fitted_on_everything():
    data = board()
    fitted, skipped = tune(data, "ndcg@10", 1)
    assert (list(fitted), skipped) == (list(BASELINES), {})
    assert all(dict(one.settings) in [dict(each) for each in BASELINES[name].grid] for name, one in fitted.items())
    assert all(0 <= fitted[name].validation <= 1 for name in ("als", "ease", "item_knn"))
    whole = next(BASELINES["ease"].fit(data.matrix, [fitted["ease"].settings]))
    assert np.array_equal(fitted["ease"].score(np.arange(20)), whole(np.arange(20)))


def test_a_catalogue_too_large_for_items_times_items_leaves_those_baselines_out_and_says_so():
    names = [str(number) for number in range(10_001)]
    wide = Train(["a", "b"], names, *np.array([[0, 0, 1, 1], [0, 1, 1, 2], [1, 2, 1, 2]]), None, None)
    fitted, skipped = tune(wide, "ndcg@10", 1)
    assert list(fitted) == ["popularity", "als"]
    assert skipped == dict.fromkeys(("item_knn", "ease"), "10,001 items; it is for at most 10,000")


def test_nobody_with_two_items_means_no_choice_but_the_first_setting():
    data = Train(["a", "b"], ["x", "y"], np.array([0, 1]), np.array([0, 1]), np.array([1, 1]), None, None)
    fitted, _ = tune(data, "ndcg@10", 1)
    assert (fitted["als"].settings, fitted["als"].validation) == (BASELINES["als"].grid[0], None)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, unique=True))
@settings(max_examples=50, deadline=None)
def test_a_sparse_matrix_is_the_dense_one(pairs: list[tuple[int, int]]):
    user, item = np.array(pairs, dtype=np.int64).T
    plain = np.zeros((5, 6))
    plain[user, item] = 1
    found = Interactions.of(user, item, 5, 6)
    assert np.array_equal(found.dense(np.array([4, 0, 2])), plain[[4, 0, 2]])
    assert np.array_equal(found.together, plain.T @ plain)
    assert np.array_equal(dense(found.transposed), plain.T)
    assert np.array_equal(found.popularity, plain.sum(axis=0))
    lengths = np.maximum(np.linalg.norm(plain, axis=0), 1)
    assert np.allclose(found.cosine, plain.T @ plain / lengths / lengths[:, None], rtol=10 * TIE)
    listed = [pair for rows, items in found.batches for pair in zip(rows.tolist(), items.tolist(), strict=True)]
    rows = {row: [one for one in items if one != 6] for row, items in listed}
    assert rows == {row: np.flatnonzero(plain[row]).tolist() for row in range(5) if plain[row].any()}
