"""What releases/ of a commit says about a release: its record, read without trusting it."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from gitops import ledger
from gitops.deployment import Release
from gitops.promotion.review import interval, number, point

METRIC = "ndcg@10"
LARGEST = 2**20  # bytes of a record that is read; one has about 20 KiB


def record(root: Path, model: str, identity: str) -> dict[str, Any] | None:
    """The record below a tree's root; None if it is not there or cannot be read."""
    file = root / ledger.path(model, identity)
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size <= LARGEST else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def records(root: Path, model: str) -> list[dict[str, Any]]:
    """Every record of a model, the newest first."""
    files = sorted((root / ledger.FOLDER / model).glob("*.json"))
    found = [one for one in (record(root, model, file.stem) for file in files) if one]
    return sorted(found, key=lambda one: str(one.get("created", "")), reverse=True)


def metrics(found: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The record's metrics; empty where there are none."""
    measured = (found or {}).get("metrics")
    return measured if isinstance(measured, Mapping) else {}


def metric(found: Mapping[str, Any]) -> str:
    """The metric that models of this record are compared by."""
    rules = found.get("gate")
    relative = (rules.get("rules") or {}).get("relative") if isinstance(rules, Mapping) else None
    return str(relative.get("metric", METRIC)) if isinstance(relative, Mapping) else METRIC


def release_line(root: Path, model: str, release: Release, now: datetime) -> str:
    """`ncf-9c41d2e7a0b1, version 18, ndcg@10 0.0312 [0.0301, 0.0323], 12 days old`."""
    found = record(root, model, release.id)
    facts = [release.id, f"version {release.version}"]
    if found is None:
        return ", ".join([*facts, f"no record in {ledger.FOLDER}/{model}/"])
    name = metric(found)
    measured = metrics(found).get(name)
    value = f"{name} {number(measured)} {interval(measured)}".rstrip()
    report = [f"report {found['report']}"] if isinstance(found.get("report"), str) else []
    return ", ".join([*facts, value, age(found.get("created"), now), *report])


def age(created: Any, now: datetime) -> str:
    """`12 days old`."""
    try:
        days = (now - datetime.fromisoformat(str(created))).days
    except (ValueError, TypeError):  # no time, or one without a zone
        return "of unknown age"
    return f"{max(days, 0)} day{'s' * (days != 1)} old"


def deltas(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[tuple[str, str, str, str]]:
    """(metric, before, after, difference) of every metric that either record has."""
    old, new = metrics(before), metrics(after)
    rows = []
    for name in sorted(map(str, {*old, *new})):
        first, second = point(old.get(name)), point(new.get(name))
        change = f"{second - first:+.4f}" if first is not None and second is not None else "-"
        rows.append((name, number(first), number(second), change))
    return rows
