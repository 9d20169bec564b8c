"""A run is started on a bad day."""

import random
from typing import Any

import pytest

from pipelines.cloud import Cloud
from pipelines.start import connect
from tests.weather import SHORT_PAUSES, Weather, xml


def test_f12_a_run_is_started_through_five_refusals(account: Cloud, localcloud: Any, monkeypatch: pytest.MonkeyPatch):
    for name, value in localcloud.environment.items():
        monkeypatch.setenv(name, value)
    random.seed(SHORT_PAUSES)
    s3 = connect(account).s3
    weather = Weather(s3, 503, xml("SlowDown"), count=5)
    assert "Buckets" in s3.list_buckets()
    assert len(weather.times) == 6
    random.seed()
