"""Reading a model archive that may be hostile: nothing is unpacked, and nothing is used before it was checked."""

import hashlib
import io
import json
import math
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from problems import ProcessingError

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before it is imported: it would tell its maker what it measured
import onnxruntime

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Scorer = Callable[[Integers], Floats]  # user positions [n] -> scores [n, items]; -inf for an item it cannot score

SCHEMA_VERSION = 1
MAX_MEMBERS = 64
MAX_BYTES = 2**31
SCORES_AT_ONCE = 2**17  # users times items in one call: keeps the graph's middle layers near 64 MiB


@dataclass(frozen=True)
class ModelArchive:
    """What an archive says, checked against its own manifest. `run` is score.onnx, in the archive's own positions."""

    sha256: str
    bytes: int
    model: str
    data_through: str
    validation: Mapping[str, float]
    users: list[str]
    items: list[str]
    popularity: npt.NDArray[Any]
    seen: tuple[Integers, Integers]  # the pairs it was trained on, as user and item positions
    run: Scorer
    manifest: Mapping[str, Any] = field(default_factory=dict)  # as it was written
    available: npt.NDArray[np.bool_] | None = None  # which items can be had; None: all
    golden: str = ""  # golden.jsonl


def read_archive(path: Path) -> ModelArchive:
    """Read and check a file model.tar.gz. Raises ProcessingError that says what is wrong with it."""
    try:
        return parse_archive(read_bytes(path))
    except (OSError, ProcessingError) as error:
        raise ProcessingError(f"{path}: {error}") from error


def read_bytes(path: Path) -> bytes:
    """A file of a size that can be held. Raises ProcessingError for a larger one, before it is read."""
    refuse_unless(path.stat().st_size <= MAX_BYTES, f"larger than {MAX_BYTES} bytes")
    return path.read_bytes()


def parse_archive(content: bytes) -> ModelArchive:
    """Check the bytes of an archive. Raises ProcessingError that says what is wrong with them."""
    try:
        members = read_members(content)
        manifest = json.loads(members["manifest.json"])
        check_digests(manifest, members)
        users, items = (string_list(json.loads(members[f"{name}.json"])) for name in ("users", "items"))
        popularity = array(members["popularity.npy"])
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as for numpy's threads: evaluate.py
        session = onnxruntime.InferenceSession(members["score.onnx"], options, providers=["CPUExecutionProvider"])
        check_shapes(session, popularity, len(items))
        return ModelArchive(
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            model=str(manifest["model"]),
            data_through=str(manifest["data_through"]),
            validation=measured(manifest["validation"]),
            users=users,
            items=items,
            popularity=popularity,
            seen=pairs(array(members["seen_offsets.npy"]), array(members["seen_items.npy"]), len(users), len(items)),
            run=lambda positions: np.asarray(session.run(None, {"user": positions})[0]),
            manifest=manifest,
            available=available(members.get("available.npy"), len(items)),
            golden=members.get("golden.jsonl", b"").decode("utf-8", errors="replace"),
        )
    except KeyError as error:
        raise ProcessingError(f"lacks {error}; training writes it into every archive") from error
    except ProcessingError:
        raise
    except Exception as error:  # every parser here has its own errors, and all of them mean the same
        raise ProcessingError(f"not a model archive ({type(error).__name__}: {error})") from error


def read_members(content: bytes) -> dict[str, bytes]:
    """A tar's files by name. Only regular files at the top level, few and not too large, are let in."""
    found: dict[str, bytes] = {}
    left = MAX_BYTES
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        for count, member in enumerate(tar, start=1):
            name = member.name.removeprefix("./")
            if member.isdir() and name in {"", "."}:
                continue
            refuse_unless(member.isreg(), f"member {name!r} is not a regular file")
            refuse_unless(name not in {"", ".", ".."} and "/" not in name and "\\" not in name,
                          f"member {name!r} is not a plain file name")  # fmt: skip
            refuse_unless(name not in found, f"member {name!r} is there twice")
            refuse_unless(count <= MAX_MEMBERS, f"more than {MAX_MEMBERS} members")
            left -= member.size
            refuse_unless(left >= 0, f"larger than {MAX_BYTES} bytes when unpacked")
            file = tar.extractfile(member)
            found[name] = file.read() if file else b""
    return found


def refuse_unless(right: bool, what: str) -> None:
    """Raise ProcessingError unless the archive is right in this."""
    if not right:
        raise ProcessingError(what)


