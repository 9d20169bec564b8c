import io
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import archive
import checkerboard as board
import numpy as np
import pytest
import snapshot
import torch
from checkerboard import ROOT
from checkpoints import Checkpoints, Slot, code_digest, opened
from dataset import Dataset
from fitting import begin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_contract import checkerboard
from models import fit
from networks import Generalised, Network, Shape
from run import Run
from settings import Settings
from validation import Epoch, Split, Validation, Watch

TINY = Settings(**{**board.SMALL, "epochs": 3, "factor_num": 2, "dropout": 0.1, "als_factors": 4})
DATA = checkerboard()
NETWORK = Network(torch.zeros(3), [Generalised(Shape(2, 3, 2, 1, 0.0))])
NONE = np.zeros(0, dtype=np.int64)
NOBODY = Split(DATA, Validation(NONE, NONE, NONE[:, None]))


class Interrupted(BaseException):
    """The machine is taken away: nothing in training catches it."""


def fitted(name: str, path: Path, given: Settings, folder: Path | None = None, last: int = 99) -> bytes:
    """The archive of a model; interrupted after reporting its epoch `last`."""

    def report(epoch: Epoch) -> None:
        if epoch.number == last:
            raise Interrupted

    run = Run(slots=opened(folder, DATA, given, "1").trainings(name))
    found = fit(name, DATA, given, report, run)
    archive.write(path, DATA, found.model, {"model": name, "curves": found.curves})
    return path.read_bytes()


LAST_COUNTS = {"validation_days": 1}  # all of the board is younger, so nobody is asked, and the last epoch is the best


