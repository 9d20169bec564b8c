"""A trial with small programs in training's place."""

import os
import re
import threading
import time
from pathlib import Path

import pytest

from pipelines.trial import Training

SCORE = re.compile(r"\bneumf validation: .*\bndcg@10=([0-9.]+);")
SAYS = "import sys; print('neumf validation: hr@10=0.5; ndcg@10=0.25;'); print(sys.argv[1:])"


def training(folder: Path, program: str) -> Training:
    (folder / "train.py").write_text(program)
    return Training(folder / "train.py", folder / "train", {"lr": "0.1", "models": "neumf"}, SCORE, 1)


def test_a_score_is_read_from_what_training_prints(tmp_path: Path):
    outcome = training(tmp_path, SAYS).run({}, threading.Event())
    assert (outcome.score, outcome.problem) == (0.25, "")


def test_the_searched_value_takes_the_place_of_the_fixed_one(tmp_path: Path):
    program = f"import sys; open({str(tmp_path / 'heard')!r}, 'w').write(' '.join(sys.argv[1:]))"
    training(tmp_path, program).run({"lr": 0.5, "reg": 1e-05}, threading.Event())
    heard = (tmp_path / "heard").read_text()
    assert heard.startswith(f"--train-dir {tmp_path / 'train'} --model-dir ")
    assert heard.endswith("--lr 0.5 --models neumf --reg 1e-05")


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (f"{SAYS}; sys.exit('error: --lr: is 9')", "error: --lr: is 9"),
        ("raise SystemExit(3)", "it printed nothing"),
        ("print('done')", "no line matches"),
    ],
)
def test_a_trial_that_fails_has_no_score_and_says_why(tmp_path: Path, program: str, says: str):
    outcome = training(tmp_path, program).run({}, threading.Event())
    assert outcome.score is None
    assert outcome.problem.startswith(says)


def test_a_trial_that_is_stopped_leaves_no_process(tmp_path: Path):
    program = f"""
import os, subprocess, time
child = subprocess.Popen(["sleep", "60"])
with open({str(tmp_path / "writing")!r}, "w") as file:
    file.write(f"{{os.getpid()}} {{child.pid}}")
os.rename({str(tmp_path / "writing")!r}, {str(tmp_path / "pids")!r})
time.sleep(60)
"""
    stop = threading.Event()
    thread = threading.Thread(target=training(tmp_path, program).run, args=({}, stop))
    thread.start()
    while not (tmp_path / "pids").exists():
        time.sleep(0.02)
    stop.set()
    thread.join()
    for pid in (tmp_path / "pids").read_text().split():
        assert gone(int(pid))


def gone(pid: int, seconds: float = 20.0) -> bool:
    """Whether a process ends, now or soon: what is killed may be gone a moment later."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True  # nobody has collected it yet
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False
