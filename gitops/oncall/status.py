"""What git asks for and what is live: python -m gitops status [--check] [--json]

Exit code 0. With --check it is 1 unless every row is Synced and Healthy (or nothing is asked for and nothing is
there). What cannot be asked is shown as unknown, with the reason, and never ends the command.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gitops import aws, deployment, git, ledger, policy, specs
from gitops.delivery import autoscaling
from gitops.delivery.decide import MOVING
from gitops.deployment import Deployment
from gitops.errors import GitopsError
from gitops.hosts import Host
from gitops.oncall.live import Live, observe
from pipelines.errors import ProjectError

HEADER = ("environment", "model", "desired", "live", "sync", "health", "age", "traffic", "p99")
UNKNOWN = "unknown"
DIGEST = "[0-9a-f]{6,64}"  # at the end of a branch's name
SHOWN = 4  # differences that are told; one of the release alone is two


@dataclass(frozen=True)
class Row:
    """One model in one environment."""

    environment: str
    model: str
    desired: str  # the release id git has here
    live: str  # the release id the container was told, `unknown` if it was told none or could not be asked
    sync: str  # Synced | OutOfSync | Progressing | Unknown
    health: str  # Healthy | Unverified | Progressing | Degraded | Missing | Unknown
    traffic: str = ""
    reason: str = ""  # of the last attempt or rollback, or why nothing is known
    model_made: str = ""  # when what is live was registered, ISO 8601
    data_locked: str = ""  # when its data lock was last changed, ISO 8601
    requests: tuple[str, ...] = ()  # open, of whatever kind: title and URL
    held: str = ""  # frozen or paused, and why
    p99_ms: str = ""  # of the golden requests when what is live was verified, seen from that build

    @property
    def well(self) -> bool:
        """What git asks for is served; nothing asked for and nothing there is well too."""
        return self.sync == "Synced" and (self.health == "Healthy" or self.desired == self.live == "-")


def row(environment: str, desired: Deployment, live: Live | None) -> Row:
    """Compare: pure. No release and no endpoint is in sync."""
    release = desired.release
    asked = release.id if release else "-"
    if live is None:
        return Row(environment, desired.model, asked, "-", "OutOfSync" if release else "Synced", "Missing")
    differences = _differences(desired, live) if release else ["no release is asked for"]
    same = not differences
    sync = "Progressing" if live.status in MOVING else "Synced" if same else "OutOfSync"
    found = Row(environment, desired.model, asked, live.release, sync, _health(live, same))
    return replace(
        found, traffic=live.traffic, p99_ms=live.p99_ms, reason=live.reason or ", ".join(differences[:SHOWN])
    )


def _differences(desired: Deployment, live: Live) -> list[str]:
    """Where an endpoint is not as git asks, in words; a release that differs is in the row's columns already."""
    asked, told, found = specs.asked(desired), live.told, []
    for name in sorted(asked.keys() | told.keys()):
        if asked.get(name) != told.get(name):
            hidden = name.endswith((".archive", ".image"))
            found.append(f"{name} differs" if hidden else f"{name} is {told.get(name)}, git says {asked.get(name)}")
    scaled = autoscaling.DELEGATED if desired.autoscaling else ()
    return found or [str(one) for one in live.drift if one.field not in scaled]


def _health(live: Live, same: bool) -> str:
    if live.status in MOVING:
        return "Progressing"
    if live.status != "InService":
        return "Degraded"
    return "Healthy" if live.proved or not same else "Unverified"  # what serves instead was proved in its time


def rows(sagemaker: Any, root: Path, project: str, environments: Iterable[str]) -> list[Row]:
    """A row for each deploy file of each environment; what AWS does not say, or the file, is unknown."""
    found, silent = [], ""
    for environment in environments:
        for file in deployment.files(root, environment):
            desired = _desired(file)
            try:
                if silent:  # who did not answer once is not waited for again
                    raise GitopsError(silent)
                with aws.explained():
                    live = observe(sagemaker, specs.endpoint_name(project, file.stem, environment))
                if isinstance(desired, str):
                    found.append(aged(unread(environment, file.stem, live, desired), root))
                else:
                    found.append(aged(row(environment, desired, live), root))
            except GitopsError as error:
                silent = str(error) if "cannot be asked" in str(error) else ""
                found.append(_unknown(environment, file.stem, desired, str(error)))
    return found


