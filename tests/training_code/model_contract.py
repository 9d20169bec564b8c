"""What every model must do, whatever it is: inherited by one small class for each of them."""

import sys
import tarfile
from pathlib import Path
from typing import Any, ClassVar

import archive
import checkerboard as board
import model as any_model
import numpy as np
import onnxruntime
from dataset import Dataset, from_arrays
from models import MODELS, Fitted, fit
from settings import Settings

from serving_code.archive import load as serving_load
from serving_code.onnx_session import Session
from serving_code.recommender import Recommender
from serving_code.score import read_score

sys.path.append(str(board.ROOT / "processing_code"))
from model_archive import read_archive


def checkerboard() -> Dataset:
    """The board as arrays, without each user's own item."""
    pairs = [(int(user[1:]), int(item[1:])) for user, item, _ in board.rows() if user[1:] != item[1:]]
    user, item = np.array(pairs).T
    return from_arrays(user, item)


class ModelContract:
    """Tests of one model; a subclass says which."""

    name: ClassVar[str]
    fitted: ClassVar[Fitted]
    data: ClassVar[Dataset]

    @classmethod
    def settings(cls, **more: Any) -> Settings:
        return Settings(**{**board.SMALL, **board.HYPERPARAMETERS[cls.name], **more})

    @classmethod
    def setup_class(cls) -> None:
        cls.data = checkerboard()
        cls.fitted = fit(cls.name, cls.data, cls.settings())

    def write(self, path: Path, fitted: Fitted) -> Path:
        archive.write(
            path, self.data, fitted.model, {"model": self.name, "validation": {"ndcg@10": fitted.quality.ndcg}}
        )
        return path

    def test_it_recommends_the_one_item_held_back(self):
        scores = self.fitted.model.score(np.arange(board.SIZE))
        scores[self.data.user, self.data.item] = -np.inf
        assert scores.argmax(axis=1).tolist() == list(range(board.SIZE))

    def test_validation_finds_that_it_learned_the_board(self):
        assert self.fitted.quality.hr == 1.0  # a quarter would be chance

    def test_the_graph_scores_as_the_model_does_alone_and_among_others(self, tmp_path: Path):
        any_model.save(self.fitted.model, tmp_path / "score.onnx")
        session = onnxruntime.InferenceSession((tmp_path / "score.onnx").read_bytes())
        for asked in ([3], [5, 0, 5, 39]):
            found = session.run(None, {"user": np.array(asked)})[0]
            np.testing.assert_allclose(found, self.fitted.model.score(np.array(asked)), atol=1e-5)

    def test_it_is_the_same_model_after_save_and_load(self, tmp_path: Path):
        any_model.save(self.fitted.model, tmp_path / "score.onnx")
        loaded = any_model.load(MODELS[self.name], tmp_path / "score.onnx")
        users = np.arange(board.SIZE)
        np.testing.assert_allclose(loaded.score(users), self.fitted.model.score(users), atol=1e-6)
        any_model.save(loaded, tmp_path / "again.onnx")
        assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "score.onnx").read_bytes()

    def test_equal_seeds_give_equal_archives(self, tmp_path: Path):
        fits = [fit(self.name, self.data, self.settings(epochs=2)) for _ in range(2)]
        first, second = (self.write(tmp_path / str(place), fitted) for place, fitted in enumerate(fits))
        assert first.read_bytes() == second.read_bytes()

    def test_serving_and_processing_read_its_archive(self, tmp_path: Path):
        path = self.write(tmp_path / "model.tar.gz", self.fitted)
        assert len(read_archive(path).items) == board.SIZE
        recommender = Recommender(serving_load(board.unpacked(path, tmp_path / "unpacked")))
        assert not isinstance(recommender.archive.score, Session)
        assert recommender.golden_failure() is None
        assert recommender.names(recommender.recommend("7", 1)) == ["7"]
        related = recommender.related(4, board.SIZE // 2 - 1)
        assert {int(item) % 2 for item in recommender.names(related)} == {0}

    def test_serving_scores_every_user_and_pair_as_the_graph_does(self, tmp_path: Path):
        any_model.save(self.fitted.model, tmp_path / "score.onnx")
        content = (tmp_path / "score.onnx").read_bytes()
        score = read_score(content, board.SIZE, board.SIZE)
        users = np.arange(board.SIZE)
        said = onnxruntime.InferenceSession(content).run(None, {"user": users})[0]
        rows = np.stack([score.shown(score.row(user)) for user in range(board.SIZE)])
        np.testing.assert_allclose(rows, said, atol=1e-5)
        user, item = np.random.default_rng(1).integers(0, board.SIZE, (2, 3000))
        np.testing.assert_allclose(score.shown(score.pairs(user, item)), said[user, item], atol=1e-5)

    def test_its_table_holds_the_best_unseen_items_by_the_graph(self, tmp_path: Path):
        folder = board.unpacked(self.write(tmp_path / "model.tar.gz", self.fitted), tmp_path / "unpacked")
        session = onnxruntime.InferenceSession((folder / "score.onnx").read_bytes())
        scores = session.run(None, {"user": np.arange(board.SIZE)})[0]
        scores[self.data.user, self.data.item] = -np.inf
        items, said = (np.load(folder / f"top_{name}.npy") for name in ("items", "scores"))
        assert (items.dtype, said.dtype, items.shape) == (np.int32, np.float32, (board.SIZE, board.SIZE))
        for row, values, unseen in zip(items, said, scores, strict=True):
            count = int(np.isfinite(unseen).sum())
            assert sorted(row[:count]) == np.flatnonzero(np.isfinite(unseen)).tolist()
            np.testing.assert_allclose(values[:count], -np.sort(-unseen)[:count], atol=1e-5)
            np.testing.assert_allclose(unseen[row[:count]], values[:count], atol=1e-5)
            assert (set(row[count:].tolist()), set(values[count:].tolist())) <= ({-1}, {0.0})

    def test_its_archive_knows_no_time_and_no_owner(self, tmp_path: Path):
        path = self.write(tmp_path / "model.tar.gz", self.fitted)
        with tarfile.open(path) as tar:
            members = tar.getmembers()
        assert [member.name for member in members] == sorted(member.name for member in members)
        assert {(member.mtime, member.uid, member.uname, member.mode) for member in members} == {(0, 0, "", 0o644)}
        assert path.read_bytes()[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