def check_digests(manifest: dict[str, Any], members: Mapping[str, bytes]) -> None:
    """Every member but the manifest is listed in it with its digest, and nothing else is."""
    version = manifest["schema_version"]
    refuse_unless(version == SCHEMA_VERSION, f"schema_version is {version!r}; {SCHEMA_VERSION} is read here")
    listed = manifest["files"]
    others = set(members) - {"manifest.json"}
    refuse_unless(set(listed) == others, f"manifest and members differ in {sorted(set(listed) ^ others)}")
    for name, said in listed.items():
        right = hashlib.sha256(members[name]).hexdigest() == said["sha256"]
        refuse_unless(right, f"member {name!r} differs from its digest in the manifest")


def check_shapes(session: onnxruntime.InferenceSession, popularity: npt.NDArray[Any], items: int) -> None:
    """The graph takes user int64[n] and gives float32[n, items]."""
    inputs = [(one.name, one.type, len(one.shape)) for one in session.get_inputs()]
    outputs = [(one.type, one.shape[1:]) for one in session.get_outputs()]
    refuse_unless(inputs == [("user", "tensor(int64)", 1)], f"score.onnx takes {inputs}, not user int64[n]")
    refuse_unless(outputs == [("tensor(float)", [items])], f"score.onnx gives {outputs}, not float32[n, {items}]")
    refuse_unless(popularity.shape == (items,), f"popularity has shape {popularity.shape}, not ({items},)")


def array(content: bytes) -> npt.NDArray[Any]:
    """An .npy member; one that would need pickle is refused."""
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))


def available(content: bytes | None, items: int) -> npt.NDArray[np.bool_] | None:
    """Which items can be had, if the archive says so."""
    if content is None:
        return None
    found = array(content)
    refuse_unless(found.shape == (items,) and found.dtype == np.bool_, "available is not a truth for each item")
    return found


def pairs(offsets: npt.NDArray[Any], item: npt.NDArray[Any], users: int, items: int) -> tuple[Integers, Integers]:
    """The pairs that seen_offsets and seen_items stand for, or ProcessingError."""
    right = offsets.shape == (users + 1,) and offsets[0] == 0 and offsets[-1] == len(item)
    refuse_unless(bool(right and (np.diff(offsets) >= 0).all()), "seen_offsets does not divide seen_items by user")
    refuse_unless(item.size == 0 or 0 <= item.min() <= item.max() < items, "seen_items names an item that is not there")
    return np.repeat(np.arange(users), np.diff(offsets)), item.astype(np.int64)


def measured(found: Any) -> dict[str, float]:
    """The manifest's validation metrics that are finite numbers."""
    numbers = {name: value for name, value in found.items() if type(value) in {int, float}}
    return {str(name): float(value) for name, value in numbers.items() if math.isfinite(value)}


def string_list(found: Any) -> list[str]:
    """An id map, or ProcessingError."""
    right = isinstance(found, list) and all(isinstance(one, str) for one in found) and len(set(found)) == len(found)
    refuse_unless(right, "users or items is not a list of distinct strings")
    return list(found)


def scorer(model: ModelArchive, users: Sequence[str], items: Sequence[str]) -> Scorer:
    """The model's scores in another vocabulary's positions: how a champion is scored on today's holdout.

    A user it does not know gets its popularity, as its endpoint would answer; an item it does not know gets -inf.
    """
    user_at = positions(model.users, users)
    item_at = positions(model.items, items)
    known_items = item_at >= 0

    def score(asked: Integers) -> Floats:
        found = np.full((len(asked), len(items)), -np.inf, dtype=np.float32)
        own = user_at[asked]
        found[:, known_items] = model.popularity[item_at[known_items]].astype(np.float32)
        known_users = np.flatnonzero(own >= 0)
        step = max(1, SCORES_AT_ONCE // len(model.items))
        for start in range(0, len(known_users), step):
            rows = known_users[start : start + step]
            scores = model.run(own[rows])
            found[np.ix_(rows, known_items)] = scores[:, item_at[known_items]]
        return found

    return score


def positions(own: Sequence[str], asked: Sequence[str]) -> Integers:
    """Where each asked id is in a model's own list; -1 where it is not."""
    place = {name: position for position, name in enumerate(own)}
    return np.array([place.get(name, -1) for name in asked], dtype=np.int64)
