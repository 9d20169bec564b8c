"""Children never outlive the process that started them, however it ends."""

import subprocess
import sys
import time
from pathlib import Path

from localcloud import state

ROOT = Path(__file__).parent.parent.parent
PARENT = """
import os, sys, time
from localcloud.processes import Processes

child = Processes().start(["/bin/sh", "-c", sys.argv[1]], env=os.environ, cwd=".")
time.sleep(60)
"""


def test_a_child_whose_first_act_kills_its_parent_does_not_survive_it(tmp_path: Path) -> None:
    left = []
    for attempt in range(10):
        marker = tmp_path / str(attempt)
        script = f"echo $$ > {marker}; kill -9 $PPID; exec sleep 60"
        subprocess.run([sys.executable, "-c", PARENT, script], cwd=ROOT, check=False, timeout=30)
        left.append(int(marker.read_text()))
    deadline = time.monotonic() + 20
    while any(map(state.start_time, left)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(state.start_time, left))


def test_a_child_gets_its_arguments_input_and_exit_status_as_they_are(tmp_path: Path) -> None:
    program = """
import os, sys
from localcloud.processes import Processes

with open(sys.argv[1]) as stdin:
    child = Processes().start(["sh", "-c", 'cat; printf "%s|" "$@"; exit 7', "x", "a b", "", "$HOME"],
                              env=os.environ, cwd="/", stdin=stdin)
    sys.exit(child.wait())
"""
    (tmp_path / "input").write_text("first\nsecond\n")
    command = [sys.executable, "-c", program, str(tmp_path / "input")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.returncode) == ("first\nsecond\na b||$HOME|", 7)
