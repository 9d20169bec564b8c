import math

import numpy as np
import pytest
from intervals import Panel, bootstrap
from metrics import difference

VALUES = np.random.default_rng(1).random(500)


def one(values: np.ndarray, **more: object):
    return bootstrap({"it": Panel({"m": values}, **more)}, 500, 0.95, 1)["it"]["m"]


def test_an_interval_holds_its_mean_and_is_the_same_for_a_seed():
    found = one(VALUES)
    assert found == one(VALUES)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * VALUES.std() / np.sqrt(500), rel=0.15)
    constant = one(np.zeros(500))
    assert (constant.low, constant.high) == (0, 0)


def test_a_paired_interval_sees_a_small_difference_that_separate_ones_do_not():
    better = {"m": VALUES + 0.001}
    assert one(difference(better, {"m": VALUES})["m"]).low > 0
    assert one(better["m"]).low < VALUES.mean()


def test_an_interval_of_some_users_is_as_wide_as_their_number_makes_it():
    places = np.arange(0, 500, 5)
    found = one(VALUES[places], places=places)
    assert found.value == pytest.approx(VALUES[places].mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * VALUES[places].std() / np.sqrt(100), rel=0.2)


def test_one_user_in_five_hundred_has_no_interval_that_a_gate_could_trust():
    assert math.isnan(one(VALUES[:1], places=np.array([0])).low)


def test_a_panel_of_nobody_has_no_intervals():
    assert bootstrap({"it": Panel({"m": VALUES[:0]}, np.array([], dtype=np.int64))}, 500, 0.95, 1) == {}


def test_a_value_that_is_not_a_number_spoils_its_own_metric_only():
    spoilt = VALUES.copy()
    spoilt[7] = np.nan
    found = bootstrap({"it": Panel({"bad": spoilt, "good": VALUES})}, 500, 0.95, 1)["it"]
    assert math.isnan(found["bad"].value + found["bad"].low + found["bad"].high)
    assert found["good"].low == pytest.approx(one(VALUES).low)
