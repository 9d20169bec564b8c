"""The model's files, checked against their manifest before any of them is used."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from .trust import MAX_SIGNATURE, SIGNATURE, Trust

SCHEMA_VERSION = 1
MAX_BYTES = 2**31


class ArchiveError(Exception):
    """What is wrong with the model's files; /ping says it."""


@dataclass(frozen=True)
class Archive:
    """A checked archive in memory. `sha256` is its manifest's digest, and the manifest holds all others."""

    sha256: str
    manifest: Mapping[str, Any]
    users: list[str]
    items: list[str]
    popularity: npt.NDArray[Any]
    seen_offsets: npt.NDArray[Any]
    seen_items: npt.NDArray[Any]
    item_factors: npt.NDArray[Any]
    session: onnxruntime.InferenceSession
    golden: list[dict[str, Any]]


def load(folder: Path, trust: Trust | None = None) -> Archive:
    """Read and check the files in a folder. Raises ArchiveError that says which one is wrong, and how."""
    try:
        return checked(folder, trust or Trust())
    except ArchiveError:
        raise
    except KeyError as error:
        raise ArchiveError(f"{folder}: lacks {error}; training writes it into every archive") from error
    except Exception as error:  # every parser here has its own errors, and all of them mean the same
        raise ArchiveError(f"{folder}: not a model archive ({type(error).__name__}: {error})") from error


def checked(folder: Path, trust: Trust) -> Archive:
    """The archive, every file compared with the manifest's digest before it is parsed."""
    text = read(folder / "manifest.json")
    check_trust(folder, text, trust)
    manifest = json.loads(text)
    refuse_unless(manifest["schema_version"] == SCHEMA_VERSION, f"schema_version is not {SCHEMA_VERSION}")
    files = {name: member(folder, name, said["sha256"]) for name, said in manifest["files"].items()}
    users, items = (string_list(files[f"{name}.json"]) for name in ("users", "items"))
    names = ("popularity", "seen_offsets", "seen_items", "item_factors")
    arrays = {name: np.load(io.BytesIO(files[f"{name}.npy"]), allow_pickle=False) for name in names}
    session = open_session(files["score.onnx"])
    golden = [json.loads(line) for line in files["golden.jsonl"].splitlines()]
    found = Archive(hashlib.sha256(text).hexdigest(), manifest, users, items, session=session, golden=golden, **arrays)
    check_shapes(found)
    return found


def check_trust(folder: Path, manifest: bytes, trust: Trust) -> None:
    """The manifest is the one that may be served here, and signed if it has to be."""
    path = folder / SIGNATURE
    signature = read(path)[:MAX_SIGNATURE] if trust.public_key and path.exists() else None
    objection = trust.objection(manifest, signature)
    refuse_unless(not objection, str(objection))


def read(path: Path) -> bytes:
    """A regular file's bytes; a link could lead anywhere."""
    refuse_unless(path.is_file() and not path.is_symlink(), f"{path.name} is not a regular file")
    refuse_unless(path.stat().st_size <= MAX_BYTES, f"{path.name} is larger than {MAX_BYTES} bytes")
    return path.read_bytes()


def member(folder: Path, name: str, sha256: str) -> bytes:
    """A listed file's bytes, if its name stays in the folder and its digest is the listed one."""
    refuse_unless(name not in {"", ".", ".."} and Path(name).name == name, f"{name!r} is not a plain file name")
    content = read(folder / name)
    refuse_unless(hashlib.sha256(content).hexdigest() == sha256, f"{name} differs from its digest in manifest.json")
    return content


def open_session(graph: bytes) -> onnxruntime.InferenceSession:
    """The score as a session of one thread: requests run side by side instead."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def string_list(text: bytes) -> list[str]:
    """An id map."""
    found = json.loads(text)
    right = isinstance(found, list) and all(isinstance(one, str) for one in found) and len(set(found)) == len(found)
    refuse_unless(right, "users.json or items.json is not a list of distinct strings")
    return list(found)


def check_shapes(found: Archive) -> None:
    """The parts fit each other, so that no request can run out of an array."""
    users, items = len(found.users), len(found.items)
    inputs = [(one.name, one.type, len(one.shape)) for one in found.session.get_inputs()]
    outputs = [(one.type, one.shape[1:]) for one in found.session.get_outputs()]
    refuse_unless(inputs == [("user", "tensor(int64)", 1)], f"score.onnx takes {inputs}, not user int64[n]")
    refuse_unless(outputs == [("tensor(float)", [items])], f"score.onnx gives {outputs}, not float32[n, {items}]")
    refuse_unless(items > 0, "there is no item")
    refuse_unless(found.popularity.shape == (items,), "popularity.npy has not one number for each item")
    refuse_unless(found.item_factors.ndim == 2 and len(found.item_factors) == items, "item_factors.npy does not fit")
    offsets, seen = found.seen_offsets, found.seen_items
    refuse_unless(
        offsets.shape == (users + 1,) and bool((np.diff(offsets) >= 0).all()), "seen_offsets.npy does not fit"
    )
    ends = offsets[0] == 0 and offsets[-1] == len(seen)
    refuse_unless(
        bool(ends) and (not len(seen) or 0 <= seen.min() <= seen.max() < items), "seen_items.npy does not fit"
    )


def refuse_unless(right: bool, what: str) -> None:
    """Raise ArchiveError unless the archive is right in this."""
    if not right:
        raise ArchiveError(what)
