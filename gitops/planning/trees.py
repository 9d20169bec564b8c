"""A commit's files on disk without a checkout: no attribute, filter, hook or link of that commit has an effect."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops import git
from gitops.errors import GitopsError

MAX_FILES, MAX_BYTES = 20_000, 128 * 2**20
MODES = {"100644": 0o644, "100755": 0o755}  # what git calls regular files


@dataclass(frozen=True)
class Entry:
    """One line of a tree: `size` is -1 for what is no file."""

    mode: str
    identity: str
    size: int
    path: str


def write(sha: str, folder: Path, names: Collection[str], limit: int = MAX_BYTES) -> list[str]:
    """Write the commit's regular files at or below `names` into `folder`; a sentence for each entry left out.

    Raises GitopsError for a tree of more than 20,000 files or `limit` bytes: a plan is no way to fill a disk.
    """
    tops, whole = {name for name in names if "/" not in name}, set(names)
    entries = [one for one in _listed(sha) if one.path in whole or one.path.partition("/")[0] in tops]
    files = [entry for entry in entries if entry.mode in MODES and _plain(entry.path)]
    total = sum(entry.size for entry in files)
    if len(files) > MAX_FILES or total > limit:
        raise GitopsError(f"{sha[:12]}: {len(files)} files of {total} bytes are too much to plan; keep data out of git")
    for entry, content in zip(files, _contents(files), strict=True):
        place = folder / entry.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(MODES[entry.mode])
    left = {entry.path for entry in entries} - {entry.path for entry in files}
    return [f"{path}: is a link or a submodule; only regular files are read" for path in sorted(left)]


def _listed(sha: str) -> Iterator[Entry]:
    listing = git.run("ls-tree", "-r", "-l", "-z", "--full-tree", sha)
    for line in listing.decode("utf-8", errors="replace").split("\0"):
        if line:
            facts, _, path = line.partition("\t")
            mode, _, identity, size = facts.split()
            yield Entry(mode, identity, -1 if size == "-" else int(size), path)


def _plain(path: str) -> bool:
    """A hostile tree object may hold names that git itself would never check out."""
    return not any(part in {"", ".", "..", ".git"} or "\ufffd" in part for part in path.split("/"))


def _contents(files: Sequence[Entry]) -> Iterator[bytes]:
    """The files' bytes, as they were committed."""
    found = git.run("cat-file", "--batch", given="".join(f"{entry.identity}\n" for entry in files).encode())
    place = 0
    for entry in files:
        start = found.index(b"\n", place) + 1  # `<identity> blob <size>`, the content, a newline
        place = start + entry.size + 1
        yield found[start : start + entry.size]
