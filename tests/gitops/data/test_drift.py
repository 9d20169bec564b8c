"""Live requests against training data."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.data import captures, drift
from gitops.errors import GitopsError

USERS, ITEMS = [f"u{n}" for n in range(100)], [f"i{n}" for n in range(50)]
COUNTS = np.arange(1, 101)
TRAINED = drift.reference(USERS, ITEMS, np.concatenate([[0], np.cumsum(COUNTS)]), np.full(50, 101))
LIMITS = drift.Limits(max_psi=0.25, max_unknown_users=0.5, min_requests=100)


def asked(users: list[str], **more) -> list[dict]:
    return [{"operation": "getRecommendations", "userId": user, **more} for user in users]


def as_trained(count: int) -> list[str]:
    """Users as often as training saw them."""
    return list(np.random.default_rng(0).choice(USERS, size=count, p=COUNTS / COUNTS.sum()))


def test_traffic_like_the_training_data_is_stable():
    found = drift.report(TRAINED, drift.count(asked(as_trained(5000))), LIMITS)
    assert (found.verdict, found.reasons) == ("stable", ())
    assert found.psi["users by activity"] < 0.05
    assert found.psi["items by popularity"] is None
    assert found.unknown["users by activity"] == 0


def test_traffic_of_other_users_has_drifted_and_says_which_field():
    found = drift.report(TRAINED, drift.count(asked(USERS[:10] * 100)), LIMITS)
    assert found.verdict == "drifted"
    assert "users by activity" in found.reasons[0]


def test_unknown_users_count_as_drift_beyond_their_share():
    strangers = [f"new{n}" for n in range(3000)]
    found = drift.report(TRAINED, drift.count(asked(as_trained(1000) + strangers)), LIMITS)
    assert found.verdict == "drifted"
    assert found.unknown["users by activity"] == 0.75
    assert "75%" in drift.markdown(found)


def test_too_few_requests_are_inconclusive_whatever_they_are():
    found = drift.report(TRAINED, drift.count(asked(["stranger"] * 99)), LIMITS)
    assert found.verdict == "inconclusive"
    assert "100 are needed" in found.reasons[0]


def test_items_are_counted_where_requests_name_them():
    live = drift.count([
        {"operation": "getPersonalizedRanking", "userId": "u1", "inputList": ["i1", "i2"]},
        {"operation": "getRelatedItems", "itemId": "i1"},
        {"instances": [{"userId": "u2", "itemId": 7}, "no object"]},
        "no request", None,
    ])  # fmt: skip
    assert (live.requests, live.users, live.items) == (3, {"u1": 1, "u2": 1}, {"i1": 2, "i2": 1, "7": 1})


shares = st.lists(st.floats(0, 1), min_size=10, max_size=10).filter(lambda found: sum(found) > 0.1)


@given(shares, shares)
def test_the_index_is_never_negative_and_zero_for_equals(first: list[float], second: list[float]):
    a, b = ([each / sum(found) for each in found] for found in (first, second))
    assert drift.index(a, b) >= 0
    assert drift.index(a, a) == 0
    assert drift.index(a, b) == pytest.approx(drift.index(b, a))


@given(st.lists(st.integers(1, 1000), min_size=20, max_size=200))
def test_bins_hold_all_interactions_and_all_ids(counts: list[int]):
    found = drift.binned([str(n) for n in range(len(counts))], np.array(counts))
    assert sum(found.trained) == pytest.approx(1)
    assert len(found.bins) == len(counts)
    assert set(found.bins.values()) <= set(range(drift.BINS))


LINE = {
    "captureData": {
        "endpointInput": {"observedContentType": "application/json", "mode": "INPUT", "data": '{"userId":"u1"}',
                          "encoding": "JSON"},
        "endpointOutput": {"observedContentType": "application/json", "mode": "OUTPUT", "data": "eyJhIjoxfQ==",
                           "encoding": "BASE64"},
    },
    "eventMetadata": {"eventId": "e1", "inferenceTime": "2026-11-21T10:00:00Z"}, "eventVersion": "0",
}  # fmt: skip


def test_a_captured_line_is_read_whatever_its_encoding():
    assert captures.capture(json.dumps(LINE)) == captures.Capture("e1", "", ({"userId": "u1"},), ({"a": 1},), True)


@pytest.mark.parametrize("text", ["{", "[]", '{"captureData": {}}', '{"captureData": 1, "eventMetadata": {}}'])
def test_a_line_that_is_no_event_is_refused(text: str):
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        captures.capture(text)


@pytest.fixture(scope="module")
def bucket(localcloud):
    s3 = localcloud.client("s3")
    s3.create_bucket(Bucket="drift-captures", CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    for hour in range(3):
        key = f"capture/shop/main/2026/11/21/{10 + hour:02}/00-00-000-a.jsonl"
        line = json.dumps(LINE).replace("u1", f"u{hour}")
        s3.put_object(Bucket="drift-captures", Key=key, Body=f"{line}\n{line}\n".encode())
    s3.put_object(Bucket="drift-captures", Key="capture/torn/main/2026/11/21/10/a.jsonl", Body=b"{}\n")
    return s3


def test_only_the_hours_asked_for_are_read(bucket):
    ten = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
    calls = captures.read(bucket, "s3://drift-captures/capture/shop", "main", (ten, ten + timedelta(hours=1)))
    assert [call.requests[0]["userId"] for call in calls] == ["u0", "u0", "u1", "u1"]


def test_a_file_that_is_no_capture_is_named(bucket):
    ten = datetime(2026, 11, 21, 10, tzinfo=UTC)
    with pytest.raises(GitopsError, match=r"a\.jsonl: line 1 is no event"):
        list(captures.read(bucket, "s3://drift-captures/capture/torn", "main", (ten, ten)))
