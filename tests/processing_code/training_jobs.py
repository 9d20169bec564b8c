"""What a training job leaves, built from the fixture archive: model.tar.gz that holds one archive for each model."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from checkerboard import ARCHIVE


def files() -> dict[str, bytes]:
    """The members of the fixture archive."""
    return {path.name: path.read_bytes() for path in ARCHIVE.iterdir()}


def changed(**change: object) -> dict[str, bytes]:
    """The fixture archive with another manifest."""
    found = files()
    return found | {"manifest.json": json.dumps(json.loads(found["manifest.json"]) | change).encode()}


def with_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> dict[str, bytes]:
    """The fixture archive with one of its arrays changed, and the manifest right about it."""
    found = files()
    buffer = io.BytesIO()
    np.save(buffer, change(np.load(io.BytesIO(found[name]))))
    listed = json.loads(found["manifest.json"])["files"]
    listed[name] = {"sha256": hashlib.sha256(buffer.getvalue()).hexdigest(), "bytes": len(buffer.getvalue())}
    return changed(files=listed) | {name: buffer.getvalue()}


def packed(members: Mapping[str, bytes], extra: list[tarfile.TarInfo] | None = None) -> bytes:
    """A tar.gz of these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in extra or []:
            tar.addfile(member)
    return buffer.getvalue()


def write(folder: Path, content: bytes) -> Path:
    """folder/model.tar.gz with this content; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tar.gz").write_bytes(content)
    return folder


def champion(folder: Path, members: Mapping[str, bytes] | None = None) -> Path:
    """A registered model's archive, by default the fixture."""
    return write(folder, packed(files() if members is None else members))


def job(folder: Path, models: Mapping[str, Mapping[str, bytes]] | None = None, **more: bytes) -> Path:
    """A training job's model.tar.gz, by default of the fixture alone."""
    archives = {f"{name}.tar.gz": packed(members) for name, members in (models or {"neumf": files()}).items()}
    return write(folder, packed({**archives, **more}))
