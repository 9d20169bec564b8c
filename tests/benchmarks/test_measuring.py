"""What a process cost is what it cost, and none is left behind."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks import measuring
from benchmarks.errors import BenchmarkError

BUSY = "import time; end = time.process_time() + 0.6\nwhile time.process_time() < end: pass"
LARGE = "block = bytearray(700 * 2**20); block[::4096] = b'x' * len(block[::4096])"
FORKS = f"""
import os, time
{LARGE}
children = []
for _ in range(3):
    if not (child := os.fork()):
        time.sleep(1.5)
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""


def run(code: str, folder: Path) -> measuring.Cost:
    return measuring.run([sys.executable, "-c", code], folder / "log")


def test_cpu_seconds_are_the_childs(tmp_path: Path):
    cost = run(BUSY, tmp_path)
    assert 0.6 <= cost.cpu_seconds < 5
    assert cost.wall_seconds >= 0.6


def test_a_grandchilds_cpu_seconds_count(tmp_path: Path):
    cost = run(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])", tmp_path)
    assert cost.cpu_seconds >= 0.6


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans a new parent of one's choice")
def test_the_cpu_seconds_of_a_child_that_outlives_its_parent_count(tmp_path: Path):
    cost = run(f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BUSY!r}])", tmp_path)
    assert cost.cpu_seconds >= 0.6


def test_peak_memory_is_the_childs(tmp_path: Path):
    assert 700 <= run(LARGE, tmp_path).peak_mib < 900


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's proportional shares")
def test_pages_that_processes_share_count_once(tmp_path: Path):
    assert run(FORKS, tmp_path).peak_mib < 1000


def test_a_failure_shows_the_end_of_the_log_in_one_line(tmp_path: Path):
    with pytest.raises(BenchmarkError, match=r"ended with 3: .*last words") as failure:
        run("print('last words'); raise SystemExit(3)", tmp_path)
    assert "\n" not in str(failure.value)


def test_an_interrupted_measurement_leaves_no_process(tmp_path: Path):
    program = (
        "import sys; from pathlib import Path; from benchmarks import measuring\n"
        "measuring.run([sys.executable, '-c', 'import subprocess; subprocess.run([\"sleep\", \"3210\"])'],"
        f" Path({str(tmp_path / 'log')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    wait_for(sleeping)
    process.send_signal(2)
    process.communicate()
    assert not sleeping()


def sleeping() -> bool:
    return subprocess.run(["pgrep", "-f", "sleep 3210$"], capture_output=True, check=False).returncode == 0


def wait_for(happened) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
