"""A commit's files as git holds them: no attribute, filter, hook or link of that commit has an effect."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitops import git

LINK = "120000"  # what git calls a link; its content is where it points
MODES = {"100644": 0o644, "100755": 0o755}  # and what it calls regular files
LONGEST_NAME, LONGEST_PATH = 255, 1024  # bytes that file systems take


@dataclass(frozen=True)
class Entry:
    """One line of a tree: `size` is -1 for what is no file."""

    mode: str
    identity: str
    size: int
    path: str

    @property
    def sound(self) -> bool:
        """Whether any file system may have such a name; a hostile tree may hold what git would never check out."""
        parts = self.path.split("/")
        lengths = max(len(part.encode()) for part in parts) <= LONGEST_NAME and len(self.path.encode()) <= LONGEST_PATH
        return lengths and not any(part in {"", ".", "..", ".git"} or "\ufffd" in part for part in parts)


def entries(sha: str) -> Iterator[Entry]:
    """Every file, link and submodule of the commit; a byte of a name that is no UTF-8 is U+FFFD."""
    listing = git.run("ls-tree", "-r", "-l", "-z", "--full-tree", sha)
    for line in listing.decode("utf-8", errors="replace").split("\0"):
        if line:
            facts, _, path = line.partition("\t")
            mode, _, identity, size = facts.split()
            yield Entry(mode, identity, -1 if size == "-" else int(size), path)


def contents(files: Sequence[Entry]) -> Iterator[bytes]:
    """The files' bytes, as they were committed."""
    found = git.run("cat-file", "--batch", given="".join(f"{entry.identity}\n" for entry in files).encode())
    place = 0
    for entry in files:
        start = found.index(b"\n", place) + 1  # `<identity> blob <size>`, the content, a newline
        place = start + entry.size + 1
        yield found[start : start + entry.size]
