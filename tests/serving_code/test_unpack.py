"""Hostile archives: whatever is in a .tar.gz, nothing of a wrong one is written."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving_code.archive import ArchiveError
from serving_code.unpack import MAX_MEMBERS, unpack

MOST = 5 * 2**20
Change = Callable[[tarfile.TarInfo], None]


def member(name: str, content: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, content


def written(path: Path, *members: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.PAX_FORMAT) -> Path:
    """A .tar.gz whose first member is a good one."""
    with gzip.open(path, "wb") as zipped, tarfile.open(fileobj=zipped, mode="w", format=kind) as tar:
        for entry, content in (member("good.json"), *members):
            tar.addfile(entry, io.BytesIO(content))
    return path


def refused(path: Path) -> str:
    """What unpacking says; it has to leave its folder empty."""
    target = path.parent / "target"
    target.mkdir(exist_ok=True)
    with pytest.raises(ArchiveError) as caught:
        unpack(path, target, MOST)
    assert not list(target.iterdir())
    assert not (path.parent / "evil").exists()
    return str(caught.value)


def test_files_are_unpacked_whoever_packed_them(tmp_path: Path):
    for place, kind in enumerate((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        target = tmp_path / str(place)
        target.mkdir()
        long = "x" * 120 if kind != tarfile.USTAR_FORMAT else "x" * 90
        folder = member("./", b"", type=tarfile.DIRTYPE)
        path = written(tmp_path / "a.tar.gz", folder, member("./a", b"1" * 3_000_000), member(long, b""), kind=kind)
        unpack(path, target, MOST)
        assert {one.name: one.stat().st_size for one in target.iterdir()} == {"good.json": 1, "a": 3_000_000, long: 0}
        assert all(one.stat().st_mode & 0o111 == 0 for one in target.iterdir())


HOSTILE = {
    "parent": member("../evil"), "parent, hidden": member("a/../../evil"), "absolute": member("/evil"),
    "absolute after ./": member(".//evil"), "folder": member("a", b"", type=tarfile.DIRTYPE),
    "file in a folder": member("a/b"), "windows": member("..\\evil"), "nothing": member("./"), "dots": member(".."),
    "symbolic link": member("evil", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": member("evil", b"", type=tarfile.LNKTYPE, linkname="good.json"),
    "device": member("evil", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
    "block device": member("evil", b"", type=tarfile.BLKTYPE), "pipe": member("evil", b"", type=tarfile.FIFOTYPE),
    "contiguous": member("evil", type=tarfile.CONTTYPE), "twice": member("good.json"),
    "twice, written otherwise": member("./good.json"),
    "sparse": member("evil", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": "1"}),
    "a link by its extension": member("evil", pax_headers={"path": "../evil"}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_f55_a_member_that_is_no_plain_file_is_refused_before_any_write(tmp_path: Path, name: str):
    said = refused(written(tmp_path / "a.tar.gz", HOSTILE[name]))
    assert "member" in said


def test_f55_too_many_or_too_large_members_are_refused_before_any_write(tmp_path: Path):
    many = [member(f"{number}") for number in range(MAX_MEMBERS)]
    assert "more than 64 members" in refused(written(tmp_path / "a.tar.gz", *many))
    half = b"\0" * (MOST // 2 + 1)
    assert "larger than" in refused(written(tmp_path / "b.tar.gz", member("a", half), member("b", half)))


def test_f55_a_size_that_is_only_claimed_is_refused_without_being_unpacked(tmp_path: Path):
    entry = tarfile.TarInfo("evil")
    entry.size = 2**40
    with gzip.open(tmp_path / "a.tar.gz", "wb") as zipped:
        zipped.write(entry.tobuf() + b"\0" * 1024)
    assert "larger than" in refused(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_f55_a_bomb_in_a_headers_extension_is_refused_before_it_is_held_in_memory(tmp_path: Path, kind: bytes):
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = kind, 2**30
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as zipped:
        zipped.write(entry.tobuf())
        for _ in range(16):
            zipped.write(b"\0" * 2**20)
    assert "a header of" in refused(tmp_path / "a.tar.gz")


def test_f55_a_gzip_bomb_of_headers_ends_at_the_bound(tmp_path: Path):
    """Each extension is small, and there is no end of them."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XGLTYPE, 2**19
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as zipped:
        for _ in range(16):
            zipped.write(entry.tobuf() + b"9 a=bcde\n" * (2**19 // 9) + b"\n" * (2**19 % 9))
    assert "larger than" in refused(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_f55_a_thousand_extensions_of_one_header_are_no_tar(tmp_path: Path, kind: bytes):
    """tarfile calls itself for each, and they are far below any bound on bytes."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = kind, tarfile.BLOCKSIZE
    text = b"9 a=bcde\n" * 56 + b"\n" * 8 if kind != tarfile.GNUTYPE_LONGNAME else b"x" * 500 + b"\0" * 12
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as zipped:
        zipped.write((entry.tobuf() + text) * 1000 + member("good.json")[0].tobuf() + b"x" * 512 + b"\0" * 1024)
    assert "not a .tar.gz (RecursionError" in refused(tmp_path / "a.tar.gz")


def test_what_is_no_tar_and_what_ends_too_early_is_refused(tmp_path: Path):
    path = written(tmp_path / "a.tar.gz", member("a", bytes(range(256)) * 4000))
    whole = path.read_bytes()
    for content in (b"", b"x" * 1000, gzip.compress(b"x" * 1000), whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert "not a .tar.gz" in refused(path)


@given(st.binary(max_size=2000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_f55_whatever_the_tar_is_nothing_leaves_its_folder(tmp_path: Path, content: bytes):
    path, target = tmp_path / "a.tar.gz", tmp_path / "target"
    target.mkdir(exist_ok=True)
    head = member("good.json")[0].tobuf()
    path.write_bytes(gzip.compress(head + content, 1))
    before = {one.name for one in tmp_path.iterdir()}
    try:
        unpack(path, target, MOST)
    except ArchiveError:
        assert not list(target.iterdir())
    assert {one.name for one in tmp_path.iterdir()} == before
    for one in target.iterdir():
        one.unlink()
