"""The benchmarks from the command line, on synthetic data."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = {name: value for name, value in os.environ.items() if name != "ML1M_DIR"}


def command(module: str, *words: str | Path) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]


def run(module: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(module, *words), cwd=ROOT, env=WITHOUT, capture_output=True, text=True, check=False)


def found(path: Path, done: subprocess.CompletedProcess[str]) -> dict:
    assert done.returncode == 0, done.stderr
    content = json.loads(path.read_text())
    assert {"benchmark", "machine", "settings", "runs", "ratio"} <= content.keys()
    assert all(one["cpu_seconds"] > 0 and one["peak_mib"] > 10 for one in content["runs"])
    return content


@pytest.mark.heavy
def test_training_is_measured_side_by_side(tmp_path: Path):
    names = "reference (4 workers),this project"
    done = run("training", "--quick", "--contenders", names, "--json", tmp_path / "one.json")
    content = found(tmp_path / "one.json", done)
    assert [one["contender"] for one in content["runs"]] == names.split(",")
    assert content["ratio"]["times_faster"]["this project"] > 1
    assert "| this project |" in done.stdout
    assert "[2/2] this project, round 1 of 1" in done.stderr


@pytest.mark.heavy
def test_quality_proposes_by_validation_and_compares_with_als(tmp_path: Path):
    done = run("quality", "--quick", "--models", "popularity,ALS,EASE", "--json", tmp_path / "one.json")
    part = found(tmp_path / "one.json", done)["found"]["synthetic"]
    assert part["medians"]["EASE"]["ndcg@10"] > part["medians"]["popularity"]["ndcg@10"]
    judged = {name: one["validation"] for name, one in part["medians"].items() if "validation" in one}
    assert part["proposed"] == max(judged, key=judged.get)
    interval = part["intervals"]["EASE"]["ndcg@10"]
    assert interval["low"] <= interval["value"] <= interval["high"]


@pytest.mark.heavy
def test_preparation_is_measured_on_equal_work(tmp_path: Path):
    content = found(tmp_path / "one.json", run("preparation", "--quick", "--json", tmp_path / "one.json"))
    duckdb, pandas = content["medians"]["DuckDB"], content["medians"]["pandas"]
    assert duckdb["train"] == pandas["train"] > 0


@pytest.mark.heavy
def test_scaling_says_what_grew_with_what(tmp_path: Path):
    content = found(tmp_path / "one.json", run("scaling", "--quick", "--json", tmp_path / "one.json"))
    grown = content["ratio"]["0.1 million"]
    assert 3 < grown["interactions"] < grown["users_times_items"]
    assert all(one["steps"] <= 3 and one["samples_per_second"] > 0 for one in content["runs"])


def test_an_interrupted_benchmark_writes_nothing_and_leaves_no_process(tmp_path: Path):
    words = command("training", "--quick", "--contenders", "reference (4 workers)", "--json", tmp_path / "one.json")
    environment = {**WITHOUT, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    while "[1/1]" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.5)  # into the contender's own start
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "interrupted: nothing was written\n"
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "ml-1m"], "ML1M_DIR: is not set; name the folder"),
        (["--data", "nowhere"], "--data: nowhere is no data set's name"),
        (["--contenders", "fastest"], "fastest: no such name"),
    ],
)
def test_a_wrong_argument_is_one_line(words: list[str], message: str):
    done = run("training", *words)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.heavy
def test_the_peers_train_on_the_same_arrays(tmp_path: Path):
    subprocess.run(["make", f"PYTHON={sys.executable}", ".venv-bench/ready"], cwd=ROOT, check=True)
    names = "reference (4 workers),RecBole NeuMF (batch 10240),implicit ALS"
    done = run("training", "--quick", "--contenders", names, "--json", tmp_path / "one.json")
    medians = found(tmp_path / "one.json", done)["medians"]
    assert medians["implicit ALS"]["hr@10 after 1"] > 0.1  # chance
    recbole = medians["RecBole NeuMF (batch 10240)"]  # an epoch is one step here: too few to learn from
    assert recbole["seconds_per_epoch"] > 0
    assert 0 <= recbole["hr@10 after 1"] <= 1
