import numpy as np
import pytest
import ranking
from hypothesis import given, settings
from hypothesis import strategies as st
from metrics import accuracy, mean, names, within
from ranking import Holdout, Pairs, Protocol, best, group, measure

PROTOCOL = Protocol((1, 3), 5, 1)


def pairs(lists: list[list[int]]) -> Pairs:
    flat = [(row, item) for row, items in enumerate(lists) for item in items]
    return Pairs(*np.array(flat, dtype=np.int64).reshape(-1, 2).T)


def holdout(taken: list[list[int]], seen: list[list[int]], items: int) -> Holdout:
    return Holdout(np.arange(len(taken)), pairs(taken), pairs(seen), items)


def scorer(rows: np.ndarray):
    return lambda users: rows[users].astype(np.float32)


def measured(rows: np.ndarray, held: Holdout, protocol: Protocol = PROTOCOL) -> dict[str, np.ndarray]:
    return accuracy(measure({"it": scorer(rows)}, held, protocol)["it"], held, protocol)


def test_known_ranks_give_known_metrics():
    # seen item 0 is out of the competition, so the items rank 1, 2, 3, 4 and those taken have ranks 1 and 3 from 0
    found = mean(measured(np.array([[9, 4, 3, 2, 1]]), holdout([[2, 4]], [[0]], 5)))
    assert found["hr@1"] == 0
    assert found["recall@3"] == pytest.approx(0.5)
    assert found["ndcg@3"] == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert (found["mrr@1"], found["mrr@3"]) == (0, 0.5)


def test_ties_count_against_the_model():
    found = mean(measured(np.zeros((1, 30)), holdout([[3]], [[]], 30), Protocol((10,), 9, 1)))
    assert (found["hr@10"], found["ndcg@10"], found["mrr@10"]) == (0.0, 0.0, 0.0)
    # last of ten: among nine negatives even that is in the first ten
    assert found["sampled_ndcg@10"] == pytest.approx(1 / np.log2(11))


def test_what_only_rounding_tells_apart_is_a_tie():
    row = np.full((1, 30), 0.7, dtype=np.float32)
    row[0, 3] = np.nextafter(np.float32(0.7), np.float32(1))
    assert mean(measured(row, holdout([[3]], [[]], 30)))["hr@3"] == 0
    row[0, 3] = 0.70001
    assert mean(measured(row, holdout([[3]], [[]], 30)))["hr@3"] == 1


def test_a_score_that_is_not_a_number_makes_every_metric_of_the_user_one():
    held = holdout([[2], [2]], [[], []], 3)
    found = measured(np.array([[np.nan, 1, 2], [0, 1, 2]]), held)
    assert all(np.isnan(values[0]) and values[1] == 1 for values in found.values())


def test_an_item_that_cannot_be_scored_is_never_found_or_recommended():
    ranks = measure({"it": scorer(np.array([[-np.inf, 1, -np.inf]]))}, holdout([[0]], [[]], 3), PROTOCOL)["it"]
    assert (ranks.full.tolist(), ranks.top.tolist()) == ([2], [[1, -1, -1]])


def test_every_metric_has_its_name():
    assert set(measured(np.eye(3), holdout([[0]], [[]], 3))) == set(names((1, 3)))


def brute_force(row: np.ndarray, taken: list[int], seen: list[int], k: int) -> tuple[float, float, float, float]:
    """Hit rate, recall, NDCG, MRR by sorting: a taken item goes behind its equals that were not taken."""
    order = sorted((item for item in range(len(row)) if item not in seen), key=lambda i: (-row[i], i in taken))
    gains = [float(item in taken) for item in order[:k]]
    ideal = sum(1 / np.log2(place + 2) for place in range(min(k, len(taken))))
    first = 1 / (gains.index(1.0) + 1) if any(gains) else 0.0
    ndcg = sum(g / np.log2(p + 2) for p, g in enumerate(gains)) / ideal
    return float(any(gains)), sum(gains) / len(taken), ndcg, first


