"""What is let in: how many calls, how slow, in which types, and what is left of a connection after an error."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from checkerboard import ARCHIVE
from endpoint import JSON, Kept, Server, serving

BODY = json.dumps({"operation": "getRecommendations", "userId": "u04", "numResults": 3}).encode()
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """At most three calls at a time, each with a second for its body."""
    with serving(ARCHIVE, tmp_path_factory.mktemp("limits"), MAX_CALLS="3", BODY_SECONDS="1") as running:
        yield running


class Raw(Kept):
    """A caller who sends what they like."""

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def closed(self) -> bool:
        """Whether nothing more will come."""
        return self._file.read(1) == b""

    def line(self) -> bytes:
        return self._file.readline()


def code(answer: tuple[int, bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[1])["error"]["code"]


def sized(body: bytes = BODY) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body)


def test_more_calls_than_may_wait_are_429_while_ping_answers_and_those_in_are_answered(server: Server):
    with ExitStack() as stack:
        inside = [stack.enter_context(Raw(server.port)) for _ in range(3)]
        for caller in inside:
            caller.send(sized() + BODY[:5])
        time.sleep(0.2)
        status, answer, headers = server.ask("POST", "/invocations", BODY, {"Content-Type": JSON})
        assert (code((status, answer)), headers["retry-after"]) == ((429, "TooManyRequests"), "1")
        assert server.ping()[0] == 200
        for caller in inside:
            caller.send(BODY[5:])
        assert [caller.answer()[0] for caller in inside] == [200] * 3
        assert [caller.invoke(BODY)[0] for caller in inside] == [200] * 3


def test_under_overload_every_call_is_answered_or_refused(server: Server):
    body = json.dumps({"instances": [{"userId": f"u{n % 40:02}", "itemId": "i04"} for n in range(2000)]}).encode()

    def ask(_: int) -> Counter[int]:
        with Kept(server.port) as caller:
            return Counter(caller.invoke(body)[0] for _ in range(10))

    with ThreadPoolExecutor(12) as pool:
        seen = sum(pool.map(ask, range(12)), Counter[int]())
    assert set(seen) <= {200, 429}
    assert seen[200] > 0
    assert server.invoke(BODY)[0] == 200


def test_a_body_that_takes_too_long_is_408_and_its_connection_is_closed(server: Server):
    with Raw(server.port) as caller:
        caller.send(sized() + BODY[:5])
        assert code(caller.answer()) == (408, "RequestTimeout")
        assert caller.closed()


def test_a_caller_who_goes_away_in_the_middle_of_a_body_takes_no_place(server: Server):
    for _ in range(9):
        with Raw(server.port) as caller:
            caller.send(sized() + BODY[:5])
    time.sleep(0.2)
    assert server.invoke(BODY)[0] == 200


def test_a_body_that_waits_for_100_continue_is_asked_for(server: Server):
    with Raw(server.port) as caller:
        caller.send(sized().replace(b"Host", b"Expect: 100-continue\r\nHost"))
        assert (caller.line(), caller.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
        caller.send(BODY)
        assert caller.answer()[0] == 200
        caller.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n")
        assert code(caller.answer()) == (413, "PayloadTooLarge")
        assert caller.closed()


def test_a_connection_is_used_again_after_an_error(server: Server):
    with Raw(server.port) as caller:
        for body, kind, status in [(b"{", JSON, 400), (BODY, "text/xml", 415), (b" " * 1_200_000, JSON, 413),
                                   (b'{"operation": "getRecommendations"}', JSON, 422), (BODY, JSON, 200)]:  # fmt: skip
            assert caller.invoke(body, kind)[0] == status
        caller.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" + sized() + BODY)
        assert [caller.answer()[0] for _ in range(2)] == [404, 200]


def test_a_body_in_chunks_is_read(server: Server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    parts = (BODY[start : start + 7] for start in range(0, len(BODY), 7))
    connection.request("POST", "/invocations", parts, {"Content-Type": JSON}, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()


def test_head_is_get_without_the_body(server: Server):
    status, answer, headers = server.ask("HEAD", "/ping")
    assert (status, answer, int(headers["content-length"]) > 50) == (200, b"", True)
    assert server.ask("HEAD", "/invocations")[0] == 405


OTHER_TYPES = [None, "", "text/plain", "application/x-www-form-urlencoded", "json", "application/json5", "x" * 10_000,
               "application/jsonl", "ä", ";", "application/json, text/csv"]  # fmt: skip


@pytest.mark.parametrize("kind", OTHER_TYPES, ids=range(len(OTHER_TYPES)))
def test_a_content_type_that_is_missing_or_unknown_is_415(server: Server, kind: str | None):
    headers = {} if kind is None else {"Content-Type": kind.encode("latin-1")}
    status, answer, _ = server.ask("POST", "/invocations", BODY, headers)
    assert code((status, answer)) == (415, "UnsupportedMediaType")
    assert len(answer) < 1000


@pytest.mark.parametrize("kind", ["APPLICATION/JSON", " application/json ; charset=utf-8", "application/json;x"])
def test_a_content_type_may_be_written_in_any_way_that_http_allows(server: Server, kind: str):
    assert server.invoke(BODY, kind)[0] == 200


ACCEPTS = {
    "*/*": 200, "application/json": 200, "application/*": 200, "text/html, */*;q=0.1": 200, "": 200,
    "Application/JSON; charset=utf-8": 200, "text/csv, application/json": 200,
    "text/csv": 406, "application/json;q=0": 406, "application/json; q=0.000, text/html": 406, "x": 406,
}  # fmt: skip


@pytest.mark.parametrize("accept", ACCEPTS)
def test_an_answer_that_the_caller_could_not_take_is_406(server: Server, accept: str):
    status, answer, _ = server.ask("POST", "/invocations", BODY, {"Content-Type": JSON, "Accept": accept})
    assert status == ACCEPTS[accept]
    assert (status == 200) or code((status, answer))[1] == "NotAcceptable"


def test_a_call_with_an_inference_id_is_one_line_in_the_log_without_its_user(tmp_path: Path):
    headers = {"Content-Type": JSON, "X-Amzn-SageMaker-Inference-Id": 'a"\\b', "X-Amzn-RequestId": "r7",
               "X-Amzn-SageMaker-Target-Variant": "blue"}  # fmt: skip
    with serving(ARCHIVE, tmp_path) as running:
        assert running.ask("POST", "/invocations", BODY, headers)[0] == 200
        assert running.ask("POST", "/invocations", b"{", headers)[0] == 400
        assert running.invoke(BODY)[0] == 200
    lines: list[Any] = [json.loads(line) for line in (tmp_path / "stdout").read_text().splitlines()]
    assert [(line["requestId"], line["inferenceId"], line["variant"]) for line in lines] == [
        ("r7", 'a"\\b', "blue")
    ] * 2
    assert [line["status"] for line in lines] == [200, 400]
    assert all(line["ms"] >= 0 for line in lines)
    assert "u04" not in (tmp_path / "stdout").read_text()


def test_an_idle_connection_stays_open_and_a_pipelined_one_is_answered_in_order(server: Server):
    with Raw(server.port) as caller:
        caller.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert caller.answer()[0] == 200
        time.sleep(1.5)
        caller.send((sized() + BODY) * 3 + b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [caller.answer()[0] for _ in range(4)] == [200, 200, 200, 404]


def test_the_variant_is_that_of_the_header_or_else_of_the_environment(tmp_path: Path):
    with serving(ARCHIVE, tmp_path, VARIANT_NAME="green") as running:
        assert running.invoke(BODY)[1]["variant"] == "green"
        _, answer, _ = running.ask(
            "POST", "/invocations", BODY, {"Content-Type": JSON, "X-Amzn-SageMaker-Target-Variant": "blue"}
        )
        assert json.loads(answer)["variant"] == "blue"
