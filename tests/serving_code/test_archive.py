"""An archive is hostile until it is checked: whatever its bytes are, loading ends in an archive or an ArchiveError."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import archives
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from serving_code.archive import ArchiveError, load
from serving_code.onnx_session import Session
from serving_code.recommender import Recommender

FILES = sorted(archives.members(archives.labelled(), 20))
NAN = np.full((archives.ITEMS, archives.WIDTH), np.nan, dtype=np.float32)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archives.write(tmp_path_factory.mktemp("sound"), archives.labelled())


def copied(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy", dirs_exist_ok=True))


def relisted(folder: Path) -> Path:
    """The same archive with the digests of what is in it now."""
    return archives.listed(folder, json.loads((folder / "manifest.json").read_text()))


changes = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255))


@given(st.sampled_from(FILES), changes)
@settings(max_examples=60, deadline=None)
def test_f14_f52_a_changed_byte_of_any_file_is_found_by_its_digest(sound: Path, name: str, change: tuple[float, int]):
    path = sound / name
    before = path.read_bytes()
    content = bytearray(before)
    content[int(change[0] * len(content))] ^= change[1]
    path.write_bytes(content)
    try:
        with pytest.raises(ArchiveError, match="differs from its digest"):
            load(sound)
    finally:
        path.write_bytes(before)


@given(st.sampled_from([*FILES, "manifest.json"]), st.lists(changes, max_size=4), st.floats(0, 1) | st.none())
@settings(max_examples=100, deadline=None)
def test_f14_whatever_a_file_holds_loading_ends_in_an_archive_error_or_a_model(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, name: str, flips: list[tuple[float, int]], cut: float | None
):
    folder = copied(sound, tmp_path_factory.mktemp("changed"))
    content = bytearray((folder / name).read_bytes())
    for place, mask in flips:
        content[int(place * len(content))] ^= mask
    (folder / name).write_bytes(content if cut is None else content[: int(cut * len(content))])
    if name != "manifest.json":
        relisted(folder)
    try:
        recommender = Recommender(load(folder))
    except ArchiveError:
        return
    finally:
        shutil.rmtree(folder)
    assert isinstance(recommender.golden_failure(), str | None)


def table(change: Any) -> dict[str, Any]:
    """The table with something wrong in it."""
    files = archives.members(archives.world(), 20)
    items, scores = files["top_items.npy"], files["top_scores.npy"]
    change(items, scores)
    return {"top_items__npy": items, "top_scores__npy": scores}


def put(place: tuple[int, int], item: int) -> Any:
    def change(items: np.ndarray, scores: np.ndarray) -> None:
        items[place] = item

    return change


def rising(items: np.ndarray, scores: np.ndarray) -> None:
    scores[3] = scores[3, ::-1]


ids = [f"i{item}" for item in range(archives.ITEMS)]
seen = np.concatenate(archives.world().seen)
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("items.json has an id twice", {"items__json": [*ids[:-1], "i0"]}),
    ("items.json is not a list of strings", {"items__json": [*ids[:-1], 7]}),
    ("an object has a key twice", {"golden__jsonl": b'{"request": {}, "request": {}}'}),
    ("there is no item", {"items__json": []}),
    ("popularity.npy is <f8", {"popularity__npy": np.zeros(archives.ITEMS)}),
    ("popularity.npy has a negative number", {"popularity__npy": np.full(archives.ITEMS, -1)}),
    ("seen_items.npy has numbers outside", {"seen_items__npy": np.full(len(seen), archives.ITEMS, dtype=np.int32)}),
    ("seen_items.npy has numbers outside", {"seen_items__npy": np.full(len(seen), -1, dtype=np.int32)}),
    ("seen_offsets.npy does not fit", {"seen_offsets__npy": np.arange(archives.USERS + 1)}),
    ("item_factors.npy has numbers that are not finite", {"item_factors__npy": NAN}),
    ("item_factors.npy is |O", {"item_factors__npy": np.array([{}], dtype=object)}),
    ("categories.json has not a string", {"categories__json": ["fruit"]}),
    ("available.npy is ", {"available__npy": np.ones(archives.ITEMS, dtype=np.int8)}),
    ("top_items.npy has numbers outside", table(put((4, 3), archives.ITEMS))),
    ("top_items.npy has numbers outside", table(put((4, 3), -2))),
    ("names an item twice or a seen one, in row 4", table(put((4, 3), archives.world().seen[4][0]))),
    ("names an item twice or a seen one, in row 0", table(lambda items, _: put((0, 1), items[0, 0])(items, _))),
    ("is not sorted", table(rising)),
    ("is not sorted", table(put((2, 3), -1))),
    ("top_scores.npy has numbers that are not finite", table(lambda _, scores: scores.fill(np.inf))),
    ("lacks 'top_scores.npy'", {"top_scores__npy": None}),
    ("golden.jsonl is not requests", {"golden__jsonl": b'{"request": {"userId": 5}}'}),
    ("als_users has numbers that are not finite", {"score__onnx": archives.graph(NAN[: archives.USERS], NAN)}),
]


@pytest.mark.parametrize(("said", "files"), WRONG, ids=[said for said, _ in WRONG])
def test_f52_an_archive_whose_digests_are_right_is_refused_for_what_is_wrong_in_it(
    said: str, files: dict[str, Any], tmp_path: Path
):
    with pytest.raises(ArchiveError) as refused:
        load(archives.write(tmp_path, archives.world(), **files))
    assert said in str(refused.value)


def nested(model: ModelProto) -> None:
    """A graph within the graph."""
    empty = helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", empty))


def elsewhere(model: ModelProto) -> None:
    """A constant in another file."""
    constant = model.graph.initializer[0]
    constant.ClearField("raw_data")
    constant.data_location = TensorProto.EXTERNAL
    constant.external_data.add(key="location", value="/etc/passwd")


def lying(model: ModelProto) -> None:
    """A constant that is shorter than its shape."""
    model.graph.initializer[0].dims[0] = 2**40


def doubled(model: ModelProto) -> None:
    """A constant twice."""
    model.graph.initializer.append(model.graph.initializer[0])


GRAPHS = {
    "a graph within its graph": nested,
    "in another file": elsewhere,
    "lies about the constant": lying,
    "has the constant 'als_users' twice": doubled,
}


@pytest.mark.parametrize("said", GRAPHS)
def test_f52_a_graph_that_could_do_more_than_score_is_refused(said: str, tmp_path: Path):
    found = archives.world()
    model = ModelProto.FromString(archives.graph(*found.vectors))
    GRAPHS[said](model)
    with pytest.raises(ArchiveError, match=said):
        load(archives.write(tmp_path, found, score__onnx=model.SerializeToString()))


@pytest.mark.parametrize(
    "content", [b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x80", b"\x3b\x00", b"\x3a\x02\x08", b"\x08\x00" * 200_000]
)
def test_f52_a_protobuf_that_lies_about_its_lengths_is_refused(content: bytes, tmp_path: Path):
    with pytest.raises(ArchiveError, match=r"score\.onnx"):
        load(archives.write(tmp_path, archives.world(), score__onnx=content))


@pytest.mark.parametrize("name", ["../users.json", "/etc/passwd", "..", "sub/users.json", ""])
def test_f52_only_plain_names_are_opened(sound: Path, tmp_path: Path, name: str):
    folder = copied(sound, tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = manifest["files"]["users.json"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArchiveError, match="is not a plain file name"):
        load(folder)


def test_f52_links_and_pipes_are_not_read(sound: Path, tmp_path: Path):
    for number, make in enumerate((lambda path: path.symlink_to(sound / "users.json"), os.mkfifo)):
        folder = copied(sound, tmp_path / str(number))
        (folder / "users.json").unlink()
        make(folder / "users.json")
        with pytest.raises(ArchiveError, match=r"users\.json is not a regular file"):
            load(folder)


def test_a_file_that_the_manifest_does_not_list_is_never_opened(sound: Path, tmp_path: Path):
    folder = copied(sound, tmp_path)
    os.mkfifo(folder / "stray")  # to open it would be to wait for ever
    assert Recommender(load(folder)).golden_failure() is None


def test_another_graph_is_run_by_onnx_runtime_with_the_same_answers(sound: Path, tmp_path: Path):
    found = archives.labelled()
    node = helper.make_node("Identity", ["product"], ["scores"])
    other = load(archives.write(tmp_path, found, score__onnx=archives.graph(*found.vectors, node)))
    assert isinstance(other.score, Session)
    assert not isinstance(load(sound).score, Session)
    assert Recommender(other).golden_failure() is None
    users, items = np.random.default_rng(0).integers(0, [[archives.USERS], [archives.ITEMS]], (2, 100))
    np.testing.assert_allclose(other.score.pairs(users, items), found.scores[users, items], atol=1e-5)


def test_a_graph_of_our_nodes_and_other_constants_is_not_taken_for_ours(tmp_path: Path):
    found = archives.world()
    model = ModelProto.FromString(archives.graph(*found.vectors))
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.zeros((archives.USERS + 1, archives.WIDTH), dtype=np.float32), "als_users")
    )
    archive = load(archives.write(tmp_path, found, score__onnx=model.SerializeToString()))
    assert isinstance(archive.score, Session)
    assert "answered differently" in str(Recommender(archive).golden_failure())
