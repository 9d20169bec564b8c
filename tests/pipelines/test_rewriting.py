from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import documents, rewriting
from pipelines.errors import ProjectError

FILE = Path("params/ncf.yml")
INLINE = "a: 1 # one\nhyperparameters: {lr: 0.1,  epochs: 3} # best of May\nz: [1,  2]\n"
BLOCK = "hyperparameters:\n  lr: 0.1   # slow\n  # how long\n  epochs: 3   # short\nz: [1,  2]\n"


def written(text: str, **values: object) -> str:
    return rewriting.with_values(FILE, text, "hyperparameters", values)


def test_a_value_is_replaced_in_its_place_and_all_else_stays():
    assert written(INLINE, lr=1e-05) == INLINE.replace("lr: 0.1", "lr: 1e-05")
    assert written(BLOCK, lr=0.2, epochs=30) == BLOCK.replace("0.1", "0.2").replace("3 ", "30 ")


def test_a_new_key_goes_behind_the_last_one():
    assert written(INLINE, reg=0.5) == INLINE.replace("epochs: 3", "epochs: 3, reg: 0.5")
    assert written(BLOCK, reg=0.5) == BLOCK.replace("# short", "# short\n  reg: 0.5")
    assert written("hyperparameters: {}\n", reg=0.5, pretrain="als") == "hyperparameters: {reg: 0.5, pretrain: als}\n"
    assert written("a: 1", lr=0.5) == "a: 1\nhyperparameters: {lr: 0.5}\n"


def test_lines_of_windows_stay_lines_of_windows():
    text = BLOCK.replace("\n", "\r\n")
    assert written(text, lr=0.2, reg=0.5) == written(BLOCK, lr=0.2, reg=0.5).replace("\n", "\r\n")


def test_a_section_without_a_value_is_refused():
    with pytest.raises(ProjectError, match=r"params/ncf\.yml: hyperparameters: is empty; write"):
        written("hyperparameters:\n", lr=0.1)


def test_a_block_can_be_pasted():
    assert rewriting.block(FILE, BLOCK, "hyperparameters") == "hyperparameters: {lr: 0.1, epochs: 3}"


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path: Path):
    path = tmp_path / "ncf.yml"
    path.write_text("a: 1\n")
    path.chmod(0o640)
    rewriting.replace(path, "a: 2\r\n")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"a: 2\r\n", 0o640)
    assert list(tmp_path.iterdir()) == [path]


NAMES = st.sampled_from(["lr", "epochs", "reg", "pretrain"])
VALUES = st.dictionaries(NAMES, st.integers(0, 99) | st.floats(0, 1) | st.sampled_from(["als", "parts"]), min_size=1)


@settings(max_examples=100, deadline=None)
@given(VALUES, VALUES, st.booleans())
def test_what_is_written_is_read_back_beside_what_was_there(before: dict, values: dict, flow: bool):
    document = {"first": "x", "hyperparameters": before, "last": [1]}
    text = yaml.safe_dump(document, default_flow_style=None if flow else False, sort_keys=False)
    found = documents.load(FILE, written(text, **values))
    assert found == {**document, "hyperparameters": {**before, **values}}
    assert list(found) == list(document)


def test_a_file_that_is_not_there_is_made_and_what_a_killed_writer_left_is_taken_away(tmp_path):
    """`git add --all` would commit it."""
    (tmp_path / ".ncf.data.yml.k1ll3d").write_text("half a l")
    (tmp_path / ".other.yml.k1ll3d").write_text("another's")
    rewriting.replace(tmp_path / "ncf.data.yml", "a: 1\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.yml.k1ll3d", "ncf.data.yml"]
    assert (tmp_path / "ncf.data.yml").stat().st_mode & 0o777 == 0o644
