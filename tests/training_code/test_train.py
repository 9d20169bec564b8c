import hashlib
import json
import re
import shutil
import warnings
from pathlib import Path

import checkerboard as board
import numpy as np
import onnxruntime
import pytest
from checkerboard import ARCHIVE, ROOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing torch warns of what is not ours
    import torch

import archive
import train
from dataset import TrainingError
from fitting import begin, step
from models import MODELS
from ncf import NCF
from networks import Generalised, Network, Shape
from settings import Settings

EPOCH_LINE = re.compile(r"HR=([0-9.]+); NDCG=([0-9.]+); Loss=([0-9.]+);")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board.prepared(tmp_path_factory.mktemp("board"))


def first_choices(model: Path) -> list[str]:
    """For each user the best item it has not seen, by score.onnx."""
    users, items = (json.loads((model / f"{name}.json").read_text()) for name in ("users", "items"))
    session = onnxruntime.InferenceSession((model / "score.onnx").read_bytes())
    scores = session.run(None, {"user": np.arange(len(users))})[0]
    offsets, seen = np.load(model / "seen_offsets.npy"), np.load(model / "seen_items.npy")
    for user in range(len(users)):
        scores[user, seen[offsets[user] : offsets[user + 1]]] = -1
    return [items[item] for item in scores.argmax(axis=1)]


def test_one_job_writes_an_archive_of_each_model(prepared: Path, tmp_path: Path):
    done = board.trained(prepared, tmp_path / "model", models="neumf,als,ease")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["als.tar.gz", "ease.tar.gz", "neumf.tar.gz"]
    assert len(EPOCH_LINE.findall(done.stdout)) == board.HYPERPARAMETERS["neumf"]["epochs"]
    measured = {"neumf": {"loss", "validation hr@10", "validation ndcg@10"}, "als": {"als loss"}, "ease": set()}
    for name, curves in measured.items():
        one = board.unpacked(tmp_path / "model" / f"{name}.tar.gz", tmp_path / name)
        assert first_choices(one) == [f"i{user:02}" for user in range(board.SIZE)]
        manifest = json.loads((one / "manifest.json").read_text())
        assert manifest["model"] == name
        assert {"hr@10", "ndcg@10"} <= set(manifest["validation"])
        assert set(manifest.get("curves", ())) == curves


