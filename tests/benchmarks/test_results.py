"""Medians, ratios, files and reports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import results, training
from benchmarks.errors import BenchmarkError
from benchmarks.options import selected
from benchmarks.trials import able

ROOT = Path(__file__).resolve().parents[2]
RUNS = [
    {"contender": "slow", "round": number, "seconds_per_epoch": seconds, "cpu_seconds": 1.0, "peak_mib": 100.0}
    for number, seconds in ((1, 8.0), (2, 90.0), (3, 10.0))
] + [{"contender": "fast", "round": 1, "seconds_per_epoch": 2.0, "cpu_seconds": 1.0, "peak_mib": 100.0}]


def example() -> dict:
    medians = results.medians(RUNS, training.NUMBERS)
    ratio = {"baseline": "slow", "times_faster": results.ratios(medians, "seconds_per_epoch", "slow")}
    data = {"name": "synthetic", "users": 10, "items": 10, "interactions": 1000}
    settings = {"data": data, "rounds": 3, "epochs": 2, "reference_steps": 50}
    return results.document("training", settings, RUNS, medians=medians, ratio=ratio, left_out={})


def test_medians_are_not_moved_by_one_slow_run():
    assert example()["medians"]["slow"]["seconds_per_epoch"] == 10.0


def test_a_ratio_says_how_many_times_faster():
    assert example()["ratio"] == {"baseline": "slow", "times_faster": {"slow": 1.0, "fast": 5.0}}


def test_without_the_baseline_there_is_no_ratio():
    assert results.ratios(results.medians(RUNS[3:], training.NUMBERS), "seconds_per_epoch", "slow") == {}


def test_the_document_has_the_agreed_parts():
    found = example()
    assert {"machine", "settings", "runs", "ratio"} <= found.keys()
    assert {"cores", "memory_gib", "cpu", "torch"} <= found["machine"].keys()
    assert found["machine"]["cores"] >= 1


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "found.json"
    results.write(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        results.write(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["found.json"]


def report(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.report", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_report_replaces_what_is_between_the_markers_and_nothing_else(tmp_path: Path):
    results.write(tmp_path / "training.json", example())
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results: python -m benchmarks.report -->\nold\n<!-- end of results -->\nafter\n")
    for _ in range(2):  # the second time gives the same
        done = report(tmp_path / "training.json", "--into", page)
        assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("<!-- end of results -->\nafter\n")
    assert "old" not in text
    assert text.count("| fast | 2.00 | 5.0 |") == 1
    assert "extrapolated from 50 steps" in text


def test_a_section_of_a_page_has_its_own_markers(tmp_path: Path):
    results.write(tmp_path / "training.json", example())
    page = tmp_path / "page.md"
    markers = "<!-- results{}: python -m benchmarks.report -->\n{}\n<!-- end of results{} -->\n"
    page.write_text(markers.format("", "old", "") + markers.format(" of serving", "older", " of serving"))
    done = report(tmp_path / "training.json", "--into", page, "--section", "serving")
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "old\n<!-- end of results -->" in text
    assert "older" not in text
    assert text.index("of serving") < text.index("| fast |") < text.index("end of results of serving")


def test_a_file_that_no_benchmark_wrote_is_refused_in_one_line(tmp_path: Path):
    (tmp_path / "other.json").write_text("{}")
    done = report(tmp_path / "other.json")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_missing_peers_are_left_out_with_a_line(capsys: pytest.CaptureFixture[str]):
    chosen, without = able(training.CONTENDERS, peers_there=False)
    assert "this project" in chosen
    assert without.keys() == {name for name, one in training.CONTENDERS.items() if one.peer}
    assert "implicit ALS: left out: .venv-bench is not set up; `make bench`" in capsys.readouterr().err
    assert able(training.CONTENDERS, peers_there=True) == (training.CONTENDERS, {})


def test_when_nobody_is_left_it_says_so():
    with pytest.raises(BenchmarkError, match="nothing is left to run"):
        able({"implicit ALS": training.CONTENDERS["implicit ALS"]}, peers_there=False)


def test_an_unknown_contender_is_named_with_the_right_ones():
    with pytest.raises(BenchmarkError, match=r"fastest: no such name; right is some of: .*this project"):
        selected(training.CONTENDERS, "fastest")
