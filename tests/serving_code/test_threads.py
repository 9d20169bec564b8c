"""The endpoint's threads are those that answer requests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc/self/task").exists() or os.cpu_count() == 1, reason="needs Linux and two cores")
def test_numpy_brings_no_threads_of_its_own():
    """Two threads of BLAS a request made related items of ml-1m 40 times slower on two busy cores."""
    start = "from serving_code.__main__ import main; main([])"  # ends at once, as its port is none
    count = "import os, numpy; numpy.ones((999, 99)) @ numpy.ones(99); print(len(os.listdir('/proc/self/task')))"
    without = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    found = subprocess.run(
        [sys.executable, "-c", f"{start}; {count}"],
        cwd=ROOT, env={**without, "SAGEMAKER_BIND_TO_PORT": "none"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "SAGEMAKER_BIND_TO_PORT" in found.stderr
    assert found.stdout == "1\n"
