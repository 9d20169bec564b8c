import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from checkerboard import ARCHIVE, ROOT, SIZE
from endpoint import JSON, Server, start, stop


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("endpoint")
    shutil.copytree(ARCHIVE, folder / "model")
    running = start(folder)
    running.wait(until=200)
    yield running
    said = stop(running)
    assert (running.process.returncode, said) == (0, "")


def scores() -> np.ndarray:
    """What score.onnx says of every user and item."""
    session = onnxruntime.InferenceSession((ARCHIVE / "score.onnx").read_bytes())
    return session.run(None, {"user": np.arange(SIZE)})[0]


def recommend(server: Server, user: str = "u04", **more: Any) -> tuple[int, Any]:
    return server.invoke({"operation": "getRecommendations", "userId": user, **more})


def ids(answer: dict, name: str = "itemList") -> list[str]:
    return [one["itemId"] for one in answer[name]]


def test_ping_says_which_model_is_served(server: Server):
    status, found = server.ping()
    assert status == 200
    assert (found["model_version"], found["run_id"], len(found["sha256"])) == ("3", "r1", 64)
    assert found["loaded_at"].endswith("Z")


@pytest.mark.parametrize("user", range(0, SIZE, 7))
def test_recommendations_are_those_of_the_graph(server: Server, user: int):
    status, found = recommend(server, f"u{user:02}", numResults=5, filter={"excludeSeen": False})
    row = scores()[user]
    assert status == 200
    assert [one["score"] for one in found["itemList"]] == pytest.approx(sorted(row, reverse=True)[:5], abs=1e-4)
    assert [row[int(item[1:])] for item in ids(found)] == pytest.approx(
        [one["score"] for one in found["itemList"]], abs=1e-4
    )
    assert recommend(server, f"u{user:02}", numResults=1)[1]["itemList"][0]["itemId"] == f"i{user:02}"


def test_the_answer_says_which_model_gave_it(server: Server):
    _, found = recommend(server)
    assert found["model"] == {"name": "board", "version": "3", "runId": "r1"}
    assert (found["strategy"], found["variant"], found["userId"]) == ("personalized", "main", "u04")
    assert found["dataThrough"].startswith("2026-06")
    assert len({found["recommendationId"], recommend(server)[1]["recommendationId"]}) == 2


def test_golden_requests_are_answered_as_training_wrote_them(server: Server):
    for line in (json.loads(text) for text in (ARCHIVE / "golden.jsonl").read_text().splitlines()):
        status, found = server.invoke(line["request"])
        assert status == 200
        assert [one["score"] for one in found["itemList"]] == pytest.approx(line["scores"], abs=1e-4)
        said = dict(zip(line["itemIds"], line["scores"], strict=True))
        assert [said.get(one["itemId"], line["scores"][-1]) for one in found["itemList"]] == pytest.approx(
            line["scores"], abs=1e-4
        )


def test_an_unknown_user_gets_the_popular_items(server: Server):
    status, found = recommend(server, "stranger", numResults=3)
    assert (status, found["strategy"], ids(found)) == (200, "popular", ["i00", "i01", "i02"])
    assert found["itemList"][0]["reason"] == ["popular"]


