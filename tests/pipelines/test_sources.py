import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import sources
from pipelines.errors import ProjectError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code" / "inner").mkdir(parents=True)
    (tmp_path / "code" / "train.py").write_text("print(1)\n")
    (tmp_path / "code" / "inner" / "table.sql").write_text("SELECT 1")
    return tmp_path / "code"


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


def test_f25_equal_files_give_equal_bytes_whenever_and_by_whomever_they_were_written(folder: Path):
    before = sources.pack(folder)
    os.utime(folder / "train.py", (1, 1))
    (folder / "train.py").chmod(0o600)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "train.cpython-311.pyc").write_bytes(b"x")
    (folder / ".DS_Store").write_bytes(b"x")
    assert sources.pack(folder) == before


def test_a_changed_byte_changes_the_digest(folder: Path):
    before = sources.digest(sources.pack(folder))
    (folder / "train.py").write_text("print(2)\n")
    assert sources.digest(sources.pack(folder)) != before


def test_the_archive_is_read_by_any_tar(folder: Path):
    assert names(sources.pack(folder)) == ["inner/table.sql", "train.py"]
    assert names(sources.pack(folder, "code")) == ["code/inner/table.sql", "code/train.py"]


def test_members_have_no_owner_and_no_time(folder: Path):
    with tarfile.open(fileobj=io.BytesIO(sources.pack(folder))) as archive:
        assert {(one.mtime, one.uid, one.gid, one.uname, one.mode) for one in archive} == {(0, 0, 0, "", 0o644)}


def test_a_link_does_not_ship(folder: Path):
    (folder / "secrets.py").symlink_to("/etc/hostname")
    with pytest.raises(ProjectError, match=r"secrets\.py: a link"):
        sources.pack(folder)


def test_a_missing_or_empty_folder_is_named(tmp_path: Path):
    with pytest.raises(ProjectError, match="processing_code: no such folder"):
        sources.load(tmp_path, "c" * 64)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ProjectError, match="empty: empty"):
        sources.pack(tmp_path / "empty")


@given(st.binary(max_size=300).map(lambda data: data * 700))
def test_stored_gzip_is_gzip(data: bytes):
    assert gzip.decompress(sources.stored_gzip(data)) == data