@st.composite
def boards(draw) -> tuple[np.ndarray, list[list[int]], list[list[int]]]:
    """Scores with many ties, and for each user items taken (one at least) and seen."""
    users, items = draw(st.integers(1, 3)), draw(st.integers(2, 12))
    rows = draw(st.lists(st.lists(st.integers(0, 4), min_size=items, max_size=items), min_size=users, max_size=users))
    kinds = st.lists(st.sampled_from(["taken", "seen", "other"]), min_size=items - 1, max_size=items - 1)
    drawn = [draw(kinds) for _ in range(users)]
    taken = [[0, *(place for place, kind in enumerate(one, 1) if kind == "taken")] for one in drawn]
    seen = [[place for place, kind in enumerate(one, 1) if kind == "seen"] for one in drawn]
    return np.array(rows, dtype=np.float32), taken, seen


@given(boards())
@settings(max_examples=60, deadline=None)
def test_metrics_agree_with_a_plain_sort(board):
    rows, taken, seen = board
    found = measured(rows, holdout(taken, seen, rows.shape[1]))
    for user in range(len(rows)):
        for k in (1, 3):
            ours = [found[f"{name}@{k}"][user] for name in ("hr", "recall", "ndcg", "mrr")]
            assert ours == pytest.approx(brute_force(rows[user], taken[user], seen[user], k))


@given(boards(), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_lists_agree_with_a_plain_sort(board, depth: int):
    rows, _, _ = board
    items = rows.shape[1]
    plain = [sorted(range(items), key=lambda item, row=row: (-row[item], item))[:depth] for row in rows]
    assert best(rows, depth).tolist() == [one + [-1] * (depth - len(one)) for one in plain]


@given(boards())
@settings(max_examples=40, deadline=None)
def test_a_slice_of_everything_is_everything_and_of_some_items_as_if_the_others_were_not_held_out(board):
    rows, taken, seen = board
    held = holdout(taken, seen, rows.shape[1])
    ranks = measure({"it": scorer(rows)}, held, PROTOCOL)["it"]
    whole = within(ranks, held, PROTOCOL, np.ones(len(held.taken.row), dtype=np.bool_))
    assert {name: values.tolist() for name, values in whole.items()} == {
        name: values.tolist() for name, values in measured(rows, held).items() if name in whole
    }
    first = within(ranks, held, PROTOCOL, held.taken.item == 0)
    others = [sorted(set(items) | set(more[1:])) for items, more in zip(seen, taken, strict=True)]
    alone = measured(rows, holdout([[0]] * len(rows), others, rows.shape[1]))
    assert all(values.tolist() == alone[name].tolist() for name, values in first.items())


def test_sampled_negatives_are_the_same_for_every_model_and_batch_and_never_the_users_own():
    rows = np.random.default_rng(1).random((600, 40))
    held = holdout([[user % 40] for user in range(600)], [[(user + 1) % 40] for user in range(600)], 40)
    whole = measured(rows, held)
    part = Holdout(held.users[300:], held.taken.between(300, 600), held.seen.between(300, 600), 40)
    for name, values in measured(rows, part).items():
        assert values.tolist() == whole[name][300:].tolist()
    perfect = np.zeros((600, 40))
    perfect[np.arange(600), np.arange(600) % 40] = 1
    assert set(mean(measured(perfect, held)).values()) == {1.0}
    for chunk in ranking.chunks(held, PROTOCOL):
        own = np.concatenate([chunk.taken.item[:, None], chunk.seen.item[:, None]], axis=1)
        assert not (chunk.negatives[:, :, None] == own[:, None, :]).any()


def test_a_user_with_few_items_left_has_fewer_negatives():
    (chunk,) = ranking.chunks(holdout([[0]], [[1]], 4), PROTOCOL)
    assert sorted(chunk.negatives[0]) == [-1, -1, -1, 2, 3]


def test_items_are_grouped_by_user_and_a_user_without_any_has_none():
    found = group(np.array([5, 1, 5, 9, 0]), np.array([2, 3, 1, 7, 7]), np.array([1, 2, 5]))
    assert (found.row.tolist(), found.item.tolist()) == ([0, 2, 2], [3, 1, 2])