@pytest.mark.parametrize(
    ("name", "changes"), [("neumf", LAST_COUNTS), ("neumf_pretrained", {}), ("neumf_pretrained", {"pretrain": "parts"})]
)
def test_f25_a_training_that_is_interrupted_after_any_epochs_ends_with_the_same_bytes(
    name: str, changes: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = replace(TINY, **changes)
    whole = fitted(name, tmp_path / "whole", given)
    for last in (1, 3):  # each goes on where the one before was interrupted
        with pytest.raises(Interrupted):
            fitted(name, tmp_path / "never", given, tmp_path / "checkpoints", last)
    assert fitted(name, tmp_path / "parts", given, tmp_path / "checkpoints") == whole
    assert "goes on after epoch 2" in capsys.readouterr().out


def arguments(prepared: Path, model_dir: Path, *more: str, models: str = "als,neumf") -> list[str]:
    folders = ["--train-dir", str(prepared / "train"), "--model-dir", str(model_dir)]
    given = ["--epochs", "8", "--patience", "0", "--factor_num", "2", "--dropout", "0.1", "--batch_size", "128"]
    return [*folders, "--models", models, *given, "--als_factors", "4", *more]


def killed_after(words: str, given: list[str]) -> str:
    """Run training and kill it as soon as it prints the words; what it printed until then."""
    command = [sys.executable, "-u", str(ROOT / "training_code" / "train.py"), *given]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    printed = ""
    for line in process.stdout:
        printed += line
        if words in line:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, printed
    return printed


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board.prepared(tmp_path_factory.mktemp("board"))


def test_f25_a_killed_job_goes_on_and_its_archives_are_the_same_to_the_byte(prepared: Path, tmp_path: Path):
    train = ROOT / "training_code" / "train.py"
    assert board.run(train, arguments(prepared, tmp_path / "whole")).returncode == 0
    (tmp_path / "base" / "checkpoints").mkdir(parents=True)
    epoch = random.randint(1, 7)
    more = ["--checkpoint-dir", str(tmp_path / "base" / "checkpoints")]
    killed_after(f"neumf epoch {epoch}:", arguments(prepared, tmp_path / "killed", *more))
    given = arguments(prepared, tmp_path / "model")
    done = board.run(train, given, SAGEMAKER_BASE_DIR=str(tmp_path / "base"))  # the default folder is SageMaker's
    assert (done.returncode, done.stderr) == (0, "")
    assert "als: was finished before" in done.stdout
    assert "neumf.0: goes on after epoch" in done.stdout
    assert "neumf epoch 1:" not in done.stdout or epoch == 1
    assert (tmp_path / "whole" / "neumf.tar.gz").read_bytes() == (tmp_path / "model" / "neumf.tar.gz").read_bytes()
    assert (tmp_path / "whole" / "als.tar.gz").read_bytes() == (tmp_path / "model" / "als.tar.gz").read_bytes()
    left = sorted(path.name for path in (tmp_path / "base" / "checkpoints").iterdir())
    assert left == ["als.archive.checkpoint", "neumf.archive.checkpoint"]


@pytest.mark.heavy
def test_f25_a_job_killed_at_any_moment_again_and_again_ends_with_the_same_bytes(prepared: Path, tmp_path: Path):
    train, models = ROOT / "training_code" / "train.py", "als,neumf,mlp"
    assert board.run(train, arguments(prepared, tmp_path / "whole", models=models)).returncode == 0
    given = arguments(prepared, tmp_path / "model", "--checkpoint-dir", str(tmp_path / "at"), models=models)
    for _ in range(12):
        process = subprocess.Popen([sys.executable, str(train), *given], stdout=subprocess.DEVNULL)
        try:
            process.wait(random.uniform(2, 8))
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
    assert board.run(train, given).returncode == 0
    for name in models.split(","):
        archives = [(tmp_path / where / f"{name}.tar.gz").read_bytes() for where in ("whole", "model")]
        assert archives[0] == archives[1]


def other_data() -> Dataset:
    return replace(DATA, item=DATA.item[::-1].copy())


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ((other_data(), TINY, "1"), "is of other data; neumf.0 starts anew"),
        ((DATA, replace(TINY, lr=0.5), "1"), "is of other settings; neumf.0 starts anew"),
        ((DATA, TINY, "2"), "is of other machines; neumf.0 starts anew"),
    ],
)
def test_f25_a_checkpoint_of_something_else_is_not_gone_on_from(
    other: tuple[Dataset, Settings, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    next(opened(tmp_path, DATA, TINY, "1").trainings("neumf")).write(b"content")
    assert next(opened(tmp_path, DATA, TINY, "1").trainings("neumf")).read() == b"content"
    assert next(opened(tmp_path, *other).trainings("neumf")).read() == b""
    assert said in capsys.readouterr().err


def test_a_checkpoint_of_other_code_is_not_gone_on_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    copied = shutil.copytree(ROOT / "training_code", tmp_path / "code")
    mine = code_digest(copied)
    assert mine == code_digest(ROOT / "training_code")
    with (copied / "als.py").open("a") as file:
        file.write("# changed\n")
    Checkpoints(tmp_path, {"code": mine}).archive("als").write(b"content")
    assert Checkpoints(tmp_path, {"code": code_digest(copied)}).archive("als").read() == b""
    assert "is of other code; als.archive starts anew" in capsys.readouterr().err


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.integers(0, 10_000), cut=st.booleans())
def test_f10_a_damaged_checkpoint_is_not_gone_on_from(where: int, cut: bool, tmp_path: Path):
    slot = Slot("neumf.0", tmp_path, {"data": "1"})
    slot.write(b"content" * 10)
    path = tmp_path / "neumf.0.checkpoint"
    whole = path.read_bytes()
    place = where % len(whole)
    path.write_bytes(whole[:place] if cut else whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert slot.read() == b""


def test_f10_who_is_killed_while_writing_leaves_the_checkpoint_before(tmp_path: Path):
    slot = Slot("neumf.0", tmp_path, {})
    slot.write(b"before")
    with board.full_disk(100), pytest.raises(OSError, match="too large"):
        slot.write(b"after" * 100)
    assert slot.read() == b"before"
    slot.write(b"after")
    assert slot.read() == b"after"
    assert [path.name for path in tmp_path.iterdir()] == ["neumf.0.checkpoint"]


def test_f56_a_checkpoint_that_would_execute_something_is_refused():
    content = io.BytesIO()
    np.savez(content, facts=np.array([{"epoch": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        snapshot.restore(content.getvalue(), begin(NETWORK, TINY), Watch(NOBODY, TINY, lambda epoch: None))


def test_a_folder_that_cannot_be_written_fails_the_job_in_one_line(prepared: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    more = ["--checkpoint-dir", str(tmp_path / "file" / "below")]
    done = board.run(ROOT / "training_code" / "train.py", arguments(prepared, tmp_path / "model", *more))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: [Errno 20] Not a directory")