def test_f27_a_model_that_fails_is_listed_and_the_others_are_written(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(MODELS, "exploding", Exploding)  # the registry is where a new model goes
    given = ["--train-dir", str(prepared / "train"), "--model-dir", str(tmp_path / "model"), "--als_factors", "4"]
    assert train.main([*given, "--models", "exploding,als"]) == 0
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["als.tar.gz", "failures.json"]
    failures = json.loads((tmp_path / "model" / "failures.json").read_text())
    assert list(failures) == ["exploding"]
    assert failures["exploding"].startswith("the loss became nan")
    assert "failed exploding: the loss became nan" in capsys.readouterr().err


def test_f25_the_program_runs_alone_and_twice_gives_the_same_bytes(prepared: Path, tmp_path: Path):
    shutil.copytree(ROOT / "training_code", tmp_path / "alone")
    given = {"SM_CHANNEL_TRAIN": str(prepared / "train")}
    for model in ("one", "two"):
        arguments = ["--epochs", "2", "--factor_num", "4", "--dropout", "0.1", "--seed", "7"]
        done = board.run(tmp_path / "alone" / "train.py", arguments, **given, SM_MODEL_DIR=str(tmp_path / model))
        assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["neumf.tar.gz"]
    assert (tmp_path / "one" / "neumf.tar.gz").read_bytes() == (tmp_path / "two" / "neumf.tar.gz").read_bytes()


def test_the_committed_archive_is_what_training_writes(prepared: Path, tmp_path: Path):
    assert board.trained(prepared, tmp_path).returncode == 0
    new = board.unpacked(tmp_path / "neumf.tar.gz", tmp_path / "new")
    fresh, kept = (json.loads((folder / "manifest.json").read_text()) for folder in (new, ARCHIVE))
    for name in ("schema_version", "dataset", "data_from", "data_through", "counts", "model", "hyperparameters"):
        assert fresh[name] == kept[name]
    for name in ("users.json", "items.json", "popularity.npy", "seen_offsets.npy", "seen_items.npy"):
        assert (new / name).read_bytes() == (ARCHIVE / name).read_bytes()
    assert first_choices(ARCHIVE) == first_choices(new)


def test_the_manifest_lists_every_file_with_its_digest_and_nothing_of_its_run():
    manifest = json.loads((ARCHIVE / "manifest.json").read_text())
    assert set(manifest["files"]) == {path.name for path in ARCHIVE.iterdir()} - {"manifest.json"}
    for name, said in manifest["files"].items():
        content = (ARCHIVE / name).read_bytes()
        assert said == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert not {"run_id", "created", "commit", "version"} & set(manifest)
    assert manifest["data_through"] < "2026-06-22"


def test_golden_answers_are_those_of_the_graph():
    session = onnxruntime.InferenceSession((ARCHIVE / "score.onnx").read_bytes())
    users, items = (json.loads((ARCHIVE / f"{name}.json").read_text()) for name in ("users", "items"))
    lines = [json.loads(line) for line in (ARCHIVE / "golden.jsonl").read_text().splitlines()]
    assert [line["request"]["userId"] for line in lines][-1] not in users
    for line in lines[:-1]:
        row = session.run(None, {"user": np.array([users.index(line["request"]["userId"])])})[0][0]
        assert [row[items.index(item)] for item in line["itemIds"]] == pytest.approx(line["scores"], abs=1e-5)


class Infinite(torch.nn.Module):
    """A part whose every logit is infinite once it is asked in training."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(shape.users))

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return (self.weight[users, None] * torch.inf).expand(items.shape)

    def arrays(self) -> dict:
        return {}


class Exploding(NCF):
    parts = (Infinite,)


def test_f24_a_loss_that_is_not_finite_stops_at_once_and_saves_nothing(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(MODELS, "exploding", Exploding)
    arguments = ["--train-dir", prepared / "train", "--model-dir", tmp_path / "model", "--models", "exploding"]
    assert train.main([str(one) for one in arguments]) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1].startswith("error: exploding: the loss became nan; a smaller lr than")
    assert not EPOCH_LINE.search(printed.out)
    assert not (tmp_path / "model").exists()


def test_f24_the_first_batch_that_is_not_finite_ends_the_epoch():
    shape = Shape(2, 3, 2, 1, 0.0)
    network = Network(torch.full((3,), float("nan")), [Generalised(shape)])
    state = begin(network, Settings())
    with pytest.raises(TrainingError, match="the loss became nan"):
        step(state, torch.tensor([0, 1]), torch.tensor([[0, 1], [1, 2]]), Settings())
    with pytest.raises(TrainingError, match="not finite"):
        network.arrays()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--lr", "0"], "--lr: is 0; right is from 1e-09 to 1"),
        (["--dropout", "1"], "--dropout: is 1"),
        (["--num_layers", "8", "--factor_num", "64"], "--num_layers: factor_num"),
        (["--epochs", "0"], "--epochs: is 0; right is from 1 to 10000"),
        (["--epochs", "1.5"], "argument --epochs: invalid int value"),
        (["--models", "bert"], "argument --models: 'bert' is wrong; right is each of gmf, mlp,"),
        (["--models", "als,als"], "argument --models: 'als,als' is wrong"),
        (["--sampling", "local"], "argument --sampling: invalid choice: 'local'"),
        (["--sampling", "class"], "--sampling: class needs items with a category"),
        (["--model-dir", ""], "argument --model-dir: is empty; name a folder"),
        (["--train-dir", "/nowhere"], "/nowhere: not a training channel"),
    ],
)
def test_an_argument_that_is_wrong_is_named(more: list[str], said: str, prepared: Path, tmp_path: Path, capsys):
    given = ["--train-dir", str(prepared / "train"), "--model-dir", str(tmp_path / "model"), *more]
    try:
        code = train.main(given)
    except SystemExit as ended:  # argparse's own way
        code = ended.code
    assert code in {1, 2}
    assert said in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_folder_that_nobody_named_is_asked_for(tmp_path: Path):
    done = board.run(ROOT / "training_code" / "train.py", ["--train-dir", str(tmp_path)])
    assert (done.returncode, done.stderr) == (
        1,
        "error: --model-dir: not given; name a folder here or in SM_MODEL_DIR\n",
    )


def test_f15_a_full_disk_is_one_line_and_leaves_no_archive(prepared: Path, tmp_path: Path):
    given = ["--train-dir", str(prepared / "train"), "--model-dir", str(tmp_path / "model"), "--models", "ease"]
    done = board.run_out_of_disk(ROOT / "training_code" / "train.py", given, 4000)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert "too large" in done.stderr.lower()
    assert not list((tmp_path / "model").glob("*.tar.gz"))


def test_f15_an_archive_gets_its_name_when_it_is_whole(tmp_path: Path):
    (tmp_path / "members").mkdir()
    for number in range(4):
        (tmp_path / "members" / str(number)).write_bytes(np.random.default_rng(number).bytes(1000))
    with board.full_disk(2000), pytest.raises(OSError, match="too large"):
        archive.pack(tmp_path / "members", tmp_path / "model.tar.gz")
    assert not (tmp_path / "model.tar.gz").exists()
