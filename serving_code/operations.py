"""The operations of /invocations: from a JSON request to the answer's bytes. Names as in Amazon Personalize."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .answers import item_list, list_answer, predictions, text
from .errors import RequestError, invalid
from .fields import (
    MAX_INPUT_LIST,
    MAX_INSTANCES,
    Body,
    bad_request,
    identifier,
    identifiers,
    object_of,
    only,
    results,
)
from .filters import read_filter
from .recommender import Recommender
from .settings import Settings


@dataclass(frozen=True)
class Call:
    """What an operation may need besides the request's body."""

    recommender: Recommender
    settings: Settings
    request_id: str
    variant: str


def answer(body: Any, call: Call) -> bytes:
    """Answer one request. Raises RequestError."""
    found = operation_of(body)(body, call, False)
    if found is None:
        raise AssertionError("an operation may only be without an answer where it has to be quick")
    return found


def quick_answer(body: Any, call: Call) -> bytes | None:
    """The same if no score has to be computed for it, else None. Raises RequestError."""
    return operation_of(body)(body, call, True)


def operation_of(body: Any) -> "Operation":
    """The operation that a request names."""
    if not isinstance(body, dict):
        raise bad_request("the body is not a JSON object")
    if "instances" in body:
        return predict
    name = body.get("operation")
    if not isinstance(name, str) or name not in OPERATIONS:
        known = ", ".join([*OPERATIONS, "or instances instead of an operation"])
        raise bad_request(f"unknown operation; known are {known}", "UnknownOperation", "operation")
    return OPERATIONS[name]


def get_recommendations(body: Body, call: Call, quick: bool) -> bytes | None:
    """getRecommendations {userId, numResults, filter}; filters.py has the filter's fields."""
    only(body, RECOMMENDATIONS)
    user, count = identifier(body, "userId"), results(body)
    recommender = call.recommender
    chosen = read_filter(body, recommender.catalogue)
    ranked = recommender.ready(user, count, chosen)
    if ranked is None:
        if quick:
            return None
        ranked = recommender.live(user, count, chosen)
    head = b'{"userId":%b,"itemList":[%b]' % (text(user), item_list(recommender.catalogue.ids, ranked))
    return list_answer(head, ranked, count, call)


def get_personalized_ranking(body: Body, call: Call, quick: bool) -> bytes | None:
    """getPersonalizedRanking {userId, inputList}: the list, best first, items the model does not know last."""
    only(body, RANKING)
    user, given = identifier(body, "userId"), identifiers(body, "inputList", MAX_INPUT_LIST)
    if quick:
        return None
    ids = call.recommender.catalogue.ids
    ranked = call.recommender.rank(user, given)
    unknown = [b'{"itemId":%b}' % text(item) for item in dict.fromkeys(given) if ids.find(item) is None]
    ranking = b",".join([*([item_list(ids, ranked)] if ranked.items else []), *unknown])
    head = b'{"userId":%b,"personalizedRanking":[%b]' % (text(user), ranking)
    return list_answer(head, ranked, len(ranked.items), call)


def get_related_items(body: Body, call: Call, quick: bool) -> bytes | None:
    """getRelatedItems {itemId, numResults}."""
    only(body, RELATED)
    name, count = identifier(body, "itemId"), results(body)
    ids = call.recommender.catalogue.ids
    item = ids.find(name)
    if item is None:
        raise RequestError(404, "ItemNotFound", "the model does not know this item", "itemId")
    if quick:
        return None
    ranked = call.recommender.related(item, count)
    head = b'{"itemId":%b,"itemList":[%b]' % (text(name), item_list(ids, ranked))
    return list_answer(head, ranked, count, call)


def predict(body: Body, call: Call, quick: bool) -> bytes | None:
    """{"instances": [{userId, itemId}]} -> {"predictions": [{score, known}]}, order and length kept."""
    if quick:
        return None
    only(body, INSTANCES)
    given = body["instances"]
    if not isinstance(given, list):
        raise invalid("instances", "instances is not a list")
    if len(given) > MAX_INSTANCES:
        raise invalid("instances", f"{len(given)} instances; at most {MAX_INSTANCES} are taken")
    pairs = [pair(one, f"instances[{place}]") for place, one in enumerate(given)]
    return predictions(call.recommender.score(pairs))


def pair(one: Any, field: str) -> tuple[str, str]:
    """An instance's user and item."""
    given = object_of(one, field)
    only(given, PAIR, f"{field}.")
    return identifier(given, "userId", f"{field}."), identifier(given, "itemId", f"{field}.")


RECOMMENDATIONS = frozenset({"operation", "userId", "numResults", "filter"})
RANKING = frozenset({"operation", "userId", "inputList"})
RELATED = frozenset({"operation", "itemId", "numResults"})
INSTANCES = frozenset({"instances"})
PAIR = frozenset({"userId", "itemId"})

Operation = Callable[[Body, Call, bool], bytes | None]
# a new operation is one function and one line here; called with quick=True it gives None if it has to score
OPERATIONS: Mapping[str, Operation] = {
    "getRecommendations": get_recommendations,
    "getPersonalizedRanking": get_personalized_ranking,
    "getRelatedItems": get_related_items,
}
