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

import train
from archive import FILES
from dataset import Dataset, TrainingError, draw_negatives, load, seen_bitmap, split
from fitting import Settings, run_epoch
from networks import NETWORKS, Network, Shape

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


@pytest.mark.parametrize("models", sorted(NETWORKS))
def test_every_network_recommends_the_one_item_held_back(models: str, prepared: Path, tmp_path: Path):
    done = board.trained(prepared, tmp_path / "model", models=models)
    assert (done.returncode, done.stderr) == (0, "")
    assert first_choices(tmp_path / "model") == [f"i{user:02}" for user in range(board.SIZE)]
    epochs = board.HYPERPARAMETERS[models]["epochs"]
    assert len(EPOCH_LINE.findall(done.stdout)) == epochs
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["model"] == models


def test_the_program_runs_alone_and_twice_gives_the_same_bytes(prepared: Path, tmp_path: Path):
    shutil.copytree(ROOT / "training_code", tmp_path / "alone")
    given = {"SM_CHANNEL_TRAIN": str(prepared / "train")}
    for model in ("one", "two"):
        arguments = ["--epochs", "2", "--factor_num", "4", "--dropout", "0.1", "--seed", "7"]
        done = board.run(tmp_path / "alone" / "train.py", arguments, **given, SM_MODEL_DIR=str(tmp_path / model))
        assert (done.returncode, done.stderr) == (0, "")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted([*FILES, "manifest.json"])
    assert {name: (tmp_path / "one" / name).read_bytes() for name in names} == {
        name: (tmp_path / "two" / name).read_bytes() for name in names
    }


def test_the_committed_archive_is_what_training_writes(prepared: Path, tmp_path: Path):
    assert board.trained(prepared, tmp_path).returncode == 0
    fresh, kept = (json.loads((folder / "manifest.json").read_text()) for folder in (tmp_path, ARCHIVE))
    for name in ("schema_version", "dataset", "data_from", "data_through", "counts", "model", "hyperparameters"):
        assert fresh[name] == kept[name]
    for name in ("users.json", "items.json", "popularity.npy", "seen_offsets.npy", "seen_items.npy"):
        assert (tmp_path / name).read_bytes() == (ARCHIVE / name).read_bytes()
    assert first_choices(ARCHIVE) == first_choices(tmp_path)


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


class Exploding(torch.nn.Module):
    """A network whose every logit is infinite."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(shape.users))

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return (self.weight[users, None] * torch.inf).expand(items.shape)


def test_f24_a_loss_that_is_not_finite_stops_at_once_and_saves_nothing(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(NETWORKS, "exploding", (Exploding,))  # the registry is where a new network goes
    arguments = ["--train-dir", prepared / "train", "--model-dir", tmp_path / "model", "--models", "exploding"]
    assert train.main([str(one) for one in arguments]) == 1
    printed = capsys.readouterr()
    assert printed.err == "error: the loss became nan; a smaller lr than 0.001 would be right\n"
    assert not EPOCH_LINE.search(printed.out)
    assert not (tmp_path / "model").exists()


def test_f24_the_first_batch_that_is_not_finite_ends_the_epoch():
    network = Network(Shape(2, 3, 2, 1, 0.0), NETWORKS["gmf"], torch.full((3,), float("nan")))
    settings = Settings("gmf", 1, 0.01, 8, 0.0, 2, 1, 1, 10, 1, 1)
    optimiser = torch.optim.Adam(network.parameters())
    with pytest.raises(TrainingError, match="the loss became nan"):
        run_epoch(network, optimiser, torch.tensor([0, 1]), torch.tensor([[0, 1], [1, 2]]), settings)
    with pytest.raises(TrainingError, match="not finite"):
        network.weights()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--lr", "0"], "--lr: is 0; right is between 0 and 1"),
        (["--dropout", "1"], "--dropout: is 1"),
        (["--num_layers", "20"], "--num_layers: factor_num"),
        (["--epochs", "0"], "argument --epochs: 0 is not a whole number from 1"),
        (["--models", "bert"], "argument --models: invalid choice: 'bert'"),
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


def test_negatives_are_items_the_user_never_took(prepared: Path):
    data = load(prepared / "train")
    seen = seen_bitmap(data)
    drawn = draw_negatives(seen, data.user, 4, np.random.default_rng(1))
    assert not seen[np.repeat(data.user, 4), drawn.ravel()].any()
    assert len(np.unique(drawn)) == board.SIZE


def test_a_user_who_took_everything_does_not_stop_the_draw():
    seen = np.array([[True, True], [True, False]])
    drawn = draw_negatives(seen, np.array([0, 1]), 3, np.random.default_rng(1))
    assert drawn[1].tolist() == [1, 1, 1]


def test_f26_validation_holds_back_each_users_last_item(prepared: Path):
    data = load(prepared / "train")
    kept, validation = split(data, 5, np.random.default_rng(1), limit=10)
    assert len(validation.user) == (~kept).sum() == 10
    for user, item in zip(validation.user, validation.item, strict=True):
        own = data.time[data.user == user]
        assert data.time[(data.user == user) & (data.item == item)] == own.max()


def test_users_with_little_history_lose_none_of_it_to_validation():
    few = Dataset("x", "", "", ["a", "b"], ["p", "q"], *(np.array(one) for one in ([0, 0, 1], [0, 1, 0], [1, 2, 3])))
    kept, validation = split(few, 1, np.random.default_rng(1))
    assert kept.all()
    assert not len(validation.user)
