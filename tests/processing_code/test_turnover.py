import json
from pathlib import Path
from types import SimpleNamespace

import checkerboard as board
import numpy as np
import pytest
import training_jobs
from evaluate import evaluate
from ranking import Ranks
from turnover import turnover

USERS = [f"household-{number}" for number in range(30)]
ITEMS = [f"product-{number}" for number in range(40)]
DATA = SimpleNamespace(
    train=SimpleNamespace(users=USERS, items=ITEMS), holdout=SimpleNamespace(users=np.arange(len(USERS)))
)


def ranks(top: np.ndarray) -> Ranks:
    nothing = np.zeros(0, dtype=np.int64)
    return Ranks(nothing, nothing, top, np.zeros(len(top), dtype=np.bool_), 0.0)


def lists(start: int) -> np.ndarray:
    return np.tile(np.arange(start, start + 10), (len(USERS), 1))


@pytest.mark.parametrize(("start", "found"), [(0, (1.0, 1.0, 1.0)), (3, (0.7, 0.0, 0.0)), (20, (0.0, 0.0, 0.0))])
def test_what_stays_is_the_part_of_the_first_ten_that_both_recommend(start, found):
    one = turnover(ranks(lists(start)), ranks(lists(0)), DATA)
    assert (one.overlap, one.identical, one.first) == pytest.approx(found)


def test_another_order_of_the_same_items_is_no_other_choice_but_another_list():
    one = turnover(ranks(lists(0)[:, ::-1]), ranks(lists(0)), DATA)
    assert (one.overlap, one.identical, one.first) == (1.0, 0.0, 0.0)


def test_a_list_that_ends_early_is_compared_with_what_it_has():
    short = lists(0)
    short[:, 5:] = -1
    one = turnover(ranks(short), ranks(short), DATA)
    assert (one.overlap, one.identical) == (1.0, 1.0)
    assert turnover(ranks(short), ranks(lists(0)), DATA).overlap == 0.5


def test_examples_are_few_the_same_every_time_and_name_nobody():
    mixed = np.stack([np.roll(np.arange(40), -row)[:10] for row in range(len(USERS))])
    first, second = (turnover(ranks(mixed), ranks(lists(0)), DATA).record(30) for _ in range(2))
    assert first == second
    assert len(first["examples"]) == 3
    assert not any(name in json.dumps(first) for name in ("household", "product"))


def test_hashed_names_depend_on_who_is_in_the_data():
    others = SimpleNamespace(
        train=SimpleNamespace(users=[*USERS[:-1], "someone else"], items=ITEMS), holdout=DATA.holdout
    )
    here, there = (turnover(ranks(lists(0)), ranks(lists(0)), data).examples[0] for data in (DATA, others))
    assert here != there


def test_the_evidence_has_it_where_a_champion_was_compared(tmp_path: Path):
    prepared = board.prepared(tmp_path / "board")
    words = ["--train-dir", str(prepared / "train"), "--holdout-dir", str(prepared / "holdout"), "--top-k", "1,10",
             "--models-dir", str(tmp_path / "models"), "--output-dir", str(tmp_path / "out"),
             "--model-dir", str(training_jobs.job(tmp_path / "model")),
             "--gate", "absolute.ndcg@10.min=0.9", "absolute.bytes.max=1000000", "relative.max_drop=0.1"]  # fmt: skip
    evaluate([*words, "--champion-dir", str(training_jobs.champion(tmp_path / "champion"))])
    found = json.loads((tmp_path / "out" / "decision.json").read_text())
    assert (found["changes"]["overlap"], found["changes"]["users"]) == (1.0, board.SIZE)
    absolute, size, relative = sorted(found["findings"], key=lambda one: one["rule"] != "ndcg@10 at least 0.9")
    assert absolute["low"] == found["metrics"]["ndcg@10"]["low"]
    assert (relative["value"], relative["users"]) == (0.0, board.SIZE)
    assert (size["rule"], size["low"]) == ("bytes at most 1e+06", None)
    evaluate(words)
    assert json.loads((tmp_path / "out" / "decision.json").read_text())["changes"] is None
