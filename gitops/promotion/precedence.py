"""Which of two candidates is git's: the later commit's, however long the runs took; else the later version.

Two pushes may train at once, and a dead letter may be replayed days later: what is registered last need not be what
was pushed last. Where no record tells a commit, or neither commit leads to the other, the version decides.
"""

import json
from dataclasses import dataclass

from gitops import ledger
from gitops.deployment import Release
from gitops.hosts import Host


@dataclass(frozen=True)
class Rank:
    """What puts candidates in order."""

    version: int
    commit: str = ""  # whose build trained it; empty if nobody knows


def of_release(host: Host, model: str, release: Release | None, ref: str) -> Rank:
    """The rank of what a deploy file asks for, by its record at that ref; that of no release is the lowest."""
    if release is None:
        return Rank(0)
    text = host.read(ledger.path(model, release.id), ref)
    try:
        commit = str(json.loads(text)["commit"]) if text else ""
    except (ValueError, KeyError, TypeError):
        commit = ""
    return Rank(release.version, commit)


def precedes(host: Host, model: str, mine: Rank, other: Rank) -> bool:
    """Whether `mine` goes before `other`."""
    if mine.commit and other.commit and mine.commit != other.commit:
        if host.contains(other.commit, mine.commit):
            return True
        if host.contains(mine.commit, other.commit):
            return _back(host, model, mine.commit, other.commit)
    return mine.version > other.version


def _back(host: Host, model: str, earlier: str, later: str) -> bool:
    """Whether the branch has gone back from the later commit's params or data to the earlier one's."""
    head = host.head()
    files = [tuple(host.blob(f"params/{model}{kind}", ref) for ref in (earlier, head, later)) for kind in SUFFIXES]
    return all(one[0] == one[1] for one in files) and any(one[1] != one[2] for one in files)


SUFFIXES = (".yml", ".data.yml")
