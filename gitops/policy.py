"""deploy/<environment>/_policy.yml: when an environment may change, and what is done unasked. Pure but for `read`.

The branch's head says it, not the commit that is deployed: a pause counts for the builds that are already at work.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from gitops.errors import GitopsError
from gitops.hosts import Host
from pipelines import documents, models
from pipelines.models import Section, text

FILE = "_policy.yml"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = 7 * 24 * 60  # minutes
HOUR = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
Moment = Annotated[str, text(rf"^(?:{'|'.join(DAYS)}) {HOUR}$", "a day and an hour such as fri 16:00")]
Date = Annotated[
    str, text(rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} {HOUR}$", "a date and an hour such as 2026-12-20 00:00")
]
Reason = Annotated[str, text(r"^[^\x00-\x1f]{3,200}$", "a sentence that says why, of 3 to 200 characters")]


class Weekly(Section):
    """From `start` to before `end`, every week."""

    start: Moment
    end: Moment
    reason: Reason = "weekly freeze"

    @model_validator(mode="after")
    def _not_empty(self) -> "Weekly":
        if self.start == self.end:
            raise ValueError("start and end are the same; a whole week is paused: true")
        return self

    def holds(self, now: datetime) -> bool:
        """True at the wall-clock time `now`."""
        start, end = _minute(self.start), _minute(self.end)
        minute = (now.weekday() * 24 + now.hour) * 60 + now.minute
        return (minute - start) % WEEK < (end - start) % WEEK


class Dated(Section):
    """From `start` to before `end`, once."""

    start: Date
    end: Date
    reason: Reason = "freeze"

    @model_validator(mode="after")
    def _forwards(self) -> "Dated":
        if _day(self.start) >= _day(self.end):
            raise ValueError(f"end {self.end} is not after start {self.start}; exchange them")
        return self

    def holds(self, now: datetime) -> bool:
        """True at the wall-clock time `now`."""
        return _day(self.start) <= now.replace(tzinfo=None) < _day(self.end)


class Freeze(Section):
    """Windows on the wall clock of one place, its daylight saving included."""

    zone: str
    weekly: Annotated[tuple[Weekly, ...], Field(strict=False)] = ()
    dated: Annotated[tuple[Dated, ...], Field(strict=False)] = ()

    @field_validator("zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone; write one such as Europe/Berlin") from error
        return name

    @property
    def windows(self) -> Sequence[Weekly | Dated]:
        return (*self.dated, *self.weekly)


class Policy(Section):
    """What an environment allows. Without the file: these defaults."""

    freeze: Freeze | None = None
    paused: bool = False
    reason: Reason | None = None  # of the pause
    drift: Literal["report", "propose", "heal"] = "heal"
    revert: Literal["merge_request", "auto"] = "merge_request"

    @model_validator(mode="after")
    def _reasoned(self) -> "Policy":
        if self.paused and not self.reason:
            raise ValueError("paused without a reason; say why, for the one who finds it paused")
        return self


def path(environment: str) -> str:
    """Where the policy of an environment lies, relative to the repository's root."""
    return f"deploy/{environment}/{FILE}"


def load(file: Path, content: str | None = None) -> Policy:
    """The policy in the file, or in `content` under that name. ProjectError naming file, key and what to write."""
    return models.parse(Policy, file, documents.load(file, content))


def read(host: Host, environment: str) -> Policy:
    """The policy as the protected branch has it now."""
    name = path(environment)
    content = host.read(name, host.head())
    return Policy() if content is None else load(Path(name), content)


def held(policy: Policy, now: datetime, back: bool) -> str:
    """Why nothing may be changed at `now`, in words; empty if it may.

    `back`: the change leads back to an earlier release. That passes a freeze, which is there to keep what works; it
    does not pass a pause, with which a person has taken over.
    """
    if now.tzinfo is None:
        raise GitopsError("the clock has no time zone; a freeze cannot be told")
    if policy.paused:
        return f"paused: {policy.reason}"
    if policy.freeze is None or back:
        return ""
    there = now.astimezone(ZoneInfo(policy.freeze.zone))
    for window in policy.freeze.windows:
        if window.holds(there):
            return f"frozen until {window.end} ({policy.freeze.zone}): {window.reason}"
    return ""


def _minute(moment: str) -> int:
    day, hour, minute = re.split("[ :]", moment)
    return (DAYS.index(day) * 24 + int(hour)) * 60 + int(minute)


def _day(date: str) -> datetime:
    return datetime.strptime(date, "%Y-%m-%d %H:%M")
