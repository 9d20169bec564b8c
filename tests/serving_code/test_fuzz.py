"""Ten thousand bodies that nobody should send, over connections that are kept."""

import json
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checkerboard import ARCHIVE, SIZE
from endpoint import JSON, Kept, serving

LINES, CSV = "application/jsonlines", "text/csv"
CALLERS, EACH = 4, 2500
FIELDS = ["operation", "userId", "itemId", "numResults", "filter", "inputList", "instances", "excludeSeen",
          "excludeItemIds", "includeItemIds", "categories", "predictions", "\0", ""]  # fmt: skip
OPERATIONS = ["getRecommendations", "getPersonalizedRanking", "getRelatedItems"]
LEAVES = ["null", "true", "1", "-1", "0", "-0", "1.5", "1e999", "-1e999", "1e-999", "9" * 30, "9" * 5000,
          "1" + "0" * 400,
          '""', '"u04"', '"i04"', '"\\ud800"', '"i\\udfff04"', '"\\u0000"', '"\U0001f600"', '"' + "x" * 257 + '"',
          "NaN",
          "Infinity", '"\\"', "'a'", "[]", "{}", "[" * 7 + "]" * 7, "[" * 90_000, '{"a":' * 12 + "1" + "}" * 12,
          "0x10", "01", "+1", ".5", "5.", "\ufeff1", '"userId"', "500", "501", "2147483648",
          "1e3", "true false"]  # fmt: skip
CELLS = ["u04", "i04", "", '"', '""', '"a\nb"', "\0", "\r", "x" * 300, "é", "'", " ", "userId", "itemId", "1e999",
         "\ufeff",
         '"unbalanced', "a;b", "x" * 140_000]  # fmt: skip
WELL = [{"operation": "getRecommendations", "userId": "u04", "numResults": 5, "filter": {"excludeItemIds": ["i01"]}},
        {"operation": "getPersonalizedRanking", "userId": "u05", "inputList": ["i01", "i02", "x"]},
        {"operation": "getRelatedItems", "itemId": "i04", "numResults": 3},
        {"instances": [{"userId": "u04", "itemId": "i04"}, {"userId": "a", "itemId": "b"}]}]  # fmt: skip


def value(chance: random.Random, depth: int = 0) -> str:
    """JSON, nearly."""
    kind = chance.random()
    if depth > 3 or kind < 0.6:
        return chance.choice(LEAVES)
    if kind < 0.8:
        return "[" + ",".join(value(chance, depth + 1) for _ in range(chance.randrange(4))) + "]"
    return fields(chance, depth + 1)


def fields(chance: random.Random, depth: int = 0) -> str:
    """An object whose keys the endpoint knows, some of them twice."""
    names = chance.choices(FIELDS, k=chance.randrange(5))
    return "{" + ",".join(f"{json.dumps(name)}:{value(chance, depth)}" for name in names) + "}"


def raw(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(200))


def made_up(chance: random.Random) -> bytes:
    """An operation with fields of any value."""
    inner = fields(chance)[1:-1]
    text = f'{{"operation":"{chance.choice(OPERATIONS)}"{"," + inner if inner else ""}}}'
    return text.encode(chance.choice(["utf-8"] * 8 + ["utf-16", "utf-32", "utf-8-sig"]), "surrogatepass")


def replaced(chance: random.Random) -> bytes:
    """A right request with one value that is not."""
    found = dict(chance.choice(WELL))
    found[chance.choice(list(found))] = "@"
    return json.dumps(found).replace('"@"', value(chance)).encode("utf-8", "surrogatepass")


def mutated(chance: random.Random) -> bytes:
    """A right request with some bytes changed, lost or doubled."""
    found = bytearray(json.dumps(chance.choice(WELL)).encode())
    for _ in range(chance.randrange(1, 4)):
        place, length = chance.randrange(len(found)), chance.randrange(6)
        found[place : place + length] = chance.choice([b"", chance.randbytes(length), found[place : place + 20]])
        found = found or bytearray(b"{")
    return bytes(found)


