import pytest

from gitops.planning import estimates
from gitops.planning.estimates import History
from gitops.planning.prices import Prices
from gitops.planning.steps import Step

PRICES = Prices(as_of="2026-11-21", region="r", source="s", hourly={"ml.m5.xlarge": 0.36})


def step(runs: bool = True, **more) -> Step:
    return Step("Train", runs, (), more.get("machine", "ml.m5.xlarge"), more.get("instances", 1), more.get("jobs", 1))


def record(**seconds: float) -> dict:
    return {"cost": {"step_seconds": seconds}}


def test_the_median_of_the_last_runs_leaves_out_those_that_were_cached():
    history = estimates.from_records([record(Train=t) for t in (0.0, 10, 30, 20)])
    assert history.typical("Train") == 20
    assert history.source == "median of 4 releases in releases/"


@pytest.mark.parametrize("found", [[], [{}], [{"cost": None}], [{"cost": {"step_seconds": {"Train": "10"}}}]])
def test_without_a_run_nothing_is_made_up(found):
    history = estimates.from_records(found)
    assert history.typical("Train") is None
    assert estimates.time(estimates.estimate(step(), history, PRICES).seconds) == "unknown"


def test_cost_counts_every_machine_of_every_job_at_once():
    found = estimates.estimate(step(instances=2, jobs=3), History({"Train": [100.0]}), PRICES)
    assert found.usd == pytest.approx(0.06)


def test_a_cached_step_takes_nothing_and_a_machine_without_a_price_is_unknown():
    history = History({"Train": [100.0]})
    assert estimates.estimate(step(runs=False), history, PRICES).usd == 0
    found = estimates.estimate(step(machine="ml.p3.2xlarge"), history, PRICES)
    assert (found.seconds, estimates.money(found.usd)) == (100, "unknown")


def test_a_sum_with_an_unknown_part_is_unknown():
    assert estimates.total([1.0, 2.0]) == 3
    assert estimates.total([1.0, None]) is None
