"""Golden requests: what the archive says its model answers, asked of the live endpoint."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from gitops import archive, aws, signature
from gitops.errors import GitopsError

GOLDEN, MANIFEST = "golden.jsonl", "manifest.json"
TIE = 1e-4  # scores this close may change places: a faster path may round differently
LOAD = 50  # requests to each variant when latencies are compared
OF_THE_MODEL = {"ModelError", "ModelNotReadyException"}  # any other error is AWS's, and says nothing of the model
ROUNDS = 3  # the first warms the connection and is not timed


@dataclass(frozen=True)
class Golden:
    """One request and the answer the archive promises."""

    request: dict[str, Any]
    item_ids: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True)
class Contents:
    """What an archive says of itself. The manifest holds the digest of every other file."""

    requests: list[Golden]
    manifest_sha256: str


def read(s3: Any, uri: str, sha256: str, public_key: str | None = None) -> Contents:
    """What is in the archive at `uri`, whose bytes must have the digest `sha256`.

    With a PEM `public_key` it must be signed by that key. Raises GitopsError.
    """
    found = archive.members(s3, uri, sha256, {GOLDEN, MANIFEST, signature.MEMBER})
    for name in (MANIFEST, GOLDEN):
        if name not in found:
            raise GitopsError(f"{uri}: holds no {name}; an archive proves itself by its golden requests, train again")
    if public_key:
        signature.refuse_unless_signed(found[MANIFEST], found.get(signature.MEMBER), public_key, uri)
    return Contents(parse(found[GOLDEN], f"{uri}: {GOLDEN}"), hashlib.sha256(found[MANIFEST]).hexdigest())


def parse(data: bytes, where: str) -> list[Golden]:
    """The lines of golden.jsonl: {"request", "itemIds", "scores"}; at least one."""
    requests = []
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
        try:
            record = json.loads(line)
            golden = Golden(
                request=dict(record["request"]),
                item_ids=tuple(str(item) for item in record["itemIds"]),
                scores=tuple(float(score) for score in record["scores"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise GitopsError(f"{where}: line {number} is not {{request, itemIds, scores}}; train again") from error
        if len(golden.item_ids) != len(golden.scores) or not golden.item_ids:
            raise GitopsError(f"{where}: line {number} has not one score per item; train again")
        requests.append(golden)
    if not requests:
        raise GitopsError(f"{where}: is empty; an archive proves itself by its golden requests, train again")
    return requests


def mismatch(golden: Golden, answer: Any) -> str:
    """What is wrong with the endpoint's answer; empty if it is the promised one.

    The same ids in the same order, except that items whose promised scores differ by at most TIE may change
    places with each other and with those just beyond the list's end. Scores themselves agree within TIE.
    """
    items = answer.get("itemList") if isinstance(answer, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return "the answer has no itemList"
    ids = [str(item.get("itemId")) for item in items]
    if len(ids) != len(golden.item_ids) or len(set(ids)) != len(ids):
        return f"{len(set(ids))} items instead of {len(golden.item_ids)}"
    promised = dict(zip(golden.item_ids, golden.scores, strict=True))
    last = golden.scores[-1]
    for place, (item, wanted) in enumerate(zip(items, golden.scores, strict=True)):
        score = item.get("score")
        if not isinstance(score, int | float) or not math.isclose(score, wanted, rel_tol=0, abs_tol=TIE):
            return f"place {place + 1}: score {score} instead of {wanted}"
        if abs(promised.get(ids[place], last) - wanted) > TIE:
            return f"place {place + 1}: item {ids[place]} instead of {golden.item_ids[place]}"
    return ""


def replay(
    runtime: Any, endpoint: str, requests: Sequence[Golden], variant: str | None = None
) -> tuple[list[str], float]:
    """Ask the endpoint every golden request, ROUNDS times: (what is wrong, p99 in milliseconds seen from here).

    `variant` names the one to ask where several share the traffic.
    """
    target = {"TargetVariant": variant} if variant else {}
    wrong: list[str] = []
    seconds: list[float] = []
    for round_number in range(ROUNDS):
        for number, golden in enumerate(requests, start=1):
            started = time.perf_counter()
            problem = _ask(runtime, {"EndpointName": endpoint, **target}, golden)
            if round_number:
                seconds.append(time.perf_counter() - started)
            if problem:
                wrong.append(f"golden request {number}: {problem}")
        if wrong:
            break
    return wrong, p99(seconds) * 1000


def load(
    runtime: Any, endpoint: str, requests: Sequence[Golden], variants: Sequence[str | None], timer: Callable[[], float]
) -> dict[str | None, float]:
    """p99 in milliseconds of each variant over LOAD requests, asked in turn so that all meet the same weather.

    None is the endpoint without a variant's name. Answers are not judged: an older release gives others. A variant
    that answered nothing at all is left out. `timer` is in seconds.
    """
    seconds: dict[str | None, list[float]] = {variant: [] for variant in variants}
    for number in range(LOAD + 1):
        body = json.dumps(requests[number % len(requests)].request).encode()
        for variant in variants:
            target = {"TargetVariant": variant} if variant else {}
            started = timer()
            try:
                runtime.invoke_endpoint(EndpointName=endpoint, ContentType="application/json", Body=body, **target)[
                    "Body"
                ].read()
            except ClientError as error:
                if aws.code(error) not in OF_THE_MODEL:
                    raise
                continue  # an answer that is an error has no latency worth comparing
            if number:  # the first warms the connection
                seconds[variant].append(timer() - started)
    return {variant: p99(times) * 1000 for variant, times in seconds.items() if times}


def _ask(runtime: Any, whom: dict[str, str], golden: Golden) -> str:
    body = json.dumps(golden.request).encode()
    try:
        answer = runtime.invoke_endpoint(ContentType="application/json", Body=body, **whom)
        return mismatch(golden, json.loads(answer["Body"].read()))
    except ClientError as error:
        if aws.code(error) not in OF_THE_MODEL:
            raise
        return f"{aws.code(error)}: {aws.message(error)}"
    except ValueError:
        return "the answer is not JSON"


def p99(seconds: Sequence[float]) -> float:
    """The 99th percentile by rank; 0 of nothing."""
    ordered = sorted(seconds)
    return ordered[math.ceil(0.99 * len(ordered)) - 1] if ordered else 0.0
