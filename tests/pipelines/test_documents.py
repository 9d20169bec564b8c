import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import documents
from pipelines.errors import ProjectError

FILE = Path("params/ncf.yml")


def refusal(text: str) -> str:
    with pytest.raises(ProjectError) as caught:
        documents.load(FILE, text)
    message = str(caught.value)
    assert message.startswith("params/ncf.yml: ")
    assert "\n" not in message
    return message


def test_scalars_mean_what_yaml_1_2_says():
    text = (
        "{a: 1e-3, b: 010, c: yes, d: 2017-01-01, e: 1:30, f: null, g: true, h: .5, i: -2, j: '3', k: 1_000, l: 0x1F}"
    )
    assert documents.load(FILE, text) == {
        "a": 0.001, "b": 10, "c": "yes", "d": "2017-01-01", "e": "1:30", "f": None, "g": True, "h": 0.5, "i": -2,
        "j": "3", "k": "1_000", "l": "0x1F",
    }  # fmt: skip


def test_f53_an_alias_is_refused_with_its_key_and_line():
    assert refusal("a: 1\nrun: {nonce: *x}") == (
        "params/ncf.yml: run.nonce: line 2: alias *x; write the value out instead"
    )


def test_f53_an_anchor_is_refused_even_when_nothing_uses_it():
    assert "train: line 1: anchor &x" in refusal("train: &x {seed: 1}")


def test_f53_a_tag_is_refused():
    assert "train: line 1: tag" in refusal("train: !!python/object/apply:os.system [id]")
    assert "tag" in refusal("train: !!str 1")
    assert "tag" in refusal("train: ! 1")


def test_a_merge_key_is_refused():
    assert "merge key" in refusal("a: {<<: {b: 1}}")


def test_f53_a_duplicate_key_is_named_at_any_depth():
    assert refusal("a: {b: [{c: 1, c: 2}]}") == ("params/ncf.yml: a.b[0].c: duplicate key on line 1; keep one of them")


def test_a_key_that_is_not_text_is_refused():
    assert "key 1 is not text" in refusal("a: {1: x}")
    assert "key a list or mapping is not text" in refusal("? [a]\n: b")


def test_f53_a_bomb_is_refused_before_it_explodes():
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]" for before, name in zip("abcde", "bcdef", strict=True)
    )  # half a million values in 300 bytes: enough to be seen, and few enough to end where nothing refuses them
    begun = time.monotonic()
    assert "anchor &a" in refusal(bomb)
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize("text", ["[" * 40 + "]" * 40, "{a: " * 40 + "1" + "}" * 40, "- " * 20_000])
def test_f53_deep_nesting_is_refused(text: str):
    assert "nested deeper than 12 levels" in refusal(f"a:\n  {text}")


def test_f53_too_many_values_are_refused():
    assert "more than 10000 values" in refusal("a: [" + "1," * 11_000 + "]")


def test_f53_more_than_64_kib_is_refused():
    assert "larger than 64 KiB" in refusal("# " + "x" * 70_000 + "\na: 1")


def test_f53_a_file_larger_than_64_kib_is_refused_unread(tmp_path: Path):
    large = tmp_path / "large.yml"
    large.write_bytes(b"\xff" * 70_000)  # whoever reads it says that it is no UTF-8
    with pytest.raises(ProjectError, match="larger than 64 KiB"):
        documents.load(large)


@pytest.mark.parametrize(
    "text", ["", "# nothing", "[]", "text", "a: 1\n---\nb: 2", "a: {b", "a: \x00", "a: 9" + "9" * 99]
)
def test_what_is_no_mapping_is_refused(text: str):
    refusal(text)


def test_a_missing_file_names_the_nearest_one(tmp_path: Path):
    (tmp_path / "ncf.yml").write_text("a: 1")
    with pytest.raises(ProjectError, match=r"no such file; did you mean .*ncf\.yml"):
        documents.load(tmp_path / "nfc.yml")
    with pytest.raises(ProjectError, match="there is no folder"):
        documents.load(tmp_path / "nowhere" / "ncf.yml")
    with pytest.raises(ProjectError, match="no such file"):
        documents.load(tmp_path)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path):
    (tmp_path / "latin.yml").write_bytes(b"a: \xe9")
    with pytest.raises(ProjectError, match="not UTF-8"):
        documents.load(tmp_path / "latin.yml")


@given(st.text(alphabet="ab:-[]{}&*!?|>%@#'\"\n \t0.,<e~`\\\x85\ufeff", max_size=80))
def test_no_text_gets_past_as_anything_but_a_mapping_or_a_refusal(text: str):
    found, message = outcome(text)
    assert (found is None) != (message is None)
    assert found is None or isinstance(found, dict)
    assert message is None or "\n" not in message


def outcome(text: str) -> tuple[object, str | None]:
    try:
        return documents.load(FILE, text), None
    except ProjectError as error:
        return None, str(error)


def test_yaml_load_of_the_library_is_never_called():
    code = "import ast,sys,pathlib\nfor p in pathlib.Path('pipelines').glob('*.py'):\n" + (
        " for n in ast.walk(ast.parse(p.read_text())):\n"
        "  if isinstance(n, ast.Attribute) and n.attr in ('load','full_load','unsafe_load','safe_load')"
        " and isinstance(n.value, ast.Name) and n.value.id == 'yaml': sys.exit(f'{p}:{n.lineno}')"
    )
    root = Path(__file__).parent.parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
