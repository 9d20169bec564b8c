"""The model's files, checked against their manifest before any of them is used."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .catalogue import Catalogue, read_catalogue
from .errors import ArchiveError
from .ids import Ids, read_ids
from .json_text import parse
from .members import (
    MANIFEST,
    MAX_MANIFEST,
    Content,
    array_of,
    forget,
    parse_manifest,
    read_file,
    read_members,
    refuse_unless,
    refuse_unless_finite,
    refuse_unless_within,
    text_of,
)
from .score import Score, read_score
from .top_items import Table, read_table
from .trust import MAX_SIGNATURE, SIGNATURE, Trust

SCHEMA_VERSION = 1
MAX_GOLDEN = 1000

__all__ = ["Archive", "ArchiveError", "load"]


@dataclass(frozen=True)
class Archive:
    """A checked archive: small parts in memory, large ones mapped.

    `sha256` is its manifest's digest, and the manifest holds all others.
    """

    sha256: str
    files: Mapping[str, Content]
    manifest: Mapping[str, Any]
    users: Ids
    catalogue: Catalogue
    score: Score
    seen_offsets: npt.NDArray[np.int64]
    seen_items: npt.NDArray[np.int32]
    item_factors: npt.NDArray[np.float32]
    table: Table | None
    blend_below: int
    golden: list[dict[str, Any]]

    def seen(self, user: int) -> npt.NDArray[np.int32]:
        """The items that a user took."""
        return self.seen_items[self.seen_offsets[user] : self.seen_offsets[user + 1]]

    def settle(self) -> None:
        """Let go of what was read only to be checked; requests bring back what they need."""
        for content in self.files.values():
            forget(content)


def load(folder: Path, trust: Trust | None = None) -> Archive:
    """Read and check the files in a folder. Raises ArchiveError that says which one is wrong, and how."""
    try:
        text = read_file(folder, MANIFEST, MAX_MANIFEST)
        check_trust(folder, text, trust or Trust())
        manifest = parse_manifest(text)
        refuse_unless(manifest.get("schema_version") == SCHEMA_VERSION, f"schema_version is not {SCHEMA_VERSION}")
        files = read_members(folder, manifest["files"])
        return checked(hashlib.sha256(text).hexdigest(), manifest, files)
    except ArchiveError as error:
        raise ArchiveError(f"{folder}: {error}") from error
    except KeyError as error:
        raise ArchiveError(f"{folder}: lacks {error}; training writes it into every archive") from error
    except Exception as error:  # every parser here has its own errors, and all of them mean the same
        raise ArchiveError(f"{folder}: not a model archive ({type(error).__name__}: {error})") from error


def check_trust(folder: Path, manifest: bytes, trust: Trust) -> None:
    """The manifest is the one that may be served here, and signed if it has to be."""
    signed = trust.public_key and (folder / SIGNATURE).exists()
    objection = trust.objection(manifest, read_file(folder, SIGNATURE, MAX_SIGNATURE) if signed else None)
    refuse_unless(not objection, str(objection))


def checked(sha256: str, manifest: dict[str, Any], files: dict[str, Content]) -> Archive:
    """The archive in these files, all of its parts fitting each other, so that no request can run out of an array."""
    users = read_ids(text_of(files, "users.json"), "users.json")
    catalogue = read_catalogue(files, len(users))
    items = len(catalogue.ids)
    offsets, seen = read_seen(files, len(users), items)
    factors = array_of(files, "item_factors.npy", "<f4", (items, None))
    refuse_unless_finite("item_factors.npy", files["item_factors.npy"], factors)
    below = manifest.get("blend_below", 0)
    refuse_unless(type(below) is int and below >= 0, "manifest.json's blend_below is not a whole number")
    return Archive(
        sha256=sha256,
        files=files,
        manifest=manifest,
        users=users,
        catalogue=catalogue,
        score=read_score(files["score.onnx"], len(users), items),
        seen_offsets=offsets,
        seen_items=seen,
        item_factors=factors,
        table=read_table(files, offsets, seen, items),
        blend_below=below,
        golden=read_golden(text_of(files, "golden.jsonl")),
    )


def read_seen(
    files: Mapping[str, Content], users: int, items: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Where each user's items begin [U + 1], and the items."""
    offsets = array_of(files, "seen_offsets.npy", "<i8", (users + 1,))
    seen = array_of(files, "seen_items.npy", "<i4", (None,))
    right = offsets[0] == 0 and offsets[-1] == len(seen) and bool((np.diff(offsets) >= 0).all())
    refuse_unless(right, "seen_offsets.npy does not fit")
    refuse_unless_within("seen_items.npy", files["seen_items.npy"], seen, 0, items)
    return offsets, seen


def read_golden(text: bytes) -> list[dict[str, Any]]:
    """The requests that the archive must answer as it says."""
    lines = text.splitlines()
    refuse_unless(len(lines) <= MAX_GOLDEN, f"golden.jsonl has more than {MAX_GOLDEN} lines")
    found = [parse(line) for line in lines]
    refuse_unless(all(right_golden(line) for line in found), "golden.jsonl is not requests with itemIds and scores")
    return found


def right_golden(line: Any) -> bool:
    """Whether a line has a user, a number of results, and as many ids as scores."""
    if not (isinstance(line, dict) and isinstance(line.get("request"), dict)):
        return False
    request, ids, scores = line["request"], line.get("itemIds"), line.get("scores")
    if not (isinstance(ids, list) and isinstance(scores, list) and len(ids) == len(scores)):
        return False
    right = all(isinstance(one, str) for one in ids) and all(type(one) in {int, float} for one in scores)
    return right and isinstance(request.get("userId"), str) and type(request.get("numResults")) is int
