"""A commit's files on disk without a checkout, for a plan: regular files only."""

from collections.abc import Collection
from pathlib import Path

from gitops import tree
from gitops.errors import GitopsError
from gitops.tree import MODES, Entry

MAX_FILES, MAX_BYTES = 20_000, 128 * 2**20


def write(sha: str, folder: Path, names: Collection[str], limit: int = MAX_BYTES) -> list[str]:
    """Write the commit's regular files at or below `names` into `folder`; a sentence for each entry left out.

    Raises GitopsError for a tree of more than 20,000 files or `limit` bytes: a plan is no way to fill a disk.
    """
    tops, whole = {name for name in names if "/" not in name}, set(names)
    entries = [one for one in tree.entries(sha) if one.path in whole or one.path.partition("/")[0] in tops]
    files = [entry for entry in entries if not _refusal(entry)]
    total = sum(entry.size for entry in files)
    if len(files) > MAX_FILES or total > limit:
        raise GitopsError(f"{sha[:12]}: {len(files)} files of {total} bytes are too much to plan; keep data out of git")
    try:
        for entry, content in zip(files, tree.contents(files), strict=True):
            place = folder / entry.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            place.chmod(MODES[entry.mode])
    except OSError as error:  # a name that is a file and a folder, a full disk
        raise GitopsError(f"{sha[:12]}: its files cannot be written: {error.strerror}; plan another commit") from error
    return sorted({f"{entry.path[:200]}: {_refusal(entry)}" for entry in entries if _refusal(entry)})


def _refusal(entry: Entry) -> str:
    if not entry.sound:
        return "its name is too long, no UTF-8 or leads elsewhere; rename it"
    return "" if entry.mode in MODES else "is a link or a submodule; only regular files are read"
