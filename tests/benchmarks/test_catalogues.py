"""Archives made without training are archives, and their tables are what live scoring gives."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.catalogues import KINDS, Size, tiny, write
from benchmarks.ours import training
from benchmarks.serving import archives
from serving_code.archive import load
from serving_code.recommender import Recommender

SIZE = {"users": 60, "items": 300, "factors": 4, "layers": 2, "table": 20, "seen": 10, "tastes": 5}


@pytest.fixture(params=sorted(KINDS))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write(tmp_path / "model", Size(kind=request.param, **SIZE))
    return tmp_path / "model"


def test_the_endpoint_takes_the_archive_and_agrees_with_its_golden_requests(folder: Path):
    assert Recommender(load(folder)).golden_failure() is None


def test_the_table_holds_what_scoring_without_it_gives(folder: Path):
    model = Recommender(load(folder))
    users, items = (json.loads((folder / f"{name}.json").read_text()) for name in ("users", "items"))
    rows = zip(np.load(folder / "top_items.npy"), np.load(folder / "top_scores.npy"), strict=True)
    for user, (row, scores) in zip(users, rows, strict=True):
        found = model.live(user, SIZE["table"])
        assert model.names(found) == [items[item] for item in row]
        assert found.scores == pytest.approx(scores.tolist(), abs=1e-5)


def test_the_same_arguments_give_the_same_bytes(folder: Path, tmp_path: Path):
    kind = json.loads((folder / "manifest.json").read_text())["model"]
    write(tmp_path / "again", Size(kind=kind, **SIZE))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()
    }


def test_tiny_models_answer_with_their_own_ids(tmp_path: Path):
    for number in (1, 2):
        tiny(tmp_path / str(number), number)
        model = Recommender(load(tmp_path / str(number)))
        found = model.recommend(f"m{number}-u3", 5)
        assert found.strategy == "personalized"
        assert all(item.startswith(f"m{number}-i") for item in model.names(found))


def test_the_network_as_trained_has_the_scores_of_the_archive(tmp_path: Path):
    write(tmp_path, Size(kind="neumf", **SIZE))
    model = training("model").load(training("ncf").NeuMF, tmp_path / "score.onnx")
    scores = training("graph").scores
    for user in (0, 31, 59):
        assert np.allclose(scores(archives.plain(model), [user]), scores(model.graph(), [user]), atol=1e-5)
