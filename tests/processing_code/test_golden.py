"""Golden requests of an archive against its own graph: each promise that is broken is said, none ends it."""

import json
from dataclasses import replace

import golden
import numpy as np
import pytest
import training_jobs
from model_archive import ModelArchive, parse_archive


@pytest.fixture(scope="module")
def archive() -> ModelArchive:
    return parse_archive(training_jobs.packed(training_jobs.files()))


def with_lines(archive: ModelArchive, change) -> ModelArchive:
    lines = [json.loads(line) for line in archive.golden.splitlines()]
    change(lines[0])
    return replace(archive, golden="\n".join(json.dumps(line) for line in lines))


def test_what_training_wrote_is_right_for_users_it_knows_and_for_nobody(archive: ModelArchive):
    assert golden.check(archive) == {"asked": 5, "right": 5, "wrong": []}


def swap(line: dict) -> None:
    line["itemIds"][0] = next(item for item in ("i01", "i21", "i39") if item not in line["itemIds"])


def drop(line: dict) -> None:
    line["itemIds"], line["scores"] = line["itemIds"][1:], line["scores"][1:]


def raise_scores(line: dict) -> None:
    line["scores"] = [score + 0.01 for score in line["scores"]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (swap, "promises scores that are not the graph's"),
        (raise_scores, "promises scores that are not the graph's"),
        (drop, "leaves out an item that the graph has higher"),
        (lambda line: line.update(itemIds=[], scores=[]), "promises no items"),
        (lambda line: line.pop("scores"), "is no golden request (KeyError)"),
        (lambda line: line.update(itemIds=["nothing"]), "is no golden request (ValueError)"),
    ],
)
def test_a_broken_promise_is_named(archive: ModelArchive, change, said: str):
    found = golden.check(with_lines(archive, change))
    assert (found["asked"], found["right"]) == (5, 4)
    assert found["wrong"][0].startswith(f"golden request 1: {said}")


def test_an_item_that_cannot_be_had_is_nobodys_answer(archive: ModelArchive):
    gone = np.ones(len(archive.items), dtype=np.bool_)
    gone[archive.items.index(json.loads(archive.golden.splitlines()[0])["itemIds"][0])] = False
    assert golden.check(replace(archive, available=gone))["right"] < 5


def test_who_has_taken_little_gets_popular_items_blended_in(archive: ModelArchive):
    manifest = {**archive.manifest, "blend_below": 100}
    row = golden.answer(replace(archive, manifest=manifest), archive.users[0])
    seen = archive.seen[1][archive.seen[0] == 0]
    weight = len(seen) / 100
    wanted = weight * archive.run(np.array([0]))[0] + (1 - weight) * archive.popularity / len(archive.users)
    left = np.isfinite(row)
    assert row[left] == pytest.approx(wanted[left], abs=1e-6)
    assert not left[seen].any()


def test_an_archive_without_golden_requests_is_asked_nothing(archive: ModelArchive):
    assert golden.check(replace(archive, golden="")) == {"asked": 0, "right": 0, "wrong": []}
