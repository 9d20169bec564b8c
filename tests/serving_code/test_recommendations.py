"""What getRecommendations answers, from the table or from the score, under every filter."""

import json
from pathlib import Path
from typing import Any

import archives
import numpy as np
import pytest
from archives import ITEMS, USERS, ask
from hypothesis import given, settings
from hypothesis import strategies as st

from serving_code.archive import load
from serving_code.errors import RequestError
from serving_code.formats import FORMATS
from serving_code.recommender import Recommender

OLDER = Path(__file__).with_name("older_archive")
JSON = FORMATS["application/json"]


def served(folder: Path, found: archives.World, **more: Any) -> Recommender:
    recommender = Recommender(load(archives.write(folder, found, **more)))
    assert recommender.golden_failure() is None
    return recommender


@pytest.fixture(scope="module", params=[20, 50, 0], ids=["short table", "full table", "no table"])
def table(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def labelled(table: int, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return served(tmp_path_factory.mktemp("labelled"), archives.labelled(), table=table)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return served(tmp_path_factory.mktemp("plain"), archives.world())


@pytest.fixture(scope="module")
def blended(table: int, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    return served(tmp_path_factory.mktemp("blended"), archives.labelled(blend_below=5), table=table)


items = st.lists(st.integers(0, ITEMS + 2).map(lambda item: f"i{item}"), max_size=ITEMS)
labels = st.lists(st.sampled_from(["fruit", "bread", "wine", "unheard of"]), max_size=3)
filters = st.fixed_dictionaries(
    {},
    optional={
        "excludeSeen": st.booleans(), "excludeItemIds": items, "includeItemIds": items, "categories": labels,
        "excludeCategories": labels, "availableOnly": st.booleans(),
    },
)  # fmt: skip
users = st.none() | st.integers(0, USERS - 1)


def right(answer: Any, expected: list[tuple[str, float]], count: int) -> None:
    assert [one["itemId"] for one in answer["itemList"]] == [name for name, _ in expected]
    assert [one["score"] for one in answer["itemList"]] == pytest.approx([score for _, score in expected], abs=1e-5)
    assert answer.get("truncated", False) == (len(expected) < count)


@given(users, st.integers(1, 60), filters)
@settings(max_examples=80, deadline=None)
def test_the_answer_is_the_sorted_catalogue_under_any_filter(
    labelled: Recommender, user: int | None, count: int, chosen: dict
):
    answer = ask(labelled, userId="nobody" if user is None else f"u{user}", numResults=count, filter=chosen)
    right(answer, archives.labelled().answer(user, count, chosen), count)
    assert answer["strategy"] == ("popular" if user is None else "personalized")


@given(users, st.integers(1, 60), filters)
@settings(max_examples=80, deadline=None)
def test_users_of_few_interactions_are_blended_by_the_formula(
    blended: Recommender, user: int | None, count: int, chosen: dict
):
    answer = ask(blended, userId="nobody" if user is None else f"u{user}", numResults=count, filter=chosen)
    right(answer, archives.labelled(blend_below=5).answer(user, count, chosen), count)
    few = user is not None and user + 1 < 5
    assert answer["strategy"] == ("popular" if user is None else "blended" if few else "personalized")


def test_a_blended_item_says_which_list_would_have_held_it(tmp_path: Path):
    found = archives.world(blend_below=5)
    answer = ask(served(tmp_path, found), userId="u1", numResults=5)
    unseen = [item for item in range(ITEMS) if item not in found.seen[1]]
    fifth = [sorted(values[unseen])[-5] for values in (found.scores[1], found.popularity)]
    for one in answer["itemList"]:
        item = int(one["itemId"][1:])
        among = [found.scores[1][item] >= fifth[0], found.popularity[item] >= fifth[1]]
        reasons = [name for name, there in zip(("model", "popular"), among, strict=True) if there]
        assert one["reason"] == (reasons or ["model", "popular"])
    assert len({str(one["reason"]) for one in answer["itemList"]}) > 1


def test_a_table_answers_without_the_score_until_filters_exhaust_it(plain: Recommender):
    made = archives.call(plain)

    def quick(count: int, **chosen: Any) -> bool:
        body = {"operation": "getRecommendations", "userId": "u4", "numResults": count, "filter": chosen}
        return JSON.quick(JSON.read(json.dumps(body).encode()), made) is not None

    best = [name for name, _ in archives.world().answer(4, 20, {})]
    assert quick(20)
    assert not quick(21)
    assert quick(15, excludeItemIds=best[:5])
    assert not quick(16, excludeItemIds=best[:5])
    assert not quick(1, excludeSeen=False)
    assert not quick(1, includeItemIds=best)


def test_a_user_whom_nobody_knows_is_answered_without_the_score(plain: Recommender):
    request = JSON.read(b'{"operation": "getRecommendations", "userId": "nobody", "numResults": 50}')
    assert json.loads(JSON.quick(request, archives.call(plain)) or b"")["strategy"] == "popular"


@pytest.mark.parametrize("name", ["categories", "excludeCategories", "availableOnly"])
def test_a_filter_by_what_the_archive_does_not_know_is_refused(plain: Recommender, name: str):
    with pytest.raises(RequestError, match="the model") as refused:
        ask(plain, userId="u1", filter={name: True if name == "availableOnly" else ["fruit"]})
    assert (refused.value.status, refused.value.field) == (422, f"filter.{name}")


def test_ids_of_any_text_come_back_as_they_were(tmp_path: Path):
    names = [f'"{place}\\é\u2028\U0001f34e' for place in range(ITEMS)]
    recommender = served(tmp_path, archives.world(), items__json=names, golden__jsonl=b"")
    answer = ask(recommender, userId="u1", filter={"excludeItemIds": names[:10]})
    assert {one["itemId"] for one in answer["itemList"]} <= set(names[10:])


def test_an_archive_from_before_the_table_is_still_served():
    recommender = Recommender(load(OLDER))
    assert recommender.archive.table is None
    assert recommender.golden_failure() is None
    assert [one["itemId"] for one in ask(recommender, userId="u04", numResults=1)["itemList"]] == ["i04"]


def test_instances_and_rankings_score_the_asked_items(plain: Recommender):
    scores = archives.world().scores
    pairs = [(user, item) for user in range(USERS) for item in range(0, ITEMS, 7)]
    given = [{"userId": f"u{user}", "itemId": f"i{item}"} for user, item in pairs]
    found = json.loads(JSON.answer({"instances": given}, archives.call(plain)))
    assert [one["score"] for one in found["predictions"]] == pytest.approx([scores[pair] for pair in pairs], abs=1e-5)
    body = {"operation": "getPersonalizedRanking", "userId": "u3", "inputList": ["i7", "x", "i9", "i1", "i9"]}
    ranked = json.loads(JSON.answer(body, archives.call(plain)))["personalizedRanking"]
    order = sorted([1, 7, 9], key=lambda item: -scores[3, item])
    assert [one["itemId"] for one in ranked] == [*(f"i{item}" for item in order), "x"]


def test_a_table_that_disagrees_with_the_score_is_no_model(tmp_path: Path):
    found = archives.world()
    scores = archives.members(found, 20)["top_scores.npy"]
    archive = load(archives.write(tmp_path, found, top_scores__npy=scores + np.float32(0.01)))
    assert "is answered differently" in str(Recommender(archive).golden_failure())
