"""One comment on the merge request, kept up to date: python -m gitops plan ... --post"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gitops.errors import GitopsError
from gitops.hosts import Host, Request
from gitops.planning.text import MARKER, render
from pipelines import params
from pipelines.errors import ProjectError

if TYPE_CHECKING:
    from gitops.planning.plan import Plan


def post(host: Host, found: "Plan") -> list[Request]:
    """Create or update the plan's comment on every open request with this head; says there if it is stale.

    Raises GitopsError when no open request has this head.
    """
    requests = [request for request in host.opened("") if request.head == found.head]
    if not requests:
        raise GitopsError(f"{found.head[:12]}: is the head of no open merge request; push the branch and open one")
    tip = host.head()
    if tip != found.tip:
        found.stale += stale(found.base, tip, _moved(host, tip, found.locks))
    for request in requests:
        host.comment(request, MARKER, render(found))
    return requests


def stale(base: str, tip: str, moved: Mapping[str, tuple[str, str]]) -> list[str]:
    """Why a plan from `base` no longer holds where the branch is at `tip`; `moved`: path -> digests of its data."""
    if tip == base:
        return []
    found = [f"main moved on to {tip[:12]} since this branch left it at {base[:12]}; rebase, then plan again"]
    return found + [f"{path}: the data is {new[:12]} there and {old[:12]} here" for path, (old, new) in moved.items()]


def _moved(host: Host, tip: str, locks: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    there = {path: digest for path in locks for digest in _digest(path, host.read(path, tip))}
    return {path: (locks[path], digest) for path, digest in there.items() if digest != locks[path]}


def _digest(path: str, text: str | None) -> Iterator[str]:
    try:
        yield params.load_lock(Path(path), text).sha256 if text is not None else "removed"
    except ProjectError:
        yield "unreadable"
