"""Live traffic against the data that production's model was trained on: python -m gitops drift params/ncf.yml"""

import io
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from gitops import archive, aws, specs
from gitops.data import captures, drift
from gitops.deployment import VARIANT, Release
from gitops.errors import GitopsError

MEMBERS = ("users.json", "items.json", "seen_offsets.npy", "popularity.npy")
MEMBER_LIMIT = 512 * archive.MIB


@dataclass(frozen=True)
class Window:
    """Which endpoint's captures of which hours, UTC."""

    endpoint: str
    first: datetime
    last: datetime


def observe(s3: Any, release: Release, window: Window, limits: drift.Limits) -> drift.Report:
    """Compare the window's captured requests with what `release` was trained on. Raises GitopsError."""
    bucket, _ = aws.split_uri(release.archive_uri)
    uri = f"s3://{bucket}/{specs.CAPTURE_PREFIX}/{window.endpoint}"
    calls = captures.read(s3, uri, VARIANT, (window.first, window.last))
    live = drift.count(request for call in calls for request in call.requests)
    return drift.report(trained(s3, release), live, limits)


def trained(s3: Any, release: Release) -> drift.Reference:
    """What the release's archive says of its training data; its bytes must have the digest that git has."""
    found = archive.members(s3, release.archive_uri, release.archive_sha256, MEMBERS, MEMBER_LIMIT)
    missing = [name for name in MEMBERS if name not in found]
    if missing:
        raise GitopsError(f"{release.archive_uri}: holds no {missing[0]}; train again")
    users, items = (json.loads(found[name]) for name in MEMBERS[:2])
    offsets, popularity = (np.load(io.BytesIO(found[name]), allow_pickle=False) for name in MEMBERS[2:])
    return drift.reference(users, items, offsets, popularity)
