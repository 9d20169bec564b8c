import datetime
import json
from pathlib import Path

import checkerboard as board
import numpy as np
import prepared
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import ENGINES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prepare import prepare
from prepared import DAY
from problems import ProcessingError
from splits import check

LEAVE_ONE_OUT = ("--split", "leave_one_out")


def test_leave_one_out_holds_back_each_users_last_item(tmp_path: Path):
    manifest = prepared.run(tmp_path, board.rows(), *LEAVE_ONE_OUT)
    own = {(user, item) for user, item, _ in board.rows() if user[1:] == item[1:]}
    assert prepared.pairs(tmp_path, "holdout") == own
    assert manifest["holdout"]["split"] == "leave_one_out"
    assert manifest["counts"]["holdout"] == board.SIZE


def test_of_two_last_items_at_one_moment_the_one_that_sorts_last_is_held_back(tmp_path: Path):
    day = board.MONDAY
    rows = [(user, item, day) for user in ("u", "v") for item in ("b", "a")]
    rows += [(user, "c", day - DAY) for user in ("u", "v")]
    rows += [("w", item, day) for item in ("a", "b", "c")]
    prepared.run(tmp_path, rows, *LEAVE_ONE_OUT)
    assert prepared.pairs(tmp_path, "holdout") == {("u", "b"), ("v", "b"), ("w", "c")}


def test_f26_what_happened_after_a_users_last_new_item_is_not_trained_on(tmp_path: Path):
    day = board.MONDAY
    rows = [("u", "a", day), ("u", "b", day + DAY), ("u", "a", day + 2 * DAY), ("v", "b", day), ("v", "a", day + DAY)]
    prepared.run(tmp_path, rows, *LEAVE_ONE_OUT, "--max-user-share", "1")
    assert prepared.pairs(tmp_path, "holdout") == {("u", "b"), ("v", "a")}
    assert pq.read_table(tmp_path / "train" / "interactions.parquet")["events"].to_pylist() == [1, 1]


def test_a_user_with_one_item_keeps_it(tmp_path: Path):
    prepared.run(tmp_path, [*board.rows(), ("once", "i03", board.MONDAY)], *LEAVE_ONE_OUT)
    assert ("once", "i03") in prepared.pairs(tmp_path, "train")
    assert "once" not in {user for user, _ in prepared.pairs(tmp_path, "holdout")}


def test_the_temporal_split_says_so(tmp_path: Path):
    assert prepared.run(tmp_path, board.rows())["holdout"]["split"] == "temporal"


row = st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdefg"), st.integers(0, 40))


@given(rows=st.lists(row, min_size=20, max_size=80), split=st.sampled_from(["temporal", "leave_one_out"]))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_f26_no_pair_is_on_both_sides_and_time_runs_from_train_to_holdout(rows, split: str, tmp_path: Path):
    found = [(user, item, board.MONDAY + day * DAY / 2) for user, item, day in rows]
    try:
        prepared.run(tmp_path, found, "--split", split, "--holdout-days", "3", "--max-user-share", "1")
    except ProcessingError as error:
        assert "left" in str(error) or "empty" in str(error)  # noqa: PT017
        return
    assert not prepared.pairs(tmp_path, "train") & prepared.pairs(tmp_path, "holdout")
    train, holdout = (
        pq.read_table(tmp_path / name / "interactions.parquet").to_pylist() for name in ("train", "holdout")
    )
    for held in holdout:
        before = [one["time"] for one in train if split == "temporal" or one["user"] == held["user"]]
        limit = held["time"] - (split == "temporal")
        assert max(before, default=0) <= limit


def tables(train: list[tuple[int, int, int]], holdout: list[tuple[int, int, int]]) -> dict[str, pa.Table]:
    """(user, item, time) rows as an engine hands them back, with a cutoff of 10."""
    ids = pa.table({"id": ["a", "b", "c"]})
    shown = {name: pa.table(dict(zip(("user", "item", "time"), map(list, zip(*rows, strict=True)), strict=True)))
             for name, rows in (("train", train), ("holdout", holdout))}  # fmt: skip
    return {**shown, "users": ids, "items": ids, "bounds": pa.table({"cutoff": [10], "newest": [20]})}


