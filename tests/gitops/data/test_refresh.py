"""What the scheduled build finds: feedback, new partitions, drift."""

import json
from datetime import UTC, date, datetime

import pytest

from gitops.data.refresh import Refresher, closed_days
from tests.gitops.data.test_relock import FIRST, LOCK, SECOND, partitions, team  # noqa: F401 - a fixture
from tests.gitops.repository import PARAMS

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
FEEDBACK = "raw/completejourney/events/date=2026-11-17/part-0.parquet"


@pytest.fixture
def refresher(team):  # noqa: F811
    repository = team.host.repository
    repository.commit({"params/ncf.yml": PARAMS + "refresh: {events: [purchase]}\n"})
    return Refresher(team, "shop", "production", repository.root)


def test_feedback_of_closed_days_and_what_is_new_become_one_lock(refresher):
    event = {"eventId": "e", "userId": "1", "itemId": "2", "eventType": "purchase", "received": "2026-11-17T10:00:00Z"}
    relocker = refresher.relocker
    for day in ("2026-11-17", "2026-11-20"):  # the second still takes late events
        body = json.dumps({**event, "received": f"{day}T10:00:00Z"}).encode()
        relocker.s3.put_object(Bucket=relocker.bucket, Key=f"events/date={day}/e.json", Body=body)
    assert refresher.everything(NOW) == []
    found = {each.key: each.rows for each in relocker.locked(LOCK).partitions}
    assert {key: found.get(key) for key in (FEEDBACK, FIRST, SECOND)} == {FEEDBACK: 1, FIRST: 3, SECOND: 5}
    assert len(found) == 4
    assert refresher.everything(NOW) == []
    assert len(relocker.host.every) == 1


def test_without_capture_drift_is_not_looked_for_and_that_is_said(refresher):
    refresher.everything(NOW)
    assert any("captures nothing" in line for line in refresher.relocker.say.__self__)


def test_one_models_trouble_does_not_stop_the_others(refresher):
    broken = PARAMS.replace("ncf.data.yml", "other.data.yml")
    refresher.relocker.host.repository.commit({"params/aaa.yml": broken})
    failures = refresher.everything(NOW)
    assert failures
    assert all(line.startswith("aaa.yml: ") for line in failures)
    assert partitions(refresher.relocker)


def test_a_day_is_looked_at_once_it_takes_no_more_events():
    days = list(closed_days(date(2026, 11, 21)))
    assert (days[0], days[-1], len(days)) == (date(2026, 11, 12), date(2026, 11, 18), 7)
