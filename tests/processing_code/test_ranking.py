import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intervals import bootstrap
from ranking import Holdout, Protocol, difference, group, mean, measure, names, popularity_scorer

PROTOCOL = Protocol((1, 3), 5, 1)


def holdout(taken: list[list[int]], seen: list[list[int]], items: int) -> Holdout:
    users = np.arange(len(taken))
    return Holdout(users, *([np.array(one, dtype=np.int64) for one in many] for many in (taken, seen)), items)


def scorer(rows: np.ndarray):
    return lambda users: rows[users].astype(np.float32)


def test_known_ranks_give_known_metrics():
    # seen item 0 is out of the competition, so the items rank 1, 2, 3, 4 and those taken have ranks 1 and 3 from 0
    found = mean(measure(scorer(np.array([[9, 4, 3, 2, 1]])), holdout([[2, 4]], [[0]], 5), PROTOCOL))
    assert found["hr@1"] == 0
    assert found["recall@3"] == pytest.approx(0.5)
    assert found["ndcg@3"] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))


def test_ties_count_against_the_model():
    found = mean(measure(scorer(np.zeros((1, 30))), holdout([[3]], [[]], 30), Protocol((10,), 9, 1)))
    assert (found["hr@10"], found["ndcg@10"]) == (0.0, 0.0)
    # last of ten: among nine negatives even that is in the first ten
    assert found["sampled_ndcg@10"] == pytest.approx(1 / np.log2(11))


def test_a_score_that_is_not_a_number_makes_every_metric_of_the_user_one():
    found = mean(measure(scorer(np.array([[np.nan, 1, 2]])), holdout([[2]], [[]], 3), PROTOCOL))
    assert all(np.isnan(value) for value in found.values())


def test_popularity_knows_nothing_about_the_user():
    found = measure(popularity_scorer(np.array([0, 1, 1]), 3), holdout([[1], [0]], [[], []], 3), PROTOCOL)
    assert found["hr@1"].tolist() == [1, 0]


def test_every_metric_has_its_name():
    assert set(measure(scorer(np.eye(3)), holdout([[0]], [[]], 3), PROTOCOL)) == set(names((1, 3)))


def brute_force(row: np.ndarray, taken: list[int], seen: list[int], k: int) -> tuple[float, float, float]:
    """Hit rate, recall, NDCG by sorting: a taken item goes behind its equals that were not taken."""
    order = sorted((item for item in range(len(row)) if item not in seen), key=lambda i: (-row[i], i in taken))
    gains = [float(item in taken) for item in order[:k]]
    ideal = sum(1 / np.log2(place + 2) for place in range(min(k, len(taken))))
    return float(any(gains)), sum(gains) / len(taken), sum(g / np.log2(p + 2) for p, g in enumerate(gains)) / ideal


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_metrics_agree_with_a_plain_sort(data):
    items = data.draw(st.integers(2, 12))
    row = np.array(data.draw(st.lists(st.integers(0, 4), min_size=items, max_size=items)), dtype=np.float32)
    kinds = data.draw(st.lists(st.sampled_from(["taken", "seen", "other"]), min_size=items - 1, max_size=items - 1))
    taken = [0, *(place for place, kind in enumerate(kinds, 1) if kind == "taken")]
    seen = [place for place, kind in enumerate(kinds, 1) if kind == "seen"]
    found = mean(measure(scorer(row[None]), holdout([taken], [seen], items), PROTOCOL))
    for k in (1, 3):
        assert (found[f"hr@{k}"], found[f"recall@{k}"], found[f"ndcg@{k}"]) == pytest.approx(
            brute_force(row, taken, seen, k)
        )


def test_sampled_negatives_are_the_same_for_every_model_and_batch_and_never_the_users_own():
    rows = np.random.default_rng(1).random((600, 40))
    held = holdout([[user % 40] for user in range(600)], [[(user + 1) % 40] for user in range(600)], 40)
    whole = measure(scorer(rows), held, PROTOCOL)
    part = Holdout(held.users[300:], held.taken[300:], held.seen[300:], 40)
    for name, values in measure(scorer(rows), part, PROTOCOL).items():
        assert values.tolist() == whole[name][300:].tolist()
    perfect = np.zeros((600, 40))
    perfect[np.arange(600), np.arange(600) % 40] = 1
    assert set(mean(measure(scorer(perfect), held, PROTOCOL)).values()) == {1.0}


def test_items_are_grouped_by_user_and_a_user_without_any_has_none():
    found = group(np.array([5, 1, 5]), np.array([2, 3, 1]), np.array([1, 2, 5]))
    assert [one.tolist() for one in found] == [[3], [], [1, 2]]


def test_an_interval_holds_its_mean_and_is_the_same_for_a_seed():
    values = {"a": np.random.default_rng(1).random(500), "b": np.zeros(500)}
    found = bootstrap(values, 0.95, 1)
    assert found == bootstrap(values, 0.95, 1)
    assert found["a"].low < found["a"].value < found["a"].high
    assert found["a"].high - found["a"].low == pytest.approx(2 * 1.96 * values["a"].std() / np.sqrt(500), rel=0.15)
    assert (found["b"].low, found["b"].high) == (0, 0)


def test_a_paired_interval_sees_a_small_difference_that_separate_ones_do_not():
    base = np.random.default_rng(1).random(500)
    better = {"m": base + 0.001}
    assert bootstrap(difference(better, {"m": base}), 0.95, 1)["m"].low > 0
    assert bootstrap(better, 0.95, 1)["m"].low < base.mean()
