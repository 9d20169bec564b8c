import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import schema
from pipelines.__main__ import main

ROOT = Path(__file__).parent.parent.parent


def pipelines(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipelines", *arguments]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)


def edit(home: Path, old: str, new: str) -> None:
    path = home / "params" / "ncf.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_dry_run_prints_only_the_definitions(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    assert main(["run", "--all", "--dry-run"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert [step["Name"] for step in json.loads(printed.out)["Steps"]] == ["Prepare", "Train", "Evaluate", "Gate"]
    (home / "params" / "other.yml").write_text((home / "params" / "ncf.yml").read_text())
    assert main(["run", "--all", "--dry-run"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"ncf", "other"}


def test_from_another_folder_the_definition_is_the_same_byte_for_byte(home: Path, tmp_path_factory):
    inside = pipelines(home, "run", "params/ncf.yml", "--dry-run").stdout
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipelines", "run", str(home / "params" / "ncf.yml"), "--dry-run"]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == inside


@pytest.mark.parametrize("arguments", [("run",), ("run", "--dry-run"), ("validate",)])
def test_an_unknown_key_is_one_line_and_exit_code_1(home: Path, arguments: tuple[str, ...]):
    edit(home, "epochs:", "epoch:")
    done = pipelines(home, *arguments, "params/ncf.yml")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "error: params/ncf.yml: hyperparameters.epoch: unknown key; did you mean epochs?\n"


def test_a_missing_params_file_names_the_nearest(home: Path):
    done = pipelines(home, "run", "params/nfc.yml", "--dry-run")
    assert (done.returncode, done.stderr) == (1, "error: params/nfc.yml: no such file; did you mean params/ncf.yml?\n")


def test_a_missing_data_lock_is_named(home: Path):
    (home / "params" / "ncf.data.yml").unlink()
    done = pipelines(home, "run", "--all")
    assert done.returncode == 1
    assert done.stderr.startswith("error: params/ncf.data.yml: no such file")


def test_all_stops_at_the_first_wrong_file_before_anything_starts(home: Path):
    (home / "params" / "other.yml").write_text(
        (home / "params" / "ncf.yml").read_text().replace("epochs: ", "epochs: -")
    )
    done = pipelines(home, "run", "--all")
    assert done.returncode == 1
    assert "params/other.yml: hyperparameters.epochs" in done.stderr


def test_a_real_run_without_an_account_says_which_variables_are_missing(home: Path):
    done = pipelines(home, "run", "params/ncf.yml")
    assert done.returncode == 1
    assert done.stderr.startswith("error: environment: ACCOUNT_ID, ARTIFACT_BUCKET")


def test_validate_says_what_it_looked_at(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    assert main(["validate", "--all"]) == 0
    assert capsys.readouterr().out == "params/ncf.yml: valid; 2 partitions, 4 steps\n"


def test_help_starts_without_the_sdk(home: Path):
    code = "import sys; from pipelines.__main__ import parser; parser(); sys.exit('sagemaker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_f54_no_params_value_reaches_a_shell(home: Path):
    canary = home / "canary"
    edit(home, "household_id", f'"$(touch {canary})"')
    assert pipelines(home, "run", "--all", "--dry-run").returncode == 1
    assert not canary.exists()


def test_the_editors_schemas_are_current():
    for name, text in schema.texts().items():
        shipped = (ROOT / schema.FOLDER / name).read_text()
        assert shipped == text, "run `python -m pipelines schema`"
