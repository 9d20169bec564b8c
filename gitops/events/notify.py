"""A push becomes an event: python -m gitops notify --branch main --before <sha> --sha <sha>

Order matters: the source is in S3 before the event names it, and head.json never moves backwards.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from gitops import git
from gitops.errors import GitopsError
from gitops.events import changes, source
from pipelines import crash

EVENT_SOURCE = "gitops.commit"
DETAIL_TYPE = "Commit"
IGNORED = "IgnoredPushes"  # a metric in the namespace that is the project's name
TRIES = 4
Say = Callable[[str], None]


@dataclass(frozen=True)
class Push:
    """What the git host says about a push."""

    branch: str
    before: str
    sha: str


@dataclass(frozen=True)
class Target:
    """Where the push is made known."""

    s3: Any
    events: Any
    bucket: str
    bus: str
    project: str  # project.yml's name


def deleted(push: Push) -> str:
    """What is said of a branch that is gone: there is no commit to look into."""
    return f"ignored: branch {push.branch} was deleted"


def ignored(push: Push, branch: str) -> str:
    """Why this push is none of ours; empty if it is."""
    if push.branch.removeprefix("refs/heads/") == branch:
        return ""
    return f"ignored: {push.branch} is not {branch}, the branch project.yml names"


def count(client: Callable[[str], Any], project: str, say: Say = print) -> None:
    """One more in the metric IgnoredPushes of the project's namespace; what hinders that is said, and is no failure."""
    try:
        client("cloudwatch").put_metric_data(
            Namespace=project, MetricData=[{"MetricName": IGNORED, "Value": 1.0, "Unit": "Count"}]
        )
    except (ClientError, BotoCoreError) as error:
        say(f"not counted: {error}")


def detail(push: Push, project: str) -> dict[str, Any]:
    """The event's detail for a push to the branch, read from the repository in the current directory."""
    sha = git.commit(push.sha)
    document = {
        "version": 1,
        "project": project,
        "branch": push.branch.removeprefix("refs/heads/"),
        "sha": sha,
        "before": push.before,
        "sequence": git.sequence(sha),
        "changedFiles": git.changed(push.before, sha),
        "truncated": False,
    }
    return changes.fit(document)


def notify(push: Push, target: Target, say: Say = print) -> dict[str, Any]:
    """Upload the source, move head.json, put the event; returns the event's detail."""
    event = detail(push, target.project)
    sha, sequence = event["sha"], event["sequence"]
    archive = source.pack(sha)
    crash.point("notify:before-source")
    written = source.upload(target.s3, target.bucket, sha, archive)
    how = f"{len(archive) / 1024:,.0f} KiB" if written else "was there already"
    say(f"source  s3://{target.bucket}/{source.key(sha)} ({how})")
    crash.point("notify:after-source")
    head = source.move_head(target.s3, target.bucket, source.Head(sha, sequence, source.key(sha)), push.before)
    if head.sha == sha:
        say(f"head    {sha[:12]}, commit {sequence} of {event['branch']}")
    else:
        # Its event still goes out: what it changed has not been acted on, and a build is pinned to its own sha.
        say(f"head    superseded: stays at {head.sha[:12]}, commit {head.sequence} (this is {sequence})")
    crash.point("notify:after-head")
    put(target, event)
    crash.point("notify:after-event")
    say(f"event   on bus {target.bus}: {describe(event['changedFiles'], event['truncated'])}")
    return event


def describe(files: list[str], truncated: bool) -> str:
    """One line: how many paths changed, and what the rules make of them."""
    kinds = [kind.name for kind in changes.by_class(files) if kind.name != changes.OTHER.name]
    count = f"{len(files)} {'entry' if len(files) == 1 else 'entries'}{' (folded)' if truncated else ''}"
    return f"{count} in changedFiles; {', '.join(kinds) if kinds else 'nothing to train or deploy'}"


def put(target: Target, event: dict[str, Any]) -> None:
    """PutEvents, and again while the bus refuses the entry: a 200 may hold a failed entry."""
    entry = {
        "EventBusName": target.bus,
        "Source": EVENT_SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps(event),
    }
    answer: dict[str, Any] = {}
    for attempt in range(TRIES):
        time.sleep(0.2 * (2**attempt - 1))  # 0, 0.2, 0.6, 1.4 seconds
        answer = target.events.put_events(Entries=[entry])
        if not answer["FailedEntryCount"]:
            return
    failed = answer["Entries"][0]
    raise GitopsError(
        f"event bus {target.bus}: refused the event: {failed.get('ErrorCode')}: {failed.get('ErrorMessage')}; "
        "the source is uploaded, run notify again"
    )
