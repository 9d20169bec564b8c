import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from checkerboard import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import ProcessingError
from quality import quality, read_metrics, write_metrics

PROGRAM = ROOT / "processing_code" / "quality.py"


def converted(tmp_path: Path, text: str, *more: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "metrics.csv").write_text(text, encoding="utf-8")
    command = [sys.executable, str(PROGRAM), "--metrics", str(tmp_path / "metrics.csv")]
    return subprocess.run(
        [*command, "--output", str(tmp_path / "out.json"), *more], capture_output=True, text=True, check=False
    )


def test_a_teams_own_csv_becomes_model_quality_json_from_the_command_line(tmp_path: Path):
    done = converted(tmp_path, "value,metric,comment\n0.81,auc,of the month\n,lost,\nNaN,odd,\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "version": 0.0,
        "dataset": {"item_count": 0},
        "regression_metrics": {
            "auc": {"value": 0.81, "standard_deviation": None},
            "lost": {"value": None, "standard_deviation": None},
            "odd": {"value": None, "standard_deviation": None},
        },
    }


def test_of_several_models_one_is_named(tmp_path: Path):
    text = "model,metric,value,standard deviation,n\nals,hr@10,0.2,0.01,500\nneumf,hr@10,0.3,0.02,400\n"
    assert converted(tmp_path, text, "--model", "neumf").returncode == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["regression_metrics"] == {"hr@10": {"value": 0.3, "standard_deviation": 0.02}}
    assert found["dataset"]["item_count"] == 400
    unnamed = converted(tmp_path, text)
    assert (unnamed.returncode, unnamed.stderr) == (1, "error: the CSV is of several models; name one of als, neumf\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no metric; right is a header with metric,value"),
        ("metric,value\n", "has no metric"),
        ("metric,amount\nauc,1\n", "has no value"),
        ("metric,value\nauc,1\nauc,2\n", "metric 'auc' is empty or there twice"),
        ("metric,value\n,1\n", "metric '' is empty or there twice"),
        ("model,metric,value\nals,auc,1\n", "no row is of model 'neumf'; right is one of als"),
    ],
)
def test_a_csv_that_says_nothing_clear_is_refused_in_one_line(text: str, said: str, tmp_path: Path):
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(ProcessingError, match=said):
        quality(read_metrics(tmp_path / "metrics.csv"), "neumf" if text.startswith("model") else None)


def test_a_csv_that_is_not_there_or_not_text_is_refused(tmp_path: Path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00metric")
    for name in ("nowhere.csv", "binary.csv"):
        with pytest.raises(ProcessingError, match="not a CSV file"):
            read_metrics(tmp_path / name)


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9).map(str.strip).filter(bool)


@given(st.dictionaries(NAMES, st.floats(), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read_back_to_the_last_digit(tmp_path_factory: pytest.TempPathFactory, values: dict):
    path = tmp_path_factory.mktemp("csv") / "metrics.csv"
    write_metrics(path, [{"model": "m", "metric": name, "value": value, "n": 7} for name, value in values.items()])
    found = quality(read_metrics(path), "m")
    assert found["dataset"]["item_count"] == 7
    assert {name: one["value"] for name, one in found["regression_metrics"].items()} == {
        name: value if math.isfinite(value) else None for name, value in values.items()
    }
