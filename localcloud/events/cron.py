"""Schedule expressions as EventBridge reads them: rate(5 minutes), cron(0 3 ? * MON-FRI *). Pure; all times are UTC.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MINUTE = timedelta(minutes=1)
OVERSLEPT = timedelta(days=1)  # how far back a missed time is looked for, after a laptop slept
_RATE = re.compile(r"rate\((?P<count>[1-9]\d*) (?P<unit>minute|hour|day)(?P<plural>s?)\)")
_CRON = re.compile(r"cron\((?P<fields>[^()]*)\)")
_MONTHS = {"JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"[3 * n : 3 * n + 3]: n + 1 for n in range(12)}
_DAYS = {"SUNMONTUEWEDTHUFRISAT"[3 * n : 3 * n + 3]: n + 1 for n in range(7)}
_PART = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<step>[1-9]\d*))?")
OnDay = Callable[[date], bool]


@dataclass(frozen=True)
class Rate:
    """Every so often, counted from when the rule was made."""

    every: timedelta

    def due(self, since: datetime, until: datetime, made: datetime) -> bool:
        """Whether a time of the schedule is in (since, until]."""
        return (until - made) // self.every > max((since - made) // self.every, 0)


@dataclass(frozen=True)
class Cron:
    """At the minutes that fit all fields."""

    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    years: frozenset[int]
    on_day: OnDay

    def due(self, since: datetime, until: datetime, made: datetime) -> bool:
        """Whether a time of the schedule is in (since, until]."""
        moment = max(since, made, until - OVERSLEPT).replace(second=0, microsecond=0) + MINUTE
        while moment <= until:
            if self._fits(moment):
                return True
            moment += MINUTE
        return False

    def _fits(self, moment: datetime) -> bool:
        clock = moment.minute in self.minutes and moment.hour in self.hours
        return clock and moment.month in self.months and moment.year in self.years and self.on_day(moment.date())


def parse(expression: str) -> Rate | Cron:
    """ValueError for what is neither."""
    rate = _RATE.fullmatch(expression)
    if rate:
        if (rate["count"] == "1") == bool(rate["plural"]):
            raise ValueError("rate is of 1 minute, 2 minutes")
        if len(rate["count"]) > 6:
            raise ValueError("rate is longer than anybody lives")
        return Rate(int(rate["count"]) * timedelta(**{f"{rate['unit']}s": 1}))
    cron = _CRON.fullmatch(expression)
    if not cron:
        raise ValueError("neither rate(<number> <unit>) nor cron(<six fields>)")
    fields = cron["fields"].split()
    if len(fields) != 6:
        raise ValueError(f"cron has {len(fields)} fields; six are minutes hours day-of-month month day-of-week year")
    minutes, hours, of_month, months, of_week, years = fields
    if (of_month == "?") == (of_week == "?"):
        raise ValueError("one of day-of-month and day-of-week must be ?, the other not")
    return Cron(
        numbers(minutes, 0, 59),
        numbers(hours, 0, 23),
        numbers(months, 1, 12, _MONTHS),
        numbers(years, 1970, 2199),
        day_of_week(of_week) if of_month == "?" else day_of_month(of_month),
    )


def numbers(text: str, low: int, high: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    """The numbers of a field: *, 5, MON, 1-5, 0/15 and lists of those. ValueError."""
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if not match or (match["first"] == "*" and match["last"]):
            raise ValueError(f"{part!r} cannot be read")
        first = low if match["first"] == "*" else number(match["first"], low, high, names)
        last = number(match["last"], low, high, names) if match["last"] else first
        if match["first"] == "*" or (match["step"] and not match["last"]):
            last = high
        if last < first:
            raise ValueError(f"{part!r} ends before it begins")
        found |= set(range(first, last + 1, int(match["step"] or 1)))
    return frozenset(found)


def number(text: str, low: int, high: int, names: Mapping[str, int] | None = None) -> int:
    """A number of a field, or a name for it. ValueError."""
    value = (names or {}).get(text.upper(), int(text) if text.isdigit() else -1)
    if not low <= value <= high:
        raise ValueError(f"{text!r} is not from {low} to {high}")
    return value


def day_of_month(text: str) -> OnDay:
    """Numbers, L (the last day), 3W (the weekday nearest to the 3rd)."""
    if text == "L":
        return lambda day: day.day == monthrange(day.year, day.month)[1]
    if re.fullmatch(r"\d+W", text):
        wanted = number(text[:-1], 1, 31)
        return lambda day: day == nearest_weekday(day, wanted)
    days = numbers(text, 1, 31)
    return lambda day: day.day in days


def nearest_weekday(day: date, wanted: int) -> date | None:
    """The weekday of the month of `day` that is nearest to its day number `wanted`; None if it has no such day."""
    last = monthrange(day.year, day.month)[1]
    if wanted > last:
        return None
    found = day.replace(day=wanted)
    if found.weekday() == 5:  # Saturday: Friday, or Monday where that is the month before
        return found - timedelta(days=1) if wanted > 1 else found + timedelta(days=2)
    if found.weekday() == 6:
        return found + timedelta(days=1) if wanted < last else found - timedelta(days=2)
    return found


def day_of_week(text: str) -> OnDay:
    """Numbers from 1 (Sunday) and names, L (Saturday), 6L (the last Friday), 6#3 (the third Friday)."""
    if text == "L":
        text = "7"
    if last := re.fullmatch(r"(\w+)L", text):
        wanted = number(last[1], 1, 7, _DAYS)
        return lambda day: weekday(day) == wanted and day.day + 7 > monthrange(day.year, day.month)[1]
    if nth := re.fullmatch(r"(\w+)#([1-5])", text):
        wanted, week = number(nth[1], 1, 7, _DAYS), int(nth[2])
        return lambda day: weekday(day) == wanted and (day.day + 6) // 7 == week
    days = numbers(text, 1, 7, _DAYS)
    return lambda day: weekday(day) in days


def weekday(day: date) -> int:
    """1 is Sunday."""
    return day.isoweekday() % 7 + 1
