"""releases/<model>/<id>.json: the evidence of each candidate, written once and never changed."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gitops.deployment import Release
from gitops.errors import GitopsError
from pipelines import models

FOLDER = "releases"


def release_id(model: str, run_id: str) -> str:
    """`ncf-9c41d2e7a0b1` for the model's name and the digest of its run."""
    return f"{model}-{run_id[:12]}"


def path(model: str, identity: str) -> str:
    """Where the record of a release lies, relative to the repository's root."""
    return f"{FOLDER}/{model}/{identity}.json"


def release(text: str, identity: str) -> Release:
    """The release that a record describes; GitopsError if it is no record of that release."""
    try:
        record = json.loads(text)
        found = {key: record[key] for key in ("id", "package_arn", "image")}
        found |= {"archive_uri": record["archive"]["uri"], "archive_sha256": record["archive"]["sha256"]}
    except (ValueError, KeyError, TypeError) as error:
        raise GitopsError(
            f"{FOLDER}/: the record of {identity} is not one ({error}); see the commit that wrote it"
        ) from error
    return models.parse(Release, Path(f"{identity}.json"), found)


def render(record: dict[str, Any]) -> str:
    """The record as its file's text: sorted and indented, so that equal records are equal files."""
    return json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def rewritten(changed: Iterable[str], at_base: Iterable[str]) -> list[str]:
    """The changed paths that break the rule: records that were there before (changed or removed)."""
    before = set(at_base)
    return sorted(name for name in changed if name.startswith(f"{FOLDER}/") and name in before)
