"""This run's data beside the champion's: worked out by hand, and by the same formula as live traffic's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import training_jobs
from channels import Train
from drift import compare, drift, psi
from model_archive import ModelArchive, read_archive

from gitops.data import drift as live


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> ModelArchive:
    folder = training_jobs.champion(tmp_path_factory.mktemp("drift"))
    return read_archive(folder / "model.tar.gz")


def train(users: list[str], items: list[str], pairs: list[tuple[int, int]]) -> Train:
    user, item = (np.array(side) for side in zip(*pairs, strict=True))
    return Train(users, items, user, item, np.zeros(len(user), dtype=np.int64), None, None)


def test_the_champions_own_data_has_not_drifted(champion: ModelArchive):
    own = train(champion.users, champion.items, list(zip(*champion.seen, strict=True)))
    found = drift(own, champion)
    assert [found[what]["psi"] for what in ("users", "items")] == [0.0, 0.0]
    assert [found[what][part] for what in ("users", "items") for part in ("new", "gone")] == [0.0] * 4
    assert found["top_items"] == {"length": 40, "kept": 1.0}
    assert found["interactions"]["before"] == found["interactions"]["now"] == len(champion.seen[0])


def test_new_and_gone_ids_are_shares_of_where_they_are(champion: ModelArchive):
    champion = replace(champion, users=["a", "b", "c", "d"], items=["x", "y"], popularity=np.array([3, 1]),
                       seen=(np.array([0, 1, 2, 3]), np.array([0, 0, 0, 1])))  # fmt: skip
    found = drift(train(["b", "e"], ["y", "z", "x"], [(0, 0), (1, 1), (1, 2)]), champion)
    assert {**found["users"], "psi": None} == {"before": 4, "now": 2, "new": 0.5, "gone": 0.75, "psi": None}
    assert found["items"]["new"] == pytest.approx(1 / 3)
    assert found["items"]["gone"] == 0.0
    assert found["interactions"] == {"before": 4, "now": 3}


def test_the_index_is_that_of_live_traffic():
    generator = np.random.default_rng(1)
    before, now = generator.integers(1, 100, 200), generator.integers(0, 100, 200)
    ids = [f"i{number}" for number in range(200)]
    known = live.binned(ids, before)
    expected = live.index(known.trained, live.shares(known, dict(zip(ids, now.tolist(), strict=True))))
    assert psi(before, now) == pytest.approx(expected)
    assert expected > 0.25


def test_popularity_that_turned_over_shows_and_the_order_of_ids_does_not():
    ids, counts = ["a", "b", "c", "d"], np.array([100, 50, 10, 1])
    assert compare(ids, counts, ids[::-1], counts[::-1])["psi"] == 0.0
    assert compare(ids, counts, ids, counts[::-1])["psi"] > 0.25


def test_nothing_in_common_has_no_index():
    found = compare(["a"], np.array([1]), ["b"], np.array([1]))
    assert found == {"before": 1, "now": 1, "new": 1.0, "gone": 1.0, "psi": None}


def test_what_is_compared_does_not_depend_on_where_the_archive_lies(champion: ModelArchive, tmp_path: Path):
    again = read_archive(training_jobs.champion(tmp_path / "other") / "model.tar.gz")
    own = train(champion.users, champion.items, [(0, 1), (3, 2)])
    assert drift(own, champion) == drift(own, again)
