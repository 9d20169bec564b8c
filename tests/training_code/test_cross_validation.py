import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import checkerboard as board
import cross_validation
import numpy as np
import progress
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset import TrainingError
from model_contract import checkerboard
from settings import Settings

SETTINGS = Settings(als_factors=4, als_reg=0.01)


def test_each_fold_is_judged_by_a_model_that_never_saw_it():
    data = checkerboard()
    found = cross_validation.cross_validate("als", replace(data, fold=np.arange(len(data.user)) % 3), SETTINGS)
    assert len(found) == 3
    assert all(quality.hr == 1.0 for quality in found)


def test_data_without_folds_is_refused():
    with pytest.raises(TrainingError, match="the data has no folds"):
        cross_validation.cross_validate("als", checkerboard(), SETTINGS)


def test_the_job_writes_metrics_of_each_fold_as_csv_and_json(tmp_path: Path):
    prepared = board.prepared(tmp_path)
    path = prepared / "train" / "interactions.parquet"
    table = pq.read_table(path)
    fold = pa.array(np.arange(table.num_rows) % 2, pa.int8())
    pq.write_table(table.append_column("fold", fold), path)
    more = ["--cross_validate", "true", "--output-dir", str(tmp_path / "output")]
    done = board.trained(prepared, tmp_path / "model", *more, models="als,ease")
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader((tmp_path / "output" / "folds.csv").read_text().splitlines()))
    assert [(row["model"], row["fold"]) for row in rows] == [("als", "0"), ("als", "1"), ("ease", "0"), ("ease", "1")]
    document = json.loads((tmp_path / "output" / "folds.json").read_text())
    assert set(document) == {"als", "ease"}
    assert document["als"]["folds"][1]["ndcg@10"] == float(rows[1]["ndcg@10"])
    assert document["als"]["mean"]["hr@10"] == np.mean([float(row["hr@10"]) for row in rows[:2]])
    assert (tmp_path / "model" / "als.tar.gz").is_file()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar_that_goes_away_and_a_log_sees_nothing():
    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        progress.show("epoch 1", 0.5, stream)
        progress.show("epoch 1", 1.0, stream)
    drawn = terminal.getvalue().split("\r")
    assert drawn[1] == f"epoch 1 [{'#' * 15}{'.' * 15}]  50%"
    assert not drawn[2].strip()
    assert log.getvalue() == ""