@pytest.mark.parametrize(
    ("split", "train", "holdout", "says"),
    [
        ("temporal", [(0, 0, 5)], [(0, 0, 15)], "in both train and holdout"),
        ("temporal", [(0, 0, 11)], [(0, 1, 15)], "reaches into the holdout's time"),
        ("temporal", [(0, 0, 5)], [(0, 1, 10)], "reaches into the holdout's time"),
        ("leave_one_out", [(0, 0, 5)], [(0, 0, 15)], "in both train and holdout"),
        ("leave_one_out", [(0, 0, 5)], [(0, 1, 6), (0, 2, 7)], "more than one pair of a user"),
        ("leave_one_out", [(1, 0, 1), (0, 0, 8)], [(0, 1, 7)], "beyond what is held out"),
    ],
)
def test_f26_a_leak_is_found_whatever_made_it(split: str, train: list, holdout: list, says: str):
    with pytest.raises(ProcessingError, match=f"leak: .*{says}"):
        check(tables(train, holdout), split)


LEAKY = """
import duckdb_engine, pyarrow
def run(work):
    found = duckdb_engine.run(work)
    return found | {"holdout": pyarrow.concat_tables([found["holdout"], found["train"].slice(0, 1)])}
"""


@pytest.mark.parametrize("split", ["temporal", "leave_one_out"])
def test_f26_what_an_engine_made_is_checked_before_anything_is_written(
    split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "leaky_engine.py").write_text(LEAKY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ENGINES, "leaky", "leaky_engine")  # the registry is where a new engine goes
    with pytest.raises(ProcessingError, match="leak: a pair is in both train and holdout"):
        prepared.run(tmp_path, board.rows(), "--split", split, "--engine", "leaky")
    assert not (tmp_path / "train").exists()


def folds(folder: Path) -> dict[tuple[int, int], int]:
    rows = pq.read_table(folder / "train" / "interactions.parquet").to_pylist()
    return {(row["user"], row["item"]): row["fold"] for row in rows}


def test_folds_are_dealt_evenly_and_the_same_every_time(tmp_path: Path):
    prepared.run(tmp_path, board.rows(), "--folds", "5")
    dealt = folds(tmp_path)
    counts = np.bincount(list(dealt.values()), minlength=5)
    assert len(counts) == 5
    assert counts.min() > len(dealt) / 5 * 0.75
    prepared.run(tmp_path, board.rows()[::-1], "--folds", "5")
    assert folds(tmp_path) == dealt


def test_new_data_moves_no_pair_to_another_fold(tmp_path: Path):
    prepared.run(tmp_path, board.rows(), "--folds", "4")
    dealt, users, items = folds(tmp_path), prepared.ids(tmp_path, "users"), prepared.ids(tmp_path, "items")
    before = {(users[user], items[item]): fold for (user, item), fold in dealt.items()}
    prepared.run(tmp_path, [*board.rows(), ("a new one", "i00", board.MONDAY), ("u00", "a new one", board.MONDAY)],
                 "--folds", "4")  # fmt: skip
    users, items = prepared.ids(tmp_path, "users"), prepared.ids(tmp_path, "items")
    after = {(users[user], items[item]): fold for (user, item), fold in folds(tmp_path).items()}
    assert before.items() <= after.items()


def test_without_folds_there_is_no_such_column(tmp_path: Path):
    prepared.run(tmp_path, board.rows())
    assert prepared.columns_of(tmp_path, "train/interactions.parquet") == ["user", "item", "time", "events"]


@pytest.mark.parametrize("count", ["1", "-2", "101"])
def test_a_number_of_folds_that_makes_no_sense_is_refused(count: str, tmp_path: Path):
    with pytest.raises(ProcessingError, match=r"--folds: is .*; right is 2 to 100"):
        prepared.run(tmp_path, board.rows(), "--folds", count)


