"""Answers as bytes, put together from ids that are JSON already: nothing is serialised twice."""

from collections.abc import Sequence
from functools import lru_cache
from json import dumps
from json.encoder import encode_basestring_ascii
from os import urandom
from typing import TYPE_CHECKING, Any

from .ids import Ids
from .recommender import Ranked

if TYPE_CHECKING:
    from .operations import Call

REASONS = (b'["model"]', b'["popular"]', b'["model","popular"]')  # by recommender.MODEL, POPULAR, BOTH
REASON_OF = {"personalized": 0, "related": 0, "popular": 1}


def dump(content: dict[str, Any]) -> bytes:
    """Compact JSON; not-a-number would not be JSON and is our fault, so it raises."""
    return dumps(content, separators=(",", ":"), allow_nan=False).encode()


def text(value: str) -> bytes:
    """A string as JSON."""
    return encode_basestring_ascii(value).encode()


@lru_cache(maxsize=2048)
def template(reasons: int | tuple[int, ...], count: int) -> bytes:
    """So many items, of whom id and score are yet to come. Seven digits are all that a float32 has."""
    each = (reasons,) * count if isinstance(reasons, int) else reasons
    return b",".join(b'{"itemId":%%b,"score":%%.7g,"reason":%b}' % REASONS[reason] for reason in each)


def item_list(ids: Ids, ranked: Ranked) -> bytes:
    """The items of an answer, without the brackets around them."""
    count = len(ranked.items)
    flat: list[Any] = [None] * (2 * count)
    flat[::2], flat[1::2] = ids.written(ranked.items), ranked.scores
    reasons = REASON_OF[ranked.strategy] if ranked.reasons is None else tuple(ranked.reasons)
    return template(reasons, count) % tuple(flat)


def list_answer(head: bytes, ranked: Ranked, asked: int, call: "Call") -> bytes:
    """An answer that is a list: what `head` begins, and what every one of them says of itself."""
    settings = call.settings
    through = call.recommender.archive.manifest.get("data_through")
    model = model_part(settings.model_name, settings.model_version, settings.run_id, through)
    return b'%b,"recommendationId":"%b","strategy":"%b",%b,"variant":%b,"requestId":%b%b}' % (
        head, urandom(16).hex().encode(), ranked.strategy.encode(), model, text(call.variant), text(call.request_id),
        b',"truncated":true' if len(ranked.items) < asked else b"",
    )  # fmt: skip


@lru_cache(maxsize=4096)
def model_part(name: str, version: str, run_id: str, data_through: str | None) -> bytes:
    """Which model gave the answer, and how new its data are."""
    return dump({"model": {"name": name, "version": version, "runId": run_id}, "dataThrough": data_through})[1:-1]


def predictions(scores: Sequence[float | None]) -> bytes:
    """The answer to instances: a number, or null where the model knows the user or the item not."""
    known = [b'{"score":null,"known":false}' if score is None else b'{"score":%.7g,"known":true}' % score
             for score in scores]  # fmt: skip
    return b'{"predictions":[%b]}' % b",".join(known)
