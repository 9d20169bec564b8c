"""`make demo` from outside: stopped half way it leaves nothing, and the next one works."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import params

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.heavy


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone of this project as it is committed or edited, so that a demo of one's own is left alone."""
    from demo.team import run, snapshot

    snapshot(ROOT, tmp_path / "project")
    person = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*person, "commit", "-qm", "All"]):
        run(["git", *words], tmp_path / "project")
    return tmp_path / "project"


def processes_below(folder: Path) -> set[str]:
    """Command lines of living processes whose working directory or arguments lie below the folder."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = str((entry / "cwd").readlink())
        except OSError:
            continue
        if int(entry.name) != os.getpid() and (str(folder) in command or where.startswith(str(folder))):
            found.add(command)
    return found


def start(project: Path, until: str) -> subprocess.Popen[str]:
    """A demo that has just printed a line starting with `until`."""
    command = [sys.executable, "-m", "demo", "--data", "synthetic"]
    demo = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith(until):
            return demo
    pytest.fail(f"the demo ended before {until}")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("stage", [1, 3, 5])
def test_ctrl_c_leaves_no_process_and_no_lock(project: Path, stage: int):
    demo = start(project, f"[{stage}]")
    time.sleep(1.5)
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=30)
    assert demo.returncode == 130
    time.sleep(0.5)
    assert processes_below(project) == set()
    assert not (project / ".demo" / "summary.json").exists()


def test_a_demo_right_after_a_killed_one_works_and_verifies_every_claim(project: Path):
    demo = start(project, "[4]")
    demo.kill()
    demo.communicate()
    command = [sys.executable, "-m", "demo", "--data", "synthetic"]
    again = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr[-3000:]
    summary = json.loads((project / ".demo" / "summary.json").read_text())
    assert {stage["status"] for stage in summary["stages"]} == {"ok"}
    each = len(params.load(project / "params" / "ncf.yml").train.models)  # every run registers all of its models
    assert summary["versions"] == {"staging": each + 1, "production": 1}
    assert len(summary["recommendations"]) == 10
    time.sleep(0.5)
    assert processes_below(project) == set()