def test_more_folds_than_pairs_are_refused(tmp_path: Path):
    rows = [("u", "a", board.MONDAY), ("v", "b", board.MONDAY), ("u", "b", board.MONDAY + 20 * DAY)]
    with pytest.raises(ProcessingError, match="leave one empty; ask for fewer"):
        prepared.run(tmp_path, rows, "--folds", "50", "--max-user-share", "1")


LABELLED = {**board.COLUMNS, "segment": "age", "category": "aisle"}


def labelled(folder: Path, rows: list[tuple]) -> None:
    """Prepare (user, item, time, age, aisle) rows."""
    names = [*board.COLUMNS.values(), "age", "aisle"]
    table = pa.table({name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)})
    board.write_partitions(folder, [table])
    prepare(board.prepare_arguments(folder, "--columns", json.dumps(LABELLED)))


def labels(folder: Path, name: str, label: str) -> dict[str, str | None]:
    table = pq.read_table(folder / "train" / f"{name}.parquet")
    return dict(zip(table["id"].to_pylist(), table[label].to_pylist(), strict=True))


def test_labels_are_the_most_frequent_and_then_the_smallest(tmp_path: Path):
    day, late = board.MONDAY, board.MONDAY + 20 * DAY
    rows = [
        ("u", "a", day, "old", "x"), ("u", "b", day, "young", "y"), ("u", "c", day, "young", None),
        ("v", "a", day, "z", "x"), ("v", "b", day, "k", "x"), ("v", "b", day + DAY, None, ""),
        ("w", "c", day, "  ", None), ("w", "a", late, "late", "late"), ("w", "a", late + DAY, "late", "late"),
    ]  # fmt: skip
    labelled(tmp_path, rows)
    assert labels(tmp_path, "users", "segment") == {"u": "young", "v": "k", "w": None}
    assert labels(tmp_path, "items", "category") == {"a": "x", "b": "x", "c": None}


def test_copies_of_a_row_do_not_decide_a_label(tmp_path: Path):
    day = board.MONDAY
    rows = [("u", "a", day, "one", "x")] * 5 + [("u", "b", day, "two", "x"), ("u", "c", day, "two", "x")]
    rows += [("v", "a", day, "one", "x"), ("v", "b", day, "one", "x"), ("v", "c", day + 20 * DAY, "one", "x")]
    labelled(tmp_path, rows)
    assert labels(tmp_path, "users", "segment")["u"] == "two"


def test_without_such_columns_there_are_only_ids(tmp_path: Path):
    prepared.run(tmp_path, board.rows())
    assert prepared.columns_of(tmp_path, "train/users.parquet") == ["id"]
    assert prepared.columns_of(tmp_path, "train/items.parquet") == ["id"]


@pytest.mark.parametrize("columns", ["[]", '{"user": "who"}', '{"user": "a", "item": "b", "time": "c", "price": "d"}'])
def test_a_mapping_that_is_none_is_refused(columns: str, tmp_path: Path):
    with pytest.raises(ProcessingError, match=r"--columns: is .*; right is"):
        prepared.run(tmp_path, board.rows(), "--columns", columns)


def test_the_moment_of_a_time_with_an_offset_is_in_utc(tmp_path: Path):
    at = ["2026-06-01T02:00:00+02:00", "2026-05-31 19:30:00.5-04:30", "2026-06-01T00:00Z", "2026-06-01", "1780272000"]
    table = pa.table({"who": list("uvwxy"), "what": ["a"] * 5, "at": at})
    later = pa.table(
        {"who": ["z", "z", "u"], "what": ["a", "b", "b"], "at": ["2026-06-01", "2026-06-01", "2026-06-20"]}
    )
    board.write_partitions(tmp_path, [table, later])
    prepare(board.prepare_arguments(tmp_path))
    midnight = int((board.MONDAY - datetime.datetime(1970, 1, 1)).total_seconds() * 1_000_000)
    times = pq.read_table(tmp_path / "train" / "interactions.parquet")["time"].to_pylist()
    assert times == [midnight, midnight + 500_000] + [midnight] * 5
