"""What a training job leaves, built from the fixture archive: model.tar.gz that holds one archive for each model."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from checkerboard import ARCHIVE
from onnx import TensorProto, helper, numpy_helper


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


def table(scores: np.ndarray) -> bytes:
    """score.onnx of a model that has learnt these scores [users, items] by heart."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "user"], ["scores"])],
        "score",
        [helper.make_tensor_value_info("user", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", scores.shape[1]])],
        [numpy_helper.from_array(scores.astype(np.float32), "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def archive_of(graph: bytes, users: list[str], items: list[str], **manifest: object) -> dict[str, bytes]:
    """An archive of any graph: nobody has seen anything, and every item is as popular as its number."""
    arrays = {
        "popularity": np.arange(len(items)),
        "seen_offsets": np.zeros(len(users) + 1, dtype=np.int64),
        "seen_items": np.zeros(0, dtype=np.int32),
    }
    found = {"score.onnx": graph, "users.json": json.dumps(users).encode(), "items.json": json.dumps(items).encode()}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        found[f"{name}.npy"] = buffer.getvalue()
    listed = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in found.items()}
    said = {"schema_version": 1, "model": "neumf", "validation": {}, "data_through": "2026-01-01T00:00:00.000000Z"}
    return found | {"manifest.json": json.dumps({**said, **manifest, "files": listed}).encode()}


def packed(members: Mapping[str, bytes], extra: list[tarfile.TarInfo] | None = None) -> bytes:
    """A tar.gz of these members."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
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
