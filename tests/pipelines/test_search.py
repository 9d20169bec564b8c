"""The local search, driven from the command line.

Those that search get a virtual environment with Optuna of its own (requirements.search.lock), kept in .venv-search.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.test_trial import gone

ROOT = Path(__file__).resolve().parents[2]
SEARCH = (
    "search: {model: neumf, trials: 8, space: {lr: {min: 0.001, max: 0.02, scale: log}, num_ng: {min: 2, max: 6}}}\n"
)
GIVEN = "hyperparameters: {epochs: 6, lr: 0.004, factor_num: 16, num_ng: 4}"
# better the nearer lr is to 0.01; num_ng=2 fails
PROGRAM = """
import os, sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert given["--models"] == "neumf"
if given["--num_ng"] == "2":
    sys.exit("error: --num_ng: is 2")
print(f"neumf validation: hr@10=0.9; ndcg@10={1 - abs(float(given['--lr']) - 0.01):.6f};")
"""
SLOW = """
import os, pathlib, time
mine = pathlib.Path(__file__).with_name(f"{os.getpid()}.pid")
if len(list(mine.parent.glob("*.pid"))) >= 2:
    mine.touch()
    time.sleep(60)
mine.touch()
print("neumf validation: ndcg@10=0.5;")
"""


@pytest.fixture(scope="session")
def optuna() -> str:
    """The Python that has Optuna installed."""
    folder = ROOT / ".venv-search"
    lock = hashlib.sha256((ROOT / "requirements.search.lock").read_bytes()).hexdigest()
    ready, python = folder / "ready", str(folder / "bin" / "python")
    if not ready.exists() or ready.read_text() != lock:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
        subprocess.run([*install, "--require-hashes", "-r", ROOT / "requirements.search.lock"], check=True)
        ready.write_text(lock)
    return python


@pytest.fixture
def project(home: Path) -> Path:
    """A project whose training is a function of its hyperparameters, and what looks like a channel."""
    path = home / "params" / "ncf.yml"
    text = re.sub(r"models: \[.*?\]", "models: [neumf, ease]", path.read_text())
    path.write_text(re.sub(r"hyperparameters: \{.*?\}", GIVEN, text, flags=re.DOTALL) + SEARCH)
    (home / "training_code" / "train.py").write_text(PROGRAM)
    (home / "train").mkdir()
    for name in ("manifest.json", "interactions.parquet", "users.parquet", "items.parquet"):
        (home / "train" / name).touch()
    return home


def command(python: str, *more: str) -> list[str]:
    return [python, "-m", "pipelines", "search", "params/ncf.yml", "--train-dir", "train", *more]


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def search(home: Path, python: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(python, *more), cwd=home, env=environment(home), capture_output=True, text=True, check=False
    )


def test_without_optuna_it_says_how_to_install_it(project: Path):
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from pipelines.__main__ import main\n"
        "sys.exit(main(['search', 'params/ncf.yml', '--train-dir', 'train']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=environment(project), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: search: Optuna is not installed; "
        "run python -m uv pip install --require-hashes -r requirements.search.lock\n"
    )


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--trials", "0"), "--trials: 0 is wrong; write 1 to 500"),
        (("--trials", "3", "--parallel", "4"), "--parallel: 4 is wrong; write 1 to 3"),
        (("--train-dir", "params"), "--train-dir params: no manifest.json there; name the train folder"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_starts(project: Path, more: tuple[str, ...], says: str):
    done = search(project, sys.executable, *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {says}")


def test_params_without_a_search_are_named(project: Path):
    path = project / "params" / "ncf.yml"
    path.write_text(path.read_text().replace(SEARCH, ""))
    assert "params/ncf.yml: search: missing; add search:" in search(project, sys.executable).stderr


@pytest.mark.heavy
def test_it_tries_prints_and_writes_the_best_back(project: Path, optuna: str):
    before = (project / "params" / "ncf.yml").read_text()
    done = search(project, optuna, "--write")
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows, best, block, written = done.stdout.splitlines()
    assert header.split() == ["trial", "ndcg@10", "best", "seconds", "values"]
    assert [row.split()[0] for row in rows] == [f"{number}/8" for number in range(1, 9)]
    assert rows[0].endswith("lr: 0.004, num_ng: 4")  # what the file says now
    scores = [row.split()[1] for row in rows]
    top = max(score for score in scores if score != "-")
    assert best.startswith(f"best of 8: ndcg@10 {top} on the validation split, in trial {scores.index(top) + 1}")
    lr, num_ng = (part.partition(": ")[2] for part in rows[scores.index(top)].split("  ")[-1].split(", "))
    after = (project / "params" / "ncf.yml").read_text()
    assert after == before.replace("lr: 0.004,", f"lr: {lr},").replace("num_ng: 4}", f"num_ng: {num_ng}}}")
    assert block in after
    assert written.startswith("params/ncf.yml: hyperparameters written; take search: out")


@pytest.mark.heavy
@pytest.mark.parametrize("strategy", ["Bayesian", "Random"])
def test_one_at_a_time_the_same_seed_tries_the_same(project: Path, optuna: str, strategy: str):
    path = project / "params" / "ncf.yml"
    path.write_text(path.read_text().replace("trials: 8", f"trials: 12, strategy: {strategy}"))
    one, two = (values(search(project, optuna).stdout) for _ in range(2))
    assert one == two
    assert len(set(one)) == 12
    path.write_text(path.read_text().replace("seed: 1", "seed: 2"))
    assert values(search(project, optuna).stdout) != one


def values(printed: str) -> list[str]:
    return re.findall(r"lr: \S+, num_ng: \d", printed)


LEARNS = """
from localcloud.sagemaker import samplers
def row(name, least, most, scale):
    return {"Name": name, "MinValue": least, "MaxValue": most, "ScalingType": scale}