def cells(chance: random.Random) -> bytes:
    """Something like CSV."""
    rows = (",".join(chance.choices(CELLS, k=chance.choice([0, 1, 2, 2, 2, 3]))) for _ in range(chance.randrange(6)))
    return chance.choice(["\n", "\r\n", "\r"]).join(rows).encode(chance.choice(["utf-8", "utf-8", "utf-16"]))


MAKERS: list[Callable[[random.Random], bytes]] = [raw, made_up, replaced, mutated, cells]


def questions(seed: int) -> Iterator[tuple[str, bytes]]:
    """Content types and bodies; the same ones for the same seed."""
    chance = random.Random(seed)
    for _ in range(EACH):
        kind = chance.choice([JSON, JSON, JSON, LINES, CSV])
        if kind == CSV:
            yield kind, chance.choice([raw, cells, cells])(chance)
        elif kind == LINES:
            yield kind, b"\n".join(chance.choice(MAKERS)(chance) for _ in range(chance.randrange(5)))
        else:
            yield kind, chance.choice(MAKERS)(chance)


def answered(kind: str, body: bytes, status: int, answer: bytes) -> None:
    """The answer is JSON, of one line for each if lines were asked, and says what is wrong if something is."""
    found = (
        [json.loads(line) for line in answer.splitlines()] if kind == LINES and status == 200 else [json.loads(answer)]
    )
    assert all(isinstance(one, dict) for one in found), (body, answer)
    if status != 200:
        assert set(found[0]["error"]) == {"code", "message", "field", "requestId"}
    assert all(one["error"]["code"] != "InternalError" for one in found if "error" in one), (body, answer)


def test_f59_ten_thousand_hostile_bodies_are_answered_with_no_500_and_no_restart(tmp_path: Path):
    with serving(ARCHIVE, tmp_path) as server:

        def ask(seed: int) -> Counter[int]:
            seen = Counter[int]()
            with Kept(server.port) as caller:
                for kind, body in questions(seed):
                    status, answer = caller.invoke(body, kind)
                    seen[status] += 1
                    assert status in {200, 400, 404, 413, 422}, (kind, body[:500], answer)
                    answered(kind, body, status, answer)
                return seen

        with ThreadPoolExecutor(CALLERS) as pool:
            seen = sum(pool.map(ask, range(CALLERS)), Counter[int]())
        assert seen.total() == 10_000
        assert min(seen[200], seen[400], seen[422]) > 300
        for user in range(0, SIZE, 13):
            status, found = server.invoke({**WELL[0], "userId": f"u{user:02}"})
            assert (status, len(found["itemList"])) == (200, 5)
        status, found = server.invoke(b'{"operation":"getRecommendations","userId":"\\ud800"}')
        assert (status, found["userId"]) == (200, "\ud800")


HEADS: list[bytes] = [
    b"", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00",
    b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"POST /invocations HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /invocations HTTP/1.1\r\nContent-Length: \r\n\r\n",
    b"POST /invocations HTTP/1.1\r\nContent-Length: 2\t\r\n\r\n{}",
    b"POST /invocations HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"GET /ping HTTP/1.1\r\nA: \x01\r\n\r\n",
    b"GET /ping HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\n\r\n",
    b"GET /%ff%00/../%2e HTTP/1.1\r\n\r\n", b"GET /ping HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"POST /invocations HTTP/1.1\r\nContent-Type: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}",
]  # fmt: skip


def test_f59_what_is_not_even_http_gets_an_error_in_json_or_a_closed_connection(tmp_path: Path):
    chance = random.Random(1)
    noise = [chance.randbytes(chance.randrange(1, 300)) for _ in range(100)]
    with serving(ARCHIVE, tmp_path) as server:
        for head in HEADS + noise:
            with socket.create_connection(("127.0.0.1", server.port), 30) as caller:
                caller.sendall(head)
                caller.shutdown(socket.SHUT_WR)
                said = b"".join(iter(lambda caller=caller: received(caller), b""))
            if said:
                top, _, body = said.partition(b"\r\n\r\n")
                assert not top.startswith(b"HTTP/1.1 5"), (head, said)
                assert isinstance(json.loads(body), dict), (head, said)
        assert server.ping()[0] == 200


def received(caller: socket.socket) -> bytes:
    try:
        return caller.recv(65536)
    except ConnectionResetError:
        return b""
