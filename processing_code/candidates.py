"""What a training job left: one archive for each model that succeeded, and why others did not.

SageMaker packs the job's model folder as model.tar.gz; in it are `<model>.tar.gz` for each model and, when some
failed, failures.json {model: reason}. It may be as hostile as an archive itself, and is read as carefully.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_archive import ModelArchive, parse_archive, read_bytes, read_members, refuse_unless
from problems import ProcessingError

MEMBER = re.compile(r"([a-z][a-z0-9_-]{0,31})\.tar\.gz")
FAILURES = "failures.json"
VALIDATED = "ndcg@10"  # what training always measures


@dataclass(frozen=True)
class Candidates:
    """The models by name, their archives' bytes as training wrote them, and the reasons of those that failed."""

    archives: Mapping[str, ModelArchive]
    contents: Mapping[str, bytes]
    failures: Mapping[str, str]


def read_candidates(path: Path) -> Candidates:
    """Read a training job's model.tar.gz. Raises ProcessingError that says what is wrong with it."""
    try:
        members = read_members(read_bytes(path))
        failures = read_failures(members.pop(FAILURES, b"{}"))
        contents = {model_name(member): content for member, content in sorted(members.items())}
        refuse_unless(bool(contents), f"holds no <model>.tar.gz; training failed for {sorted(failures) or 'all'}")
        both = sorted(set(contents) & set(failures))
        refuse_unless(not both, f"{both} succeeded and failed at once")
        return Candidates({name: read_one(name, content) for name, content in contents.items()}, contents, failures)
    except ProcessingError as error:
        raise ProcessingError(f"{path}: {error}") from error
    except Exception as error:  # tarfile, zlib and json each have their own errors, and all of them mean the same
        raise ProcessingError(f"{path}: not what training writes ({type(error).__name__}: {error})") from error


def model_name(member: str) -> str:
    """neumf.tar.gz -> neumf, or ProcessingError."""
    found = MEMBER.fullmatch(member)
    if found is None:
        raise ProcessingError(f"member {member!r} is not like neumf.tar.gz")
    return found[1]


def read_one(name: str, content: bytes) -> ModelArchive:
    """A model's archive, which must be of the model it is named after."""
    try:
        archive = parse_archive(content)
        refuse_unless(archive.model == name, f"its manifest says model {archive.model!r}")
    except ProcessingError as error:
        raise ProcessingError(f"{name}.tar.gz: {error}") from error
    return archive


def read_failures(content: bytes) -> dict[str, str]:
    """failures.json, or ProcessingError."""
    found = json.loads(content)
    right = isinstance(found, dict) and all(isinstance(reason, str) for reason in found.values())
    refuse_unless(right, f"{FAILURES} is not {{model: reason}}")
    return dict(found)


def propose(archives: Mapping[str, ModelArchive], metric: str) -> str:
    """The model with the best validation metric; the holdout is never asked, or its numbers would flatter the winner.

    Where no manifest has that metric it is ndcg@10; among equals the first name wins. Raises ProcessingError when
    several models cannot be compared.
    """
    if len(archives) == 1:
        return next(iter(archives))
    for asked in (metric, VALIDATED):
        known = {name: one.validation[asked] for name, one in archives.items() if asked in one.validation}
        if known:
            return min(known, key=lambda name: (-known[name], name))
    raise ProcessingError(f"no manifest has validation {metric} or {VALIDATED}; training must measure one of them")


def write_archives(folder: Path, candidates: Candidates) -> None:
    """<folder>/<model>/model.tar.gz for each model, byte for byte as training wrote it."""
    for name, content in candidates.contents.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "model.tar.gz").write_bytes(content)
