"""The endpoint's threads are those that answer requests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc/self/task").exists() or os.cpu_count() == 1, reason="needs Linux and two cores")
def test_numpy_brings_no_threads_of_its_own():
    product = "numpy.ones((999, 99)) @ numpy.ones(99)"
    code = f"import os, serving_code, numpy; {product}; print(len(os.listdir('/proc/self/task')))"
    without = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=without, capture_output=True, text=True, check=True
    )
    assert found.stdout == "1\n"