def test_seen_and_excluded_items_are_left_out_and_a_short_list_says_so(server: Server):
    _, found = recommend(server, numResults=500)
    assert found["truncated"] is True
    assert len(ids(found)) == SIZE - (SIZE // 2 - 1)  # all but the liked ones of the past
    _, fewer = recommend(server, numResults=3, filter={"excludeItemIds": [*ids(found)[:2], "unheard of"]})
    assert ids(fewer) == ids(found)[2:5]
    assert "truncated" not in fewer


def test_a_list_is_ranked_with_unknown_items_last_and_without_score(server: Server):
    body = {"operation": "getPersonalizedRanking", "userId": "u04", "inputList": ["x", "i01", "i04", "x", "i04"]}
    status, found = server.invoke(body)
    assert (status, ids(found, "personalizedRanking")) == (200, ["i04", "i01", "x"])
    assert found["personalizedRanking"][2] == {"itemId": "x"}


def test_related_items_are_those_that_the_same_users_like(server: Server):
    status, found = server.invoke({"operation": "getRelatedItems", "itemId": "i04", "numResults": 5})
    assert (status, found["strategy"]) == (200, "related")
    assert {int(item[1:]) % 2 for item in ids(found)} == {0}
    assert "i04" not in ids(found)
    assert server.invoke({"operation": "getRelatedItems", "itemId": "x"})[0] == 404


def test_instances_are_scored_in_their_order_whoever_they_are(server: Server):
    pairs = [("u04", "i04"), ("stranger", "i04"), ("u05", "i04"), ("u04", "x"), ("u04", "i04")]
    body = {"instances": [{"userId": user, "itemId": item} for user, item in pairs]}
    status, found = server.invoke(body)
    assert (status, [one["known"] for one in found["predictions"]]) == (200, [True, False, True, False, True])
    table = scores()
    said = [one["score"] for one in found["predictions"]]
    assert [said[0], said[2], said[4]] == pytest.approx([table[4, 4], table[5, 4], table[4, 4]], abs=1e-4)
    assert said[1] is said[3] is None
    text = "\r\n".join(["userId,itemId", *(f"{user},{item}" for user, item in pairs)]).encode()
    assert server.invoke(text, "text/csv; charset=utf-8") == (200, found)
    assert server.invoke({"instances": []}) == (200, {"predictions": []})


def test_ten_thousand_instances_are_taken_and_one_more_is_not(server: Server):
    rows = [f"u{n % SIZE:02},i{n % SIZE:02}" for n in range(10_000)]
    status, found = server.invoke("\n".join(rows).encode(), "text/csv")
    assert (status, len(found["predictions"])) == (200, 10_000)
    assert server.invoke("\n".join([*rows, "u,i"]).encode(), "text/csv")[0] == 422


def test_json_lines_give_a_line_for_a_line_and_a_bad_one_spoils_no_other(server: Server):
    good = json.dumps({"operation": "getRecommendations", "userId": "u04", "numResults": 1}).encode()
    lines = [good, b"{", b"", json.dumps({"instances": [{"userId": "u04", "itemId": "i04"}]}).encode(), good]
    status, answer, headers = server.ask(
        "POST", "/invocations", b"\n".join(lines) + b"\n", {"Content-Type": "application/jsonlines"}
    )
    found = [json.loads(line) for line in answer.splitlines()]
    assert (status, headers["content-type"], len(found)) == (200, "application/jsonlines", 5)
    assert [sorted(one)[0] for one in found] == ["dataThrough", "error", "error", "predictions", "dataThrough"]
    assert ids(found[0]) == ids(found[4]) == ["i04"]


def call(**more: Any) -> dict[str, Any]:
    return {"operation": "getRecommendations", "userId": "u04", **more}


DEEP: Any = json.loads("[" * 9 + "]" * 9)
WRONG = [
    (b"", 400, None), (b"{", 400, None), (b"\xff", 400, None), (b"[]", 400, None), (b"null", 400, None),
    (b'{"a": NaN}', 400, None), (b"[" * 100_000, 400, None), (b'{"userId": "a", "userId": "b"}', 400, None),
    (call(filter=DEEP), 400, None), ({}, 400, "operation"), ({"operation": "drop"}, 400, "operation"),
    ({"operation": ["x"]}, 400, "operation"), ({"operation": "getRecommendations"}, 422, "userId"),
    (call(userId=""), 422, "userId"), (call(userId=None), 422, "userId"), (call(userId=["a"]), 422, "userId"),
    (call(userId=True), 422, "userId"), (call(userId="x" * 257), 422, "userId"),
    (call(numResults=0), 422, "numResults"), (call(numResults=501), 422, "numResults"),
    (call(numResults="5"), 422, "numResults"),
    (call(numResults=True), 422, "numResults"), (call(numResults=1.5), 422, "numResults"),
    (call(numResult=5), 422, "numResult"), (call(filter=[]), 422, "filter"),
    (call(filter={"excludeSeen": 1}), 422, "filter.excludeSeen"), (call(filter={"x": 1}), 422, "filter.x"),
    (call(filter={"excludeItemIds": "i01"}), 422, "filter.excludeItemIds"),
    (call(filter={"excludeItemIds": [None]}), 422, "filter.excludeItemIds[0]"),
    ({"instances": {}}, 422, "instances"), ({"instances": [1]}, 422, "instances[0]"),
    ({"instances": [{"userId": "a"}]}, 422, "instances[0].itemId"),
    ({"operation": "getPersonalizedRanking", "userId": "a", "inputList": ["i"] * 501}, 422, "inputList"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "field"), WRONG)
def test_a_wrong_body_is_answered_with_what_is_wrong(server: Server, body: Any, status: int, field: str | None):
    found, answer = server.invoke(body)
    assert (found, answer["error"]["field"]) == (status, field)
    assert set(answer["error"]) == {"code", "message", "field", "requestId"}
    assert "Traceback" not in answer["error"]["message"]


def test_other_types_sizes_and_routes_are_refused(server: Server):
    assert server.invoke(b"<x/>", "text/xml")[0] == 415
    assert server.invoke(b" " * 1_000_001)[0] == 413
    assert server.invoke(json.dumps(call()).encode() + b" " * 999_900)[0] == 200
    for method, path in [("GET", "/"), ("GET", "/models"), ("POST", "/models"), ("POST", "/models/x/invoke"),
                         ("DELETE", "/models/x")]:  # fmt: skip
        status, answer, _ = server.ask(method, path)
        assert (status, json.loads(answer)["error"]["code"]) == (404, "NotFound")
    for method, path, allowed in [("GET", "/invocations", "POST"), ("POST", "/ping", "GET")]:
        status, answer, headers = server.ask(method, path)
        assert (status, json.loads(answer)["error"]["code"]) == (405, "MethodNotAllowed")
        assert headers["allow"] == allowed


def test_a_body_without_length_is_refused_once_it_is_too_large(server: Server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    chunks = (b"x" * 100_000 for _ in range(11))
    connection.request("POST", "/invocations", chunks, {"Content-Type": JSON}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_sagemakers_headers_are_read_and_echoed(server: Server):
    headers = {"Content-Type": JSON, "X-Amzn-SageMaker-Custom-Attributes": "trace=1", "X-Amzn-RequestId": "abc",
               "X-Amzn-SageMaker-Target-Variant": "shadow"}  # fmt: skip
    _, answer, sent = server.ask("POST", "/invocations", json.dumps(call()).encode(), headers)
    found = json.loads(answer)
    assert (found["requestId"], found["variant"], sent["x-amzn-sagemaker-custom-attributes"]) == (
        "abc",
        "shadow",
        "trace=1",
    )


def test_parallel_callers_get_their_own_answers(server: Server):
    def first(user: int) -> str:
        return ids(recommend(server, f"u{user:02}", numResults=1)[1])[0]

    with ThreadPoolExecutor(8) as pool:
        users = list(range(SIZE)) * 5
        assert list(pool.map(first, users)) == [f"i{user:02}" for user in users]


def broken(folder: Path, name: str) -> None:
    content = bytearray((folder / "model" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model" / name).write_bytes(bytes(content))


def wrong_golden(folder: Path) -> None:
    """An archive whose digests are right and whose golden answers are not."""
    path, manifest = folder / "model" / "golden.jsonl", folder / "model" / "manifest.json"
    path.write_text(path.read_text().replace('"i00"', '"i07"', 1))
    found = json.loads(manifest.read_text())
    found["files"]["golden.jsonl"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(found))


TROUBLE = {
    "score.onnx differs from its digest": lambda folder: broken(folder, "score.onnx"),
    "golden request of 'u00' is answered differently": wrong_golden,
    "users.json is not a regular file": lambda folder: (folder / "model" / "users.json").unlink(),
    "manifest.json is not a regular file": lambda folder: shutil.rmtree(folder / "model"),
}


@pytest.mark.parametrize("said", TROUBLE)
def test_f14_a_wrong_archive_leaves_ping_at_503_with_the_reason(said: str, tmp_path: Path):
    shutil.copytree(ARCHIVE, tmp_path / "model")
    TROUBLE[said](tmp_path)
    running = start(tmp_path)
    try:
        for _ in range(100):
            answer = running.wait(until=503)
            if said in answer["error"]["message"]:
                break
            time.sleep(0.03)
        assert said in answer["error"]["message"]
        assert recommend(running)[0] == 503
    finally:
        printed = stop(running)
    assert f"error: model not loaded: {tmp_path}" in printed or said in printed


def test_sigterm_answers_the_call_in_flight_and_exits_with_0(tmp_path: Path):
    shutil.copytree(ARCHIVE, tmp_path / "model")
    running = start(tmp_path)
    running.wait(until=200)
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    body = json.dumps(call()).encode()
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Type", JSON)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:10])
    time.sleep(0.2)
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    connection.send(body[10:])
    assert connection.getresponse().status == 200
    connection.close()
    _, said = running.process.communicate(timeout=30)
    assert (running.process.returncode, said) == (0, "")


def test_the_serving_process_never_imports_torch_or_anything_beside_its_requirements():
    code = (
        "import serving_code.server, sys; print('\\n'.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    heavy = {"torch", "onnxruntime", "onnx", "pandas", "pyarrow", "duckdb", "boto3", "sagemaker", "pydantic"}
    assert not loaded & heavy


def test_an_unknown_command_is_refused(tmp_path: Path):
    command = [sys.executable, "-m", "serving_code", "train"]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: train: unknown; right is: python -m serving_code serve\n")
