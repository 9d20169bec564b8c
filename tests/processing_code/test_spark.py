"""Spark for real (needs Java 17): what it prepares is what DuckDB prepares, byte for byte."""

import datetime
import json
import os
import shutil
import subprocess
from pathlib import Path

import checkerboard as board
import numpy as np
import prepared
import pyarrow as pa
import pytest
from checkerboard import ROOT

from tests.environments import python_with

pytestmark = pytest.mark.heavy
# one process for all cases: starting Spark takes longer than they do
DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from prepare import prepare
from problems import ProcessingError
for folder, words in json.loads(sys.argv[2]).items():
    for engine in ("duckdb", "spark"):
        places = [f"--{name}-dir={folder}/{name}" for name in ("lock", "data")]
        places += [f"--{name}-dir={folder}/{engine}/{name}" for name in ("train", "holdout", "report")]
        try:
            prepare([*places, "--engine", engine, "--as-of", "2026-07-01", *words])
        except ProcessingError as error:
            open(f"{folder}/{engine}.txt", "w").write(str(error))
"""
PLAIN = ("--columns", json.dumps(board.COLUMNS))
LABELLED = ("--columns", json.dumps({**board.COLUMNS, "segment": "age", "category": "aisle"}))


def poisoned(folder: Path) -> None:
    """Good and bad rows of every kind, in columns of every type."""
    random = np.random.default_rng(5)
    good = random.integers(0, 30, (600, 2))
    texts = [
        "",
        " ",
        "nan",
        "None",
        "-5",
        "-5.5",
        "-x",
        "x" * 400,
        "é",
        "日本",
        "a,b",
        'q"q',
        None,
        "5",
        "07",
        "\u00a0",
    ]
    times = ["2026-06-01", "2026-06-31", "2026-06-01T24:00:00", "2026-06-01T10:00:00+02:00", "2026-06-01 10:00:00-0230",
             "infinity", "epoch", "now", "1780272000", "1780272000.25", "20260601", "2026-06", "1969-12-31 23:59:59",
             "2031-01-01", "", None, " 2026-06-02 ", "2026-06-01 00:00:00.123456789", "2026-06-01T00:00Z"]  # fmt: skip
    day = board.MONDAY
    tables = [
        pa.table({"who": [f"u{user}" for user, _ in good], "what": [f"i{item}" for _, item in good],
                  "at": [day + datetime.timedelta(minutes=int(m)) for m in random.integers(0, 40_000, 600)]}),
        pa.table({"who": texts, "what": ["i1"] * len(texts), "at": ["2026-06-03"] * len(texts)}),
        pa.table({"who": ["u1"] * len(times), "what": ["i2"] * len(times), "at": times}),
        pa.table({"who": [1.0, 2.5, float("nan"), float("inf"), -3.0, 1e16, None], "what": [1, 2, 3, 4, 5, 6, 7],
                  "at": [1.7802e9, 0.5, -1.0, float("nan"), 1e300, 1.78e9, 1.78e9]}),
        pa.table({"who": [[1], [2]], "what": [True, False], "at": [day] * 2}),
        pa.table({"who": [b"u1", b"\xff\xfe"], "what": ["i1", "i2"],
                  "at": pa.array([1_780_300_000_000_000_001, 2**62], pa.timestamp("ns", "Europe/Paris"))}),
        pa.table({"who": pa.array(["u1", "u2"]).dictionary_encode(), "what": pa.array([1, 2**64 - 1], pa.uint64()),
                  "at": pa.array([20605, -800_000], pa.date32())}),
    ]  # fmt: skip
    board.write_partitions(folder, tables)


def separated(folder: Path) -> None:
    """CSV: quotes, line breaks, torn lines, bytes that are no text."""
    lines = [b"at,who,what"]
    lines += [f"{time:%Y-%m-%dT%H:%M:%S},{user},{item}".encode() for user, item, time in board.rows()]
    lines += [
        b"torn",
        b"too,many,fields,here",
        b'2026-06-02,"a ""b"", c","i\n1"',
        b"2026-06-02,\xff,i1",
        b"1780272000,u1,i1",
    ]
    content = b"\r\n".join(lines) + b"\r\n"
    prepared.write_lock(folder, {"raw/toy/part-0.csv": content}, [len(lines) - 1])


def labelled(folder: Path) -> None:
    random = np.random.default_rng(6)
    rows = board.rows()
    ages, aisles = (random.choice(["b", "a", " c ", "", "x" * 99], len(rows)).tolist() for _ in range(2))
    table = board.table(rows).append_column("age", pa.array(ages)).append_column("aisle", pa.array(aisles))
    board.write_partitions(folder, [table, table.slice(0, 30)])


def short(folder: Path) -> None:
    prepared.write_lock(folder, {"raw/toy/part-0.csv": b"at,who,what\n1,2,3\n"}, [7])


CASES = {
    "poisoned": (poisoned, (*PLAIN, "--max-bad-ratio", "1", "--holdout-days", "5", "--folds", "3")),
    "leave one out": (
        poisoned,
        (*PLAIN, "--max-bad-ratio", "1", "--split", "leave_one_out", "--max-user-share", "0.04"),
    ),
    "csv": (separated, (*PLAIN, "--max-bad-ratio", "0.1", "--min-item-users", "2")),
    "labelled": (labelled, LABELLED),
}
REFUSED = {"short": (short, PLAIN)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each case, prepared by both engines."""
    if not shutil.which("java"):
        pytest.skip("Spark needs Java 17; none is on PATH")
    found, work = {}, {}
    for name, (write, words) in {**CASES, **REFUSED}.items():
        found[name] = tmp_path_factory.mktemp(name)
        write(found[name])
        work[str(found[name])] = words
    python = python_with("spark")
    command = [python, "-W", "error", "-c", DRIVER, str(ROOT / "processing_code"), json.dumps(work)]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_spark_and_duckdb_write_the_same_bytes(case: str, folders: dict[str, Path]):
    first, second = (files(folders[case] / engine) for engine in ("duckdb", "spark"))
    assert len(first) == 8
    assert {name for name in first if first[name] != second.get(name)} == set()
    assert first.keys() == second.keys()


@pytest.mark.parametrize("case", REFUSED)
def test_spark_and_duckdb_refuse_in_the_same_words(case: str, folders: dict[str, Path]):
    first, second = ((folders[case] / f"{engine}.txt").read_text() for engine in ("duckdb", "spark"))
    assert first == second


def test_the_cases_have_bad_rows_of_many_kinds(folders: dict[str, Path]):
    manifests = (json.loads((folders[case] / "spark/report/manifest.json").read_text()) for case in CASES)
    reasons = {reason for manifest in manifests for reason in manifest["quarantine"]}
    assert len(reasons) >= 8
    assert "user has more than max_user_share of all rows" in reasons
