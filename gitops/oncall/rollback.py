"""Back to an earlier release: python -m gitops rollback production ncf [--to ncf-9c41d2e7a0b1]

Git decides what is served, so a rollback is a commit like any other: a merge request that changes the release block
of one deploy file and nothing else. Nothing is trained, and no endpoint is touched from here.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitops import deployment, git, ledger
from gitops.deployment import Release
from gitops.errors import GitopsError
from gitops.hosts import Change, Host, Request
from gitops.oncall import history
from gitops.oncall.history import Version
from pipelines import models

Say = Callable[[str], None]


@dataclass(frozen=True)
class Slot:
    """One model in one environment, and the clone in which its past is read."""

    environment: str
    model: str
    root: Path = Path()

    @property
    def path(self) -> str:
        return f"deploy/{self.environment}/{self.model}.yml"


def target(slot: Slot, found: Sequence[Version], identity: str, head: str) -> Release:
    """The release to go back to: the one named, else the one before; GitopsError if there is no such release."""
    if not identity:
        return history.earlier(found)
    release = history.named(found, identity) or _recorded(slot, identity, head)
    if release is None:
        known = dict.fromkeys(one.release.id for one in found if one.release)
        raise GitopsError(
            f"{identity}: was never in {slot.path} and has no record in {ledger.FOLDER}/{slot.model}/; "
            f"it had {', '.join(known) or 'no release'}"
        )
    return release


def _recorded(slot: Slot, identity: str, head: str) -> Release | None:
    """The release as its evidence describes it, if its gate passed."""
    path = ledger.path(slot.model, identity)
    text = git.show(head, path, slot.root)
    if text is None:
        return None
    try:
        record = json.loads(text)
        if record["gate"]["verdict"] != "pass":
            raise GitopsError(f"{path}: its verdict is {record['gate']['verdict']!r}; only what passed is served")
        document = {
            "id": record["id"],
            "package_arn": record["package_arn"],
            "archive_uri": record["archive"]["uri"],
            "archive_sha256": record["archive"]["sha256"],
            "image": record["image"],
        }
    except (ValueError, KeyError, TypeError) as error:
        raise GitopsError(f"{path}: is not a release record ({error}); name another release") from error
    return models.parse(Release, Path(path), document)


def rollback(host: Host, slot: Slot, identity: str, automatic: bool, say: Say = print) -> Request | None:
    """Ask for the earlier release, and merge it where `automatic`; None if git asks for it already.

    Run twice it asks once. Runs in a clone that has the branch's head; GitopsError otherwise.
    """
    head = host.head()
    found = history.versions(slot.path, head, slot.root)
    current = found[0].release if found else None
    taken_back = history.undone(found)
    if taken_back and not identity and current:
        gone = f" from {taken_back.release.id}" if taken_back.release else ""
        say(f"{slot.path}: was rolled back to {current.id}{gone} by {found[0].sha[:12]}; to go further, name it: --to")
        return None
    release = target(slot, found, identity, head)
    if current == release:
        say(f"{slot.path}: asks for {release.id} already")
        return None
    before = current.id if current else "nothing"
    change = Draft(
        branch=f"rollback/{slot.environment}/{slot.model}/{before}-to-{release.id}",
        title=f"Roll {slot.model} in {slot.environment} back to {release.id} (version {release.version})",
        body=_description(slot, found, release),
        release=release,
    )
    request = ask(host, slot, change, automatic, say)
    if not automatic:
        say("a person merges it; or, with the right to push, the same by hand:")
        for line in by_hand(slot, history.since(found, release), change.branch):
            say(f"  {line}")
    return request


def by_hand(slot: Slot, shas: Sequence[str], branch: str) -> list[str]:
    """Git commands that do the same: reverts if each commit changed this one file, else the request's own branch."""
    if shas and all(_touched(sha, slot.root) == [slot.path] for sha in shas):
        merge = {sha: "--mainline 1 " if _is_merge(sha, slot.root) else "" for sha in shas}
        lines = [f"git revert --no-edit {merge[sha]}{sha}" for sha in shas]
    else:
        lines = [f"git fetch origin {branch}", "git merge --no-ff --no-edit FETCH_HEAD"]
    return ["git pull --ff-only", *lines, "git push origin HEAD"]


def _touched(sha: str, root: Path) -> list[str]:
    return git.text("diff", "--name-only", f"{sha}^1", sha, cwd=root).splitlines()


def _is_merge(sha: str, root: Path) -> bool:
    return len(git.text("rev-list", "--parents", "--max-count=1", sha, cwd=root).split()) > 2


def _description(slot: Slot, found: Sequence[Version], release: Release) -> str:
    current = found[0].release if found else None
    gone = (
        f"`{current.id}` (version {current.version}), which came with `{found[0].sha[:12]}`" if current else "nothing"
    )
    return (
        f"**Back to `{release.id}`** (version {release.version}) in {slot.environment}, from {gone}.\n\n"
        f"Changes the release block of `{slot.path}` and nothing else; trains nothing. "
        f"Evidence: `{ledger.path(slot.model, release.id)}`. To take it back, revert this merge.\n"
    )


@dataclass(frozen=True)
class Draft:
    """A request that replaces one release block; `release` None asks for nothing to be deployed."""

    branch: str
    title: str
    body: str
    release: Release | None


def ask(host: Host, slot: Slot, draft: Draft, automatic: bool, say: Say = print) -> Request:
    """Open the request unless it is open, and merge it where `automatic`; says its URL.

    ConflictError if the branch moved on meanwhile.
    """
    for left in host.find(draft.branch):
        if left.state != "opened":
            continue
        if not automatic:
            say(f"{slot.environment}: is asked for already: {left.title} ({left.url})")
            return left
        host.close(left, "Begun again from the branch's head.")  # only what is written here is merged unseen
    head = host.head()
    text = host.read(slot.path, head)
    if text is None:
        raise GitopsError(f"{slot.path}: is not on the branch; see deploy/ for the models of {slot.environment}")
    edited = deployment.with_release(text, draft.release, Path(slot.path))
    request = host.open(Change(draft.branch, draft.title, draft.body, {slot.path: edited}), head)
    say(f"{slot.environment}: {request.title} ({request.url})")
    if automatic:
        say(f"{slot.environment}: merged as {host.merge(request)[:12]}; its deploy build does the rest")
    return request
