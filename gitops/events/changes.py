"""Which class a changed path falls in, and what that means: pure, the table of docs and rules in one place."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

ENTRY_LIMIT = 256 * 1024  # bytes of one PutEvents entry, as EventBridge counts them


@dataclass(frozen=True)
class PathClass:
    """Paths that belong together: what a merge request and the main branch do about them."""

    name: str
    prefixes: tuple[str, ...]
    on_merge_request: str
    on_main: str


# The first class whose prefix fits wins. A prefix that ends in "/" is a folder, any other a whole file name.
CLASSES: tuple[PathClass, ...] = (
    PathClass(
        "retrain",
        ("params/", "pipelines/", "processing_code/", "training_code/", "buildspec.yml"),
        "plan",
        "CodeBuild retrain: python -m pipelines run --all --wait (a run that already succeeded starts nothing)",
    ),
    PathClass(
        "image",
        ("serving_code/",),
        "plan and contract tests",
        "CodeBuild image: python -m gitops image (builds it and proposes its digest, trains nothing)",
    ),
    PathClass(
        "reconcile staging",
        ("deploy/staging/",),
        "endpoint diff",
        "CodeBuild deploy: python -m gitops reconcile staging (trains nothing)",
    ),
    PathClass(
        "reconcile production",
        ("deploy/production/",),
        "endpoint diff",
        "CodeBuild deploy: python -m gitops reconcile production (trains nothing)",
    ),
    PathClass("evidence", ("releases/",), "append-only check", "nothing"),
)
OTHER = PathClass("other", (), "tests", "nothing")


def classify(path: str) -> PathClass:
    """The class of one path, relative to the repository's root."""
    for kind in CLASSES:
        for prefix in kind.prefixes:
            if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
                return kind
    return OTHER


def by_class(paths: Iterable[str]) -> dict[PathClass, list[str]]:
    """The paths under their classes, in the table's order; classes without paths are absent."""
    sorted_paths = sorted(set(paths))
    found = {kind: [path for path in sorted_paths if classify(path) == kind] for kind in (*CLASSES, OTHER)}
    return {kind: members for kind, members in found.items() if members}


def fold(path: str) -> str:
    """The folder that stands for `path` in a list too long: its rule's folder, else its first; files on top stay.

    `deploy/staging/ncf.yml` becomes `deploy/staging/`, not `deploy/`, so that a rule matches the folded list
    exactly when it would have matched the whole one.
    """
    for prefix in classify(path).prefixes:
        if prefix.endswith("/") and path.startswith(prefix):
            return prefix
    first, slash, _ = path.partition("/")
    return first + slash


def fit(detail: dict[str, Any], budget: int = ENTRY_LIMIT - 1024) -> dict[str, Any]:
    """`detail` with its changedFiles folded if it would not fit into `budget` bytes of JSON (UTF-8).

    The default leaves 1 KiB for the entry's other fields. A list still too long when folded keeps what a
    class of the table asks for; `truncated` says that files are missing from the list.
    """
    files: Sequence[str] = detail["changedFiles"]
    folded = sorted({fold(path) for path in files})
    asked_for = [path for path in folded if classify(path) != OTHER]
    for candidate, truncated in ((list(files), False), (folded, True), (asked_for, True)):
        fitted = {**detail, "changedFiles": candidate, "truncated": truncated}
        if len(json.dumps(fitted).encode()) <= budget:
            return fitted
    return {**detail, "changedFiles": asked_for, "truncated": True}
