"""Freeze windows and pauses: when an environment may change."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops import policy
from gitops.errors import GitopsError
from pipelines.errors import ProjectError

WHERE = Path("deploy/production/_policy.yml")
FROZEN = """
freeze:
  zone: Europe/Berlin
  weekly:
    - {start: fri 16:00, end: mon 07:00, reason: nobody is here}
  dated:
    - {start: 2026-12-20 00:00, end: 2027-01-04 08:00, reason: the busy weeks}
"""


def held(text: str, moment: str, back: bool = False) -> str:
    berlin = datetime.strptime(moment, "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    return policy.held(policy.load(WHERE, text), berlin.astimezone(UTC), back)


def test_a_weekly_window_goes_over_the_weekend():
    assert held(FROZEN, "2026-11-20 15:59") == ""
    assert held(FROZEN, "2026-11-20 16:00") == "frozen until mon 07:00 (Europe/Berlin): nobody is here"
    assert held(FROZEN, "2026-11-22 03:00")
    assert held(FROZEN, "2026-11-23 06:59")
    assert held(FROZEN, "2026-11-23 07:00") == ""


def test_a_window_follows_the_wall_clock_over_a_change_to_summer_time():
    # clocks go forward on 29 March 2026: Monday 07:00 is an hour earlier in UTC than the week before
    assert held(FROZEN, "2026-03-30 06:59")
    assert held(FROZEN, "2026-03-30 07:00") == ""
    monday = policy.load(WHERE, FROZEN)
    assert policy.held(monday, datetime(2026, 3, 30, 5, 30, tzinfo=UTC), back=False) == ""
    assert policy.held(monday, datetime(2026, 3, 23, 5, 30, tzinfo=UTC), back=False)


def test_a_dated_window_holds_once():
    assert held(FROZEN, "2026-12-23 12:00").endswith("the busy weeks")
    assert held(FROZEN, "2027-01-04 09:00") == ""
    assert held(FROZEN, "2027-12-23 12:00") == ""


def test_a_rollback_passes_a_freeze_and_not_a_pause():
    assert held(FROZEN, "2026-12-23 12:00", back=True) == ""
    assert held("paused: true\nreason: an incident\n", "2026-11-18 12:00", back=True) == "paused: an incident"


def test_without_a_file_everything_may_change():
    assert policy.held(policy.Policy(), datetime.now(UTC), back=False) == ""


def test_a_clock_without_a_time_zone_is_refused():
    with pytest.raises(GitopsError, match="no time zone"):
        policy.held(policy.Policy(), datetime(2026, 1, 1), back=False)


WRONG = {
    "paused: true\n": "paused without a reason",
    "frozen: true\n": "frozen: unknown key",
    "freeze: {zone: Mars/Olympus}\n": "is no time zone",
    "freeze: {zone: ../../etc/passwd}\n": "is no time zone",
    "freeze: {zone: UTC, weekly: [{start: fri 16:00, end: fri 16:00}]}\n": "the same",
    "freeze: {zone: UTC, weekly: [{start: friday, end: fri 16:00}]}\n": "write a day and an hour",
    "freeze: {zone: UTC, weekly: [{start: fri 24:00, end: sat 16:00}]}\n": "write a day and an hour",
    "freeze: {zone: UTC, dated: [{start: 2027-01-01 00:00, end: 2026-01-01 00:00}]}\n": "is not after",
    "freeze: {zone: UTC, dated: [{start: 2027-02-30 00:00, end: 2027-03-01 00:00}]}\n": "day",
    "drift: ignore\n": "drift",
    "revert: always\n": "revert",
}


@pytest.mark.parametrize("content", WRONG)
def test_what_is_wrong_is_named(content):
    with pytest.raises(ProjectError, match=f"^deploy/production/_policy.yml: .*{WRONG[content]}"):
        policy.load(WHERE, content)


moments = st.builds(
    lambda day, hour, minute: f"{day} {hour:02}:{minute:02}",
    st.sampled_from(policy.DAYS),
    st.integers(0, 23),
    st.integers(0, 59),
)


@given(moments, moments, st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))
def test_a_week_is_a_window_and_the_one_that_begins_where_it_ends(start, end, now):
    if start == end:
        return
    window, rest = policy.Weekly(start=start, end=end), policy.Weekly(start=end, end=start)
    assert window.holds(now) != rest.holds(now)
    assert window.holds(now) == window.holds(now + timedelta(days=7))
