"""A zip that somebody else wrote is unpacked where it may be, or not at all."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from localcloud.archives import unpack_zip

LINK = (stat.S_IFLNK | 0o777) << 16


def packed(*members: tuple[str, str, int]) -> zipfile.ZipFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text, attributes in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes
            archive.writestr(info, text)
    return zipfile.ZipFile(buffer)


def test_files_folders_links_and_permissions_come_out_as_they_went_in(tmp_path: Path):
    program = (stat.S_IFREG | 0o755) << 16
    unpack_zip(packed(("a/b/run", "#!", program), ("empty/", "", 0), ("a/again", "b/run", LINK)), tmp_path)
    assert (tmp_path / "a" / "b" / "run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "empty").is_dir()
    assert (tmp_path / "a" / "again").read_text() == "#!"


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out"])
def test_a_member_that_would_lie_outside_is_refused(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="outside"):
        unpack_zip(packed((name, "x", 0)), tmp_path / "in")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["door/out", "door"])
def test_nothing_is_written_through_a_link(tmp_path: Path, name: str):
    (tmp_path / "outside").mkdir()
    with pytest.raises(ValueError, match="through a link"):
        unpack_zip(packed(("door", str(tmp_path / "outside"), LINK), (name, "x", 0)), tmp_path / "in")
    assert not list((tmp_path / "outside").iterdir())