def _unknown(environment: str, model: str, desired: Deployment | str, reason: str) -> Row:
    asked = UNKNOWN if isinstance(desired, str) else desired.release.id if desired.release else "-"
    return Row(environment, model, asked, UNKNOWN, "Unknown", "Unknown", reason=reason)


def _desired(file: Path) -> Deployment | str:
    """What the file asks for, or what is wrong with it."""
    try:
        return deployment.load(file)
    except ProjectError as error:
        return str(error)


def unread(environment: str, model: str, live: Live | None, problem: str) -> Row:
    """What is live beside a deploy file that nobody can read: the night goes on."""
    if live is None:
        return Row(environment, model, UNKNOWN, "-", "Unknown", "Missing", reason=problem)
    return Row(environment, model, UNKNOWN, live.release, "Unknown", _health(live, False), live.traffic, problem)


def aged(found: Row, root: Path) -> Row:
    """The row with the age of what is live, from its record in releases/ and the history of its data lock."""
    try:
        record = json.loads((root / ledger.path(found.model, found.live)).read_text())
        made, commit = str(record["created"]), str(record["commit"])
    except (OSError, ValueError, KeyError, TypeError):
        return found
    try:
        locked = git.text(
            "log", "-1", "--format=%cI", git.commit(commit, root), "--", f"params/{found.model}.data.yml", cwd=root
        )
    except GitopsError:  # no clone here, or one without that commit
        locked = ""
    return replace(found, model_made=made, data_locked=locked)


def asked(found: Sequence[Row], connect: Callable[[], Host], now: dt.datetime | None = None) -> tuple[list[Row], str]:
    """The rows with their open requests and what holds them back, and why the git host did not say that."""
    moment = now or dt.datetime.now(dt.UTC)
    try:
        host = connect()
        every = [one for one in host.opened("") if not one.fork]
        names = {each.environment for each in found}
        holds = {name: policy.held(policy.read(host, name), moment, back=False) for name in names}
    except ProjectError as error:
        return list(found), str(error)

    begun: set[str] = set()  # the models whose first environment was passed
    rows = []
    for each in found:
        named = _branches(each, first=each.model not in begun)
        begun.add(each.model)
        theirs = tuple(f"{one.title} ({one.url})" for one in every if named.fullmatch(one.branch))
        rows.append(replace(each, requests=theirs, held=holds[each.environment]))
    return rows, ""


def _branches(row: Row, first: bool) -> re.Pattern[str]:
    """The branches of every request about this row; of its model's data and newest release too, where it is `first`."""
    model, environment = re.escape(row.model), re.escape(row.environment)
    # promote, rollback, revert, drift, teardown; and an image, which is for all models of the environment
    kinds = [rf"[a-z]+/{environment}/{model}(?:-{DIGEST}|/.+)", rf"image/{environment}-{DIGEST}"]
    if first:
        kinds.append(rf"(?:release|data)/{model}-{DIGEST}")
    return re.compile("|".join(kinds))


def table(found: Iterable[Row], silence: str = "", now: dt.datetime | None = None) -> str:
    """The rows under their names, in columns; then, where there is something to say, a line for each thing."""
    every = list(found)
    moment = now or dt.datetime.now(dt.UTC)
    lines = [HEADER, *(_cells(each, moment) for each in every)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    for each in every:
        said = [f"held: {each.held}" * bool(each.held), each.reason, *(f"open: {one}" for one in each.requests)]
        shown += [f"{each.environment}/{each.model}: {line}" for line in said if line]
    return "\n".join([*shown, *([f"open requests: unknown; {silence}"] if silence else [])])


def _cells(each: Row, now: dt.datetime) -> tuple[str, ...]:
    ages = [
        f"{word} {age(text, now)}" for word, text in (("model", each.model_made), ("data", each.data_locked)) if text
    ]
    return (
        *(str(value) for value in list(asdict(each).values())[:6]),
        ", ".join(ages),
        each.traffic,
        each.p99_ms and f"{each.p99_ms} ms",
    )


def age(text: str, now: dt.datetime) -> str:
    """How long ago an ISO 8601 time was, in whole days or hours; a clock that was wrong shows as 0 h."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return UNKNOWN
    seconds = (now - (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))).total_seconds()
    hours = int(max(seconds, 0.0) // 3600)
    return f"{hours // 24} d" if hours >= 48 else f"{hours} h"
