"""The bench that users run on their own models."""

import json
from pathlib import Path

import pytest
from checkerboard import ARCHIVE
from customers import pack
from endpoint import serving

from serving_code.bench import main

FAST = ["--seconds", "0.1", "--connections", "2"]


def test_it_measures_an_archive_from_its_start_and_writes_what_it_prints(tmp_path: Path, capfd: pytest.CaptureFixture):
    archive = pack(ARCHIVE, tmp_path / "model.tar.gz")
    assert main(["--archive", str(archive), *FAST, "--json", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["what"] for row in found["rows"]] == ["known user", "unknown user", "live-scored", "ranking of 40"]
    assert all(row["answers"] > 0 and row["errors"] == 0 and row["connections"] == 2 for row in found["rows"])
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in found["rows"])
    assert (found["server"]["start_seconds"] > 0, found["server"]["resident_mb"] > 10) == (True, True)
    assert "known user" in capfd.readouterr().out


def test_it_asks_a_running_endpoint_and_counts_what_is_not_200(tmp_path: Path, capfd: pytest.CaptureFixture):
    with serving(ARCHIVE, tmp_path) as running:
        url = f"http://127.0.0.1:{running.port}"
        assert main(["--url", url, *FAST]) == 0
        assert main(["--url", f"{url}/models/none/invoke", *FAST, "--json", str(tmp_path / "found.json")]) == 1
    (row,) = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert (row["what"], row["answers"], row["errors"] > 0, row["p50_ms"]) == ("unknown user", 0, True, None)
    assert main(["--url", url, *FAST]) == 1
    assert "does not answer" in capfd.readouterr().err


def test_what_cannot_be_measured_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture):
    (tmp_path / "users.json").write_text("[]")
    (tmp_path / "items.json").write_text("[]")
    for given in ([], ["--url", "https://x"], ["--archive", str(tmp_path / "none")], ["--archive", str(tmp_path)]):
        assert main([*given, *FAST]) == 1
        said = capfd.readouterr().err.splitlines()
        assert said[-1].startswith("error: --")