ranges = {
    "ContinuousParameterRanges": [
        row("a", "0.001", "1", "Logarithmic"),
        row("b", "0.1", "0.999", "ReverseLogarithmic"),
    ],
    "IntegerParameterRanges": [row("c", "1", "9", "Linear")],
    "CategoricalParameterRanges": [{"Name": "d", "Values": ["x", "y"]}],
}
limits = {"MaxNumberOfTrainingJobs": 60, "MaxParallelTrainingJobs": 1}
def last(strategy):
    config = {"Strategy": strategy, "RandomSeed": 3, "ResourceLimits": limits}
    sampler, near = samplers.sampler(config, samplers.dimensions(ranges)), []
    for number in range(1, 61):
        values = sampler.ask(number)
        assert 0.001 <= float(values["a"]) <= 1 and 0.1 <= float(values["b"]) <= 0.999
        assert 1 <= int(values["c"]) <= 9 and values["d"] in "xy"
        near.append(abs(int(values["c"]) - 7) + (values["d"] == "x"))
        sampler.tell(number, None if number == 5 else -near[-1])
    return sum(near[30:])
assert last("Bayesian") < last("Random") / 2
"""


@pytest.mark.heavy
def test_localclouds_bayesian_search_learns_from_what_came_before(optuna: str):
    subprocess.run([optuna, "-c", LEARNS], cwd=ROOT, check=True)


@pytest.mark.heavy
def test_a_failed_trial_is_shown_and_the_search_goes_on(project: Path, optuna: str):
    path = project / "params" / "ncf.yml"
    path.write_text(path.read_text().replace("num_ng: {min: 2, max: 6}", "num_ng: {values: [2, 3]}"))
    done = search(project, optuna, "--parallel", "2")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if "/8 " in line]
    failed = [row for row in rows if row.endswith("failed: error: --num_ng: is 2")]
    assert 0 < len(failed) < len(rows) == 8


@pytest.mark.heavy
def test_when_nothing_succeeds_it_gives_up_and_says_why(project: Path, optuna: str):
    (project / "training_code" / "train.py").write_text("raise SystemExit('error: no disk')")
    done = search(project, optuna)
    assert done.returncode == 1
    assert done.stderr == "error: params/ncf.yml: search: none of 5 trials succeeded: error: no disk\n"


@pytest.mark.heavy
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_prints_the_best_so_far_and_leaves_no_process(project: Path, optuna: str, number: int):
    (project / "training_code" / "train.py").write_text(SLOW)
    before = (project / "params" / "ncf.yml").read_text()
    process = subprocess.Popen(
        command(optuna, "--write"), cwd=project, env=environment(project), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    while "2/8 " not in process.stdout.readline():
        assert process.poll() is None
    while len(list((project / "training_code").glob("*.pid"))) < 3:
        assert process.poll() is None
    process.send_signal(number)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert printed.startswith("best of 2: ndcg@10 0.500000 on the validation split, in trial 1\nhyperparameters: {")
    assert all(gone(int(path.stem)) for path in (project / "training_code").glob("*.pid"))
    assert (project / "params" / "ncf.yml").read_text() == before
