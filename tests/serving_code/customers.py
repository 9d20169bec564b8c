"""Archives of several customers that cannot be taken for each other: every item's id begins with their mark."""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

from checkerboard import ARCHIVE


def write_customer(folder: Path, mark: str) -> Path:
    """The board's archive with the ids of one customer."""
    shutil.copytree(ARCHIVE, folder)
    for name in ("items.json", "golden.jsonl"):
        path = folder / name
        path.write_text(path.read_text().replace('"i', f'"{mark}:i').replace(f'"{mark}:itemIds"', '"itemIds"'))
    return rewrite_manifest(folder)


def rewrite_manifest(folder: Path, **more: Any) -> Path:
    """Digests as they are now."""
    path = folder / "manifest.json"
    found = {**json.loads(path.read_text()), **more}
    for name in found["files"]:
        content = (folder / name).read_bytes()
        found["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    path.write_text(json.dumps(found))
    return folder


def pack(folder: Path, path: Path) -> Path:
    """The folder as a .tar.gz, as SageMaker keeps it."""
    with tarfile.open(path, "w:gz") as tar:
        for one in sorted(folder.iterdir()):
            tar.add(one, one.name)
    return path
