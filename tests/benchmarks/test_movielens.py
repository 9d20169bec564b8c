"""The loader, on a tiny copy in the published format."""

import lzma
from pathlib import Path

import numpy as np
import pytest

from benchmarks import movielens
from benchmarks.errors import BenchmarkError

FILES = {
    "ml-1m.train.rating": "0\t2\t5\t30\n0\t1\t4\t20\n1\t0\t3\t10\n",
    "ml-1m.test.rating": "0\t0\t5\t40\n1\t3\t5\t20\n",
    "ml-1m.test.negative": "(0,0)\t3\t4\n(1,3)\t1\t2\n",
}
KNOWN = {name: {movielens.git_digest(text.encode()): "made up"} for name, text in FILES.items()}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("ML1M_DIR", str(tmp_path))
    return tmp_path


def test_it_reads_the_published_format(copy: Path):
    arrays = movielens.load(KNOWN)
    assert (arrays.users, arrays.items) == (2, 5)
    assert arrays.user.tolist() == [0, 0, 1]
    assert arrays.item.tolist() == [1, 2, 0]  # by time, not by line
    assert arrays.test_item.tolist() == [0, 3]
    assert arrays.negatives.tolist() == [[3, 4], [1, 2]]
    assert arrays.negatives.dtype == np.int32


def test_packed_files_are_read_as_well(copy: Path):
    name = "ml-1m.train.rating"
    (copy / f"{name}.xz").write_bytes(lzma.compress(FILES[name].encode()))
    (copy / name).unlink()
    assert movielens.load(KNOWN).item.tolist() == [1, 2, 0]


def test_a_missing_file_is_named(copy: Path):
    (copy / "ml-1m.test.rating").unlink()
    with pytest.raises(BenchmarkError, match=r"ML1M_DIR: .*ml-1m\.test\.rating is not there"):
        movielens.load(KNOWN)


def test_a_changed_file_is_refused_with_the_right_digest(copy: Path):
    (copy / "ml-1m.train.rating").write_text("0\t1\t5\t1\n")
    with pytest.raises(BenchmarkError) as refusal:
        movielens.load(KNOWN)
    assert all(digest in str(refusal.value) for digest in KNOWN["ml-1m.train.rating"])
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_packed_as_its_name_says_is_refused(copy: Path):
    (copy / "ml-1m.train.rating").rename(copy / "ml-1m.train.rating.xz")
    with pytest.raises(BenchmarkError, match="cannot be read"):
        movielens.load(KNOWN)


def test_without_the_variable_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ML1M_DIR", raising=False)
    with pytest.raises(BenchmarkError, match="ML1M_DIR: is not set; name the folder"):
        movielens.load()


def test_the_digest_is_gits_own():
    assert movielens.git_digest(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
