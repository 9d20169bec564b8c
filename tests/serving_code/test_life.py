"""How the process starts, ends and starts again: readiness, signals, workers."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from checkerboard import ARCHIVE, ROOT
from endpoint import JSON, Server, start, stop

from serving_code.settings import SettingsError, read_settings

BODY = json.dumps({"operation": "getRecommendations", "userId": "u04", "numResults": 3}).encode()


@contextmanager
def endpoint(folder: Path, **more: str) -> Iterator[Server]:
    """A ready endpoint; killed at the end, should it still run."""
    shutil.copytree(ARCHIVE, folder / "model")
    running = start(folder, **more)
    try:
        running.wait(until=200)
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


@contextmanager
def connected(server: Server) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.connect()
        yield connection


@contextmanager
def half_sent(server: Server) -> Iterator[http.client.HTTPConnection]:
    """A call whose body is still on its way."""
    with connected(server) as connection:
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Type", JSON)
        connection.putheader("Content-Length", str(len(BODY)))
        connection.endheaders(BODY[:10])
        time.sleep(0.2)
        yield connection


def children(server: Server) -> list[int]:
    text = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(one) for one in text.split()]


def eventually(right: Callable[[], bool]) -> None:
    for _ in range(400):
        if right():
            return
        time.sleep(0.02)
    raise AssertionError("it never came true")


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_answers_the_call_in_flight_closes_idle_connections_and_exits_with_0(
    tmp_path: Path, workers: str, number: int
):
    started = endpoint(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=workers)
    with started as running, connected(running) as idle, half_sent(running) as call:
        idle.request("GET", "/ping")
        assert idle.getresponse().read()
        os.killpg(running.process.pid, number)  # as a terminal does: to the process and to those it started
        time.sleep(0.2)
        call.send(BODY[10:])
        assert call.getresponse().status == 200
        _, said = running.process.communicate(timeout=5)
        assert (running.process.returncode, said, idle.sock.recv(1)) == (0, "", b"")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_signal_ends_at_once(tmp_path: Path, workers: str):
    with endpoint(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=workers) as running, half_sent(running):
        running.process.terminate()
        time.sleep(0.3)
        assert running.process.poll() is None
        running.process.terminate()
        assert running.process.wait(5) == 128 + signal.SIGTERM


def test_a_signal_before_it_is_ready_is_an_orderly_end_too(tmp_path: Path):
    for workers in ("1", "2"):
        shutil.copytree(ARCHIVE, tmp_path / workers / "model")
        running = start(tmp_path / workers, SAGEMAKER_MODEL_SERVER_WORKERS=workers)
        eventually(lambda server=running: listens(server))
        assert (stop(running), running.process.returncode) == ("", 0)


def listens(server: Server) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", server.port)) == 0


def test_a_worker_that_dies_is_started_again_and_no_call_meets_one_that_is_not_ready(tmp_path: Path):
    with endpoint(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="3") as running:
        statuses = [running.invoke(BODY)[0] for _ in range(100)]  # while the others still start
        eventually(lambda: len(children(running)) == 3)
        time.sleep(1)
        first = children(running)
        os.kill(first[0], signal.SIGKILL)
        eventually(lambda: len(children(running)) == 3 and first[0] not in children(running))
        statuses += [running.invoke(BODY)[0] for _ in range(100)]
        assert set(statuses) == {200}
        assert set(first[1:]) < set(children(running))


def test_all_workers_may_die_and_the_endpoint_comes_back(tmp_path: Path):
    with endpoint(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="2") as running:
        eventually(lambda: len(children(running)) == 2)
        for process in (gone := children(running)):
            os.kill(process, signal.SIGKILL)
        eventually(lambda: not set(gone) & set(children(running)))
        running.wait(until=200)
        assert running.invoke(BODY)[0] == 200


def test_workers_end_with_the_process_that_started_them(tmp_path: Path):
    with endpoint(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="2") as running:
        eventually(lambda: len(children(running)) == 2)
        left = children(running)
        running.process.kill()
        eventually(lambda: not any(Path(f"/proc/{one}/cmdline").exists() and alive(one) for one in left))


def alive(process: int) -> bool:
    """Whether it is more than an entry that nobody has waited for."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_f14_several_workers_say_why_there_is_no_model_and_end_in_order(tmp_path: Path):
    running = start(tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS="2")
    while "being loaded" in (said := running.wait(until=503)["error"]["message"]):
        pass
    assert "manifest.json is not a regular file" in said
    assert running.invoke(BODY)[0] == 503
    assert "model not loaded" in stop(running)
    assert running.process.returncode == 0


def test_a_port_that_is_taken_is_one_line(tmp_path: Path):
    with endpoint(tmp_path) as running:
        environment = {"SAGEMAKER_BIND_TO_PORT": str(running.port)}
        command = [sys.executable, "-m", "serving_code", "serve"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert re.fullmatch(r"error: SAGEMAKER_BIND_TO_PORT: [^\n]+\n", done.stderr)


WRONG = [("MAX_CALLS", "many"), ("MODEL_THREADS", "0"), ("MODEL_THREADS", "17"), ("BODY_SECONDS", "-1"),
         ("SAGEMAKER_MODEL_SERVER_WORKERS", "65"), ("SAGEMAKER_MODEL_SERVER_WORKERS", "1.5"),
         ("SAGEMAKER_BIND_TO_PORT", "65536"), ("MODEL_CACHE_BYTES", "1e9"),
         ("MODEL_CACHE_BYTES", "9" * 30)]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_setting_that_is_no_number_in_its_range_is_refused(name: str, value: str):
    with pytest.raises(SettingsError, match=f"^{name}: "):
        read_settings({name: value})


def test_settings_have_defaults_for_what_is_unset_or_empty():
    found = read_settings({"MAX_CALLS": "", "SAGEMAKER_MODEL_SERVER_WORKERS": "4"})
    assert (found.port, found.workers, found.max_calls, found.variant) == (8080, 4, 256, "main")
    assert 1 <= found.threads <= 16


def test_the_process_holds_less_than_120_megabytes_and_neither_torch_nor_a_key_it_was_not_given(tmp_path: Path):
    with endpoint(tmp_path) as running:
        assert running.invoke(BODY)[0] == 200
        status = Path(f"/proc/{running.process.pid}/status").read_text()
        maps = Path(f"/proc/{running.process.pid}/maps").read_text()
        assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < 120_000
        assert not re.search(r"torch|cryptography|pandas|pyarrow", maps)
