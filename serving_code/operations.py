"""The operations of /invocations: from a checked JSON request to a JSON answer. Names as in Amazon Personalize."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import RequestError, invalid
from .recommender import Ranked, Recommender
from .settings import Settings

MAX_RESULTS = 500
MAX_INPUT_LIST = 500
MAX_INSTANCES = 10_000
MAX_ID = 256
DEFAULT_RESULTS = 25

Body = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """What an operation may need besides the request's body."""

    recommender: Recommender
    settings: Settings
    request_id: str
    variant: str


def answer(body: Any, call: Call) -> Body:
    """Answer one request. Raises RequestError."""
    if not isinstance(body, dict):
        raise RequestError(400, "BadRequest", "the body is not a JSON object")
    if "instances" in body:
        return predict(body, call)
    name = body.get("operation")
    if not isinstance(name, str) or name not in OPERATIONS:
        known = ", ".join([*OPERATIONS, "or instances instead of an operation"])
        raise RequestError(400, "UnknownOperation", f"unknown operation; known are {known}", "operation")
    return OPERATIONS[name](body, call)


def get_recommendations(body: Body, call: Call) -> Body:
    """getRecommendations {userId, numResults, filter: {excludeSeen, excludeItemIds}}."""
    only(body, {"operation", "userId", "numResults", "filter"})
    user, count = identifier(body, "userId"), results(body)
    chosen = body.get("filter", {})
    if not isinstance(chosen, dict):
        raise invalid("filter", "filter is not an object")
    only(chosen, {"excludeSeen", "excludeItemIds"}, "filter.")
    seen = chosen.get("excludeSeen", True)
    if not isinstance(seen, bool):
        raise invalid("filter.excludeSeen", "excludeSeen is not true or false")
    exclude = identifiers(chosen, "excludeItemIds", MAX_INSTANCES, "filter.") if "excludeItemIds" in chosen else []
    ranked = call.recommender.recommend(user, count, seen, exclude)
    return {"userId": user, "itemList": item_list(ranked), **about(ranked, count, call)}


def get_personalized_ranking(body: Body, call: Call) -> Body:
    """getPersonalizedRanking {userId, inputList}: the list, best first, items the model does not know last."""
    only(body, {"operation", "userId", "inputList"})
    user, given = identifier(body, "userId"), identifiers(body, "inputList", MAX_INPUT_LIST)
    ranked = call.recommender.rank(user, given)
    unknown = [item for item in dict.fromkeys(given) if not call.recommender.knows_item(item)]
    ranking = item_list(ranked) + [{"itemId": item} for item in unknown]
    return {"userId": user, "personalizedRanking": ranking, **about(ranked, len(ranked.item_ids), call)}


def get_related_items(body: Body, call: Call) -> Body:
    """getRelatedItems {itemId, numResults}."""
    only(body, {"operation", "itemId", "numResults"})
    item, count = identifier(body, "itemId"), results(body)
    if not call.recommender.knows_item(item):
        raise RequestError(404, "ItemNotFound", "the model does not know this item", "itemId")
    ranked = call.recommender.related(item, count)
    return {"itemId": item, "itemList": item_list(ranked), **about(ranked, count, call), "strategy": "related"}


def predict(body: Body, call: Call) -> Body:
    """{"instances": [{userId, itemId}]} -> {"predictions": [{score, known}]}, order and length kept."""
    only(body, {"instances"})
    given = body["instances"]
    if not isinstance(given, list):
        raise invalid("instances", "instances is not a list")
    if len(given) > MAX_INSTANCES:
        raise invalid("instances", f"{len(given)} instances; at most {MAX_INSTANCES} are taken")
    pairs = [pair(one, f"instances[{place}]") for place, one in enumerate(given)]
    scores = call.recommender.score(pairs)
    return {"predictions": [{"score": score, "known": score is not None} for score in scores]}


def pair(one: Any, field: str) -> tuple[str, str]:
    """An instance's user and item."""
    if not isinstance(one, dict):
        raise invalid(field, f"{field} is not an object")
    only(one, {"userId", "itemId"}, f"{field}.")
    return identifier(one, "userId", f"{field}."), identifier(one, "itemId", f"{field}.")


def about(ranked: Ranked, asked: int, call: Call) -> Body:
    """What every list answer says of itself."""
    model = {"name": call.settings.model_name, "version": call.settings.model_version, "runId": call.settings.run_id}
    found: Body = {
        "recommendationId": uuid.uuid4().hex,
        "strategy": ranked.strategy,
        "model": model,
        "dataThrough": call.recommender.archive.manifest.get("data_through"),
        "variant": call.variant,
        "requestId": call.request_id,
    }
    return {**found, "truncated": True} if len(ranked.item_ids) < asked else found


def item_list(ranked: Ranked) -> list[Body]:
    """Items as the caller sees them."""
    reason = ["popular"] if ranked.strategy == "popular" else ["model"]
    pairs = zip(ranked.item_ids, ranked.scores, strict=True)
    return [{"itemId": item, "score": score, "reason": reason} for item, score in pairs]


def only(body: Mapping[str, Any], known: set[str], where: str = "") -> None:
    """Refuse a field that nothing reads: a misspelt one would be silently without effect."""
    for name in body:
        if name not in known:
            shown = name[:MAX_ID]
            raise invalid(f"{where}{shown}", f"unknown field {where}{shown}; known are {', '.join(sorted(known))}")


def identifier(body: Mapping[str, Any], name: str, where: str = "") -> str:
    """A field that is an id: a string, or a whole number, which is how many callers write theirs."""
    return checked_id(body.get(name), f"{where}{name}")


def checked_id(value: Any, field: str) -> str:
    """An id of 1 to 256 characters."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise invalid(field, f"{field} is missing or not a string")
    if len(value) > MAX_ID:
        raise invalid(field, f"{field} is longer than {MAX_ID} characters")
    return value


def identifiers(body: Mapping[str, Any], name: str, most: int, where: str = "") -> list[str]:
    """A field that is a list of ids."""
    given = body.get(name)
    if not isinstance(given, list):
        raise invalid(f"{where}{name}", f"{where}{name} is missing or not a list")
    if len(given) > most:
        raise invalid(f"{where}{name}", f"{where}{name} has {len(given)} entries; at most {most} are taken")
    return [checked_id(one, f"{where}{name}[{place}]") for place, one in enumerate(given)]


def results(body: Mapping[str, Any]) -> int:
    """numResults, from 1 to 500."""
    count = body.get("numResults", DEFAULT_RESULTS)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_RESULTS:
        raise invalid("numResults", f"numResults is not a whole number from 1 to {MAX_RESULTS}")
    return count


# a new operation is one function and one line here
OPERATIONS: Mapping[str, Callable[[Body, Call], Body]] = {
    "getRecommendations": get_recommendations,
    "getPersonalizedRanking": get_personalized_ranking,
    "getRelatedItems": get_related_items,
}
