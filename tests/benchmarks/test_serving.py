"""The load harness reports what happened: its numbers are those of a server whose behaviour is known."""

import json
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.errors import BenchmarkError
from benchmarks.serving import client, command, loads, many, servers, subjects, summaries, tables

ROOT = Path(__file__).resolve().parents[2]
Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


def say(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serving(answer: Answer) -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            pass  # a client that has what it wants closes its connections

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def measured(server: socketserver.TCPServer, folder: Path, connections: int = 1, seconds: float = 0.3) -> dict:
    asked = [subjects.simple(f"u{number}") for number in range(50)]
    (folder / "requests.json").write_text(json.dumps(asked))
    port = server.server_address[1]
    settings = {"port": port, "path": "/x", "connections": connections, "seconds": seconds, "warmup": 0.05}
    return client.load(folder, settings)


def test_a_server_that_sleeps_shows_its_sleep(tmp_path: Path):
    def slow(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        time.sleep(0.02)
        say(handler, body)

    with serving(slow) as server:
        one, eight = (measured(server, tmp_path, connections) for connections in (1, 8))
    assert one["p50_ms"] >= 20
    assert one["rps"] <= 50
    assert eight["p50_ms"] >= 20
    assert eight["rps"] <= 400
    assert one["errors"] == eight["errors"] == {}


def test_the_slowest_of_a_hundred_is_in_p99_and_not_in_p50(tmp_path: Path):
    turn = iter(range(10**6))

    def seldom_slow(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if next(turn) % 20 == 0:
            time.sleep(0.03)
        say(handler, body)

    with serving(seldom_slow) as server:
        found = measured(server, tmp_path, seconds=0.5)
    assert found["p99_ms"] >= 30
    assert found["p50_ms"] < found["p99_ms"]


def test_errors_are_counted_by_status_and_are_no_requests_per_second(tmp_path: Path):
    turn = iter(range(10**6))

    def failing(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        say(handler, body, 500 if next(turn) % 2 else 200)

    with serving(failing) as server:
        found = measured(server, tmp_path)
    assert set(found["errors"]) == {"status 500"}
    assert abs(found["errors"]["status 500"] - found["requests"]) <= 1
    assert found["rps"] == pytest.approx(found["requests"] / found["seconds"], rel=0.01)


@pytest.mark.parametrize("connections", [1, 8])
def test_an_answer_to_somebody_else_is_an_error(tmp_path: Path, connections: int):
    with serving(lambda handler, _body: say(handler, b'{"userId":"u0"}')) as server:
        found = measured(server, tmp_path, connections)
    assert set(found["errors"]) == {"not the answer to what was asked"}
    assert found["errors"]["not the answer to what was asked"] > found["requests"]


@pytest.mark.parametrize("connections", [1, 8])
def test_a_connection_that_is_closed_is_an_error_and_is_opened_again(tmp_path: Path, connections: int):
    turn = iter(range(10**6))

    def closing(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if next(turn) % 3 == 0:
            handler.close_connection = True
        else:
            say(handler, body)

    with serving(closing) as server:
        found = measured(server, tmp_path, connections)
    assert set(found["errors"]) == {"the connection was closed"}
    assert found["requests"] > found["errors"]["the connection was closed"] > 0


def test_an_answer_that_comes_in_pieces_is_one_answer(tmp_path: Path):
    def in_pieces(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-")
        handler.wfile.write(b"length: %d\r\n\r\n" % len(body))
        for byte in body:
            handler.wfile.write(bytes([byte]))

    with serving(in_pieces) as server:
        found = measured(server, tmp_path)
    assert found["requests"] > 0
    assert found["errors"] == {}


def test_eight_connections_are_eight(tmp_path: Path):
    seen = set()

    def noting(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        seen.add(handler.client_address)
        say(handler, body)

    with serving(noting) as server:
        measured(server, tmp_path, connections=8)
    assert len(seen) == 8


def test_a_server_that_is_gone_is_one_line(tmp_path: Path):
    with serving(say) as server:
        pass
    with pytest.raises(BenchmarkError, match="takes no connection"):
        measured(server, tmp_path)


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from([0.5, 0.99, 0.999]))
def test_a_percentile_is_the_smallest_value_that_is_not_exceeded_by_more_than_the_rest(values: list[int], share: float):
    ordered = sorted(values)
    found = client.percentile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered)
    assert sum(value < found for value in ordered) < share * len(ordered)


def words(code: str) -> list[str]:
    return [sys.executable, "-c", code, "{port}"]


SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
WITH_A_CHILD = f"""
import os, time
here, there = os.pipe()
if not os.fork():
    block = bytearray(200 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    end = time.process_time() + 0.3
    while time.process_time() < end: pass
    os.write(there, b"x")
    time.sleep(600)
os.read(here, 1)
{SERVER}
"""


def test_the_memory_and_the_time_of_a_servers_children_count_and_none_is_left(tmp_path: Path):
    with servers.running(words(WITH_A_CHILD), {}, "/", tmp_path / "log") as server:
        weight, cpu, session = server.weigh(), server.cpu_seconds(), server.session
    assert server.start_seconds >= 0.3
    assert weight["processes"] == 2
    assert 200 <= weight["anonymous_mib"] <= weight["rss_mib"] < 400
    assert cpu >= 0.3
    assert not [path for path in Path("/proc").glob("[0-9]*") if servers.session_of(path) == session]


def test_a_server_that_does_not_start_shows_its_last_words(tmp_path: Path):
    starting = servers.running(words("print('last words'); raise SystemExit(3)"), {}, "/", tmp_path / "log")
    with pytest.raises(BenchmarkError, match=r"ended with 3: .*last words"), starting:
        pass


def test_work_that_differs_is_not_compared():
    same = {"a": [[0.9, 0.8]], "b": [[0.90001, 0.8]]}
    assert subjects.equal_work(same)
    assert not subjects.equal_work({**same, "c": [[0.9, 0.7]]})
    assert not subjects.equal_work({**same, "c": [[0.9]]})


@pytest.mark.parametrize("kind", subjects.OWN)
def test_the_same_requests_are_asked_every_time(kind: str):
    ids = subjects.Ids([f"u{number}" for number in range(100)], [f"i{number}" for number in range(100)])
    one, again = (subjects.requests(subjects.OWN[kind], ids) for _ in range(2))
    assert one == again
    assert len({body for body, _ in one}) > 50


def run(contender: str, rps: float, **more: object) -> dict:
    about = {"contender": contender, "model": "m", "kind": "known user", "connections": 8, "errors": {}, "rps": rps}
    return {**about, "p50_ms": 1.0, "p99_ms": 2.0, "server_cpu_us": 1000.0 / rps, **more}


def test_a_ratio_is_of_medians_over_rounds_and_errors_are_added_up():
    ours = [run(subjects.OURS, rps) for rps in (90.0, 100.0, 9000.0)]
    ours += [{**one, "kind": "live-scored", "rps": 50.0, "server_cpu_us": 20.0} for one in ours]
    theirs = [run("FastAPI", 10.0, errors={"status 500": 2}), run("FastAPI", 10.0, errors={"status 503": 1})]
    medians = summaries.medians_of([*ours, *theirs])
    assert medians["m"]["FastAPI"]["known user"]["8"]["errors"] == 3
    times = {"known user": {"rps": 10.0, "cpu": 10.0}, "live-scored": {"rps": 5.0, "cpu": 5.0}}
    assert summaries.ratios(medians) == {"m": {"FastAPI": {"8": times}}}
    assert summaries.rps_of(medians)["m"][subjects.OURS]["known user"] == {"8": 100.0}
    assert f"| {subjects.OURS}: known user | 8 | 100 | 1.000 | 2.000 |" in tables.loads(medians["m"])


def test_peers_that_are_not_installed_are_left_out_by_name(capsys: pytest.CaptureFixture[str]):
    chosen, without = command.able(subjects.SUBJECTS, python=None)
    assert subjects.OURS in chosen
    assert without.keys() == {name for name, one in subjects.SUBJECTS.items() if one.peer}
    assert "LitServe: left out: .venv-serving-peers is not set up" in capsys.readouterr().err


def test_how_long_ago_a_model_was_asked_is_counted_in_other_models():
    asked = dict.fromkeys([3, 1, 2])
    assert [many.distance(asked, model) for model in (2, 1, 3, 4)] == [0, 1, 2, 3]


@pytest.mark.heavy
def test_every_part_is_measured_on_tiny_models_without_peers(tmp_path: Path):
    line = [sys.executable, "-m", "benchmarks.serving", "--quick", "--subjects", f"{subjects.OURS},{subjects.ECHO}"]
    done = subprocess.run(
        [*line, "--json", tmp_path / "one.json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "one.json").read_text())
    assert {"benchmark", "machine", "settings", "runs", "ratio", "rps"} <= found.keys()
    assert {run["kind"] for run in found["runs"] if run["contender"] == subjects.OURS} == set(subjects.OWN)
    assert all(not run["errors"] and run["requests"] > 0 for run in found["runs"])
    assert all(20 < start["rss_mib"] < 1000 for start in found["starts"] if start["contender"] == subjects.OURS)
    assert found["scoring"]["tiny"]["threads_busy"] < 1.2
    assert found["many"][0]["ms"]["first load"]["count"] == 30
    report = subprocess.run(
        [sys.executable, "-m", "benchmarks.report", tmp_path / "one.json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert report.stdout == done.stdout


@pytest.mark.heavy
def test_the_peers_answer_as_this_project_does(tmp_path: Path):
    subprocess.run(["make", f"PYTHON={sys.executable}", ".venv-serving-peers/ready"], cwd=ROOT, check=True)
    line = [sys.executable, "-m", "benchmarks.serving", "--quick", "--parts", "http", "--json", tmp_path / "one.json"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # it fails if they answer known users differently
    found = json.loads((tmp_path / "one.json").read_text())
    assert found["left_out"] == {}
    assert {run["contender"] for run in found["runs"]} == set(subjects.SUBJECTS)
    assert loads.COMPARED > 0
