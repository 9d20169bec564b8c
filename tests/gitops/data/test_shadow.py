"""How a shadow variant's answers differ, from what data capture kept."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops.data import captures, shadow
from gitops.data.shadow import Answer, compare, median_latency, overlap, table


def line(event: str, body: Any, inference: str = "", encoding: str = "JSON") -> str:
    """A captured event whose answer is `body`; no answer for None."""
    text = json.dumps(body)
    data = base64.b64encode(text.encode()).decode() if encoding == "BASE64" else text
    output = {"observedContentType": "application/json", "mode": "OUTPUT", "data": data, "encoding": encoding}
    metadata = {"eventId": event, "inferenceTime": "2026-11-21T12:00:00Z"}
    return json.dumps(
        {
            "captureData": {"endpointOutput": output} if body is not None else {},
            "eventMetadata": {**metadata, "inferenceId": inference} if inference else metadata,
            "eventVersion": "0",
        }
    )


def answers(lines: list[str]) -> list[Answer]:
    return shadow.answers(captures.capture(each) for each in lines)


def listed(*items: str) -> dict[str, Any]:
    return {"itemList": [{"itemId": item, "score": 1.0} for item in items]}


def test_lists_are_paired_and_their_differences_counted():
    production = answers([line("1", listed("a", "b", "c")), line("2", listed("a", "b")), line("3", listed("x"))])
    other = answers([line("2", listed("a", "b")), line("1", listed("b", "a", "d")), line("4", listed("y"))])
    found = compare(production, other, (1.5, 2.5))
    assert (found.pairs, found.unpaired, found.compared) == (2, 2, 2)
    assert found.equal == 0.5
    assert found.overlap == pytest.approx((2 / 3 + 1) / 2)
    assert found.rank_shift == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert (found.production_latency_ms, found.shadow_latency_ms) == (1.5, 2.5)


def test_the_callers_own_id_pairs_answers_whose_events_differ():
    found = compare(answers([line("1", listed("a"), "mine")]), answers([line("2", listed("a"), "mine")]))
    assert (found.pairs, found.equal) == (1, 1.0)


def test_calls_without_an_answer_are_errors_and_are_not_compared():
    production = answers([line("1", listed("a")), line("2", None)])
    other = answers([line("1", None), line("2", None)])
    found = compare(production, other)
    assert (found.production_errors, found.shadow_errors, found.compared) == (1, 2, 0)
    assert (found.equal, found.overlap, found.rank_shift) == (None, None, None)


def test_base64_is_read_and_an_answer_without_a_list_is_not_compared():
    one, other = answers([line("1", listed("a"), encoding="BASE64"), line("2", {"predictions": []})])
    assert (one.items, other.items, other.failed) == (("a",), None, False)


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.integers(1, 8))
def test_a_list_is_equal_to_itself_and_overlaps_it_wholly(items: list[str], k: int):
    same = Answer("1", tuple(items), failed=False)
    found = compare([same], [same], k=k)
    assert (found.equal, found.overlap, found.rank_shift or 0) == (1.0, 1.0, 0)


def test_the_overlap_looks_at_the_first_k_only():
    assert overlap(["a", "b", "c"], ["a", "x", "y"], 1) == 1
    assert overlap(["a", "b"], [], 2) == 0


def test_the_table_shows_every_figure_and_a_dash_for_what_nobody_knows():
    rows = [row.split() for row in table(compare([], [])).splitlines()]
    assert rows[0] == ["pairs", "0"]
    assert ["equal", "-"] in rows


def test_the_median_latency_is_cloudwatchs(localcloud):
    cloudwatch, end = localcloud.client("cloudwatch"), datetime.now(UTC)
    dimensions = [{"Name": "EndpointName", "Value": "median"}, {"Name": "VariantName", "Value": "main"}]
    row = {"MetricName": "ModelLatency", "Dimensions": dimensions, "Timestamp": end - timedelta(minutes=3)}
    cloudwatch.put_metric_data(
        Namespace="AWS/SageMaker", MetricData=[{**row, "Unit": "Microseconds", "Values": [1000.0, 2000.0, 90_000.0]}]
    )
    assert median_latency(cloudwatch, "median", "main", end - timedelta(hours=2), end) == 2.0
    assert median_latency(cloudwatch, "median", "other", end - timedelta(hours=2), end) is None
