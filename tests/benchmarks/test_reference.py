"""The reference trainer, and the baselines beside it."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import arrays, baselines, reference
from benchmarks.protocol import measure

SETTINGS = {"factors": 4, "layers": 2, "negatives": 4, "batch": 64, "lr": 0.01, "workers": 0, "seed": 1, "epochs": 6}


def test_the_reference_learns_a_checkerboard(board: arrays.Arrays, tmp_path: Path):
    arrays.save(tmp_path, board)
    found = reference.train(tmp_path, SETTINGS)
    assert len(found["seconds"]) == len(found["hr@10"]) == 6
    assert found["hr@10"][-1] == 1.0  # by chance it would be ten of sixteen


def test_a_few_steps_are_extrapolated_and_say_so(board: arrays.Arrays, tmp_path: Path):
    arrays.save(tmp_path, board)
    found = reference.train(tmp_path, {**SETTINGS, "steps": 3})
    assert found["extrapolated_from_steps"] == 3
    assert len(found["seconds"]) == 1
    assert "hr@10" not in found


def test_drawn_negatives_were_never_taken(board: arrays.Arrays):
    samples = reference.Samples(board, negatives=4, seed=1)
    samples.redraw()
    labels = np.array([samples[place][2] for place in range(len(samples))])
    assert labels.sum() * 5 == len(samples)
    assert not {samples[place][:2] for place in np.flatnonzero(labels == 0)} & samples.seen


def test_the_network_has_the_papers_sizes():
    network = reference.NeuMF(users=10, items=20, factors=32, layers=3)
    shapes = [tuple(layer.weight.shape) for layer in network.tower if hasattr(layer, "weight")]
    assert shapes == [(128, 256), (64, 128), (32, 64)]
    assert network.predict.in_features == 64


def test_neighbours_find_the_item_held_back(board: arrays.Arrays):
    score = baselines.item_knn(board, {"neighbours": 30, "shrink": 0})
    assert measure(score, board)["hr@10"].mean() == 1.0


def test_popularity_gives_everyone_the_same_list(board: arrays.Arrays):
    scores = baselines.popularity(board, {})(np.arange(3))
    assert (scores == np.bincount(board.item, minlength=board.items)).all()


def test_arrays_come_back_as_they_were_saved(board: arrays.Arrays, tmp_path: Path):
    arrays.save(tmp_path, board)
    found = arrays.load(tmp_path)
    assert found.name == "board"
    for name in arrays.COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(board, name))


def test_negatives_are_never_what_the_user_took(board: arrays.Arrays):
    taken = set(zip(board.user.tolist(), board.item.tolist(), strict=True))
    drawn = {(user, item) for user, row in zip(board.test_user, board.negatives, strict=True) for item in row.tolist()}
    assert not drawn & taken
    assert all(len(set(row)) == 15 for row in board.negatives.tolist())
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(board.negatives, arrays.draw_negatives(board, 15, seed=2))
