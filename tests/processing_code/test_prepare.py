import datetime
import json
import shutil
from pathlib import Path

import checkerboard as board
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from checkerboard import ROOT, prepare_arguments, write_partitions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prepare import prepare
from problems import ProcessingError
from tables import write_json

PREPARE = ROOT / "processing_code" / "prepare.py"
OUTPUTS = ("train/interactions.parquet", "train/users.parquet", "train/items.parquet", "train/manifest.json",
           "holdout/interactions.parquet", "holdout/manifest.json")  # fmt: skip


def prepared(folder: Path, *weeks: list[board.Row], more: tuple[str, ...] = ()) -> dict:
    """Prepare these rows in-process; the report's manifest."""
    write_partitions(folder, [board.table(week) for week in weeks])
    prepare(prepare_arguments(folder, *more))
    return report(folder)


def report(folder: Path) -> dict:
    return json.loads((folder / "report" / "manifest.json").read_text())


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def interactions(folder: Path, name: str) -> set[tuple[str, str]]:
    """(user id, item id) pairs of an output."""
    users, items = (
        pq.read_table(folder / "train" / f"{kind}.parquet")["id"].to_pylist() for kind in ("users", "items")
    )
    rows = pq.read_table(folder / name / "interactions.parquet").to_pylist()
    return {(users[row["user"]], items[row["item"]]) for row in rows}


def test_the_program_runs_alone_and_splits_the_board_as_it_must(tmp_path: Path):
    shutil.copytree(ROOT / "processing_code", tmp_path / "alone")
    write_partitions(tmp_path, [board.table(board.rows())])
    done = board.run(tmp_path / "alone" / "prepare.py", prepare_arguments(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    own = {(user, item) for user, item, _ in board.rows() if user[1:] == item[1:]}
    assert interactions(tmp_path, "holdout") == own
    assert interactions(tmp_path, "train") == {(user, item) for user, item, _ in board.rows()} - own
    counts = report(tmp_path)["counts"]
    assert (counts["users"], counts["items"], counts["holdout_users"]) == (board.SIZE, board.SIZE, board.SIZE)


def test_the_same_rows_give_the_same_bytes_however_they_are_parted_and_ordered(tmp_path: Path):
    rows = board.rows()
    prepared(tmp_path / "one", rows)
    first = outputs(tmp_path / "one")
    prepared(tmp_path / "one", rows)
    assert outputs(tmp_path / "one") == first
    prepared(tmp_path / "two", rows[::-1][:100], rows[::-1][100:])
    assert outputs(tmp_path / "two") == first


BAD_ROWS = {
    "user id is missing": (None, "i01", board.MONDAY),
    "item id is missing": ("u01", "  ", board.MONDAY),
    "user id is longer than 256 characters": ("u" * 257, "i01", board.MONDAY),
    "item id is longer than 256 characters": ("u01", "i" * 300_000, board.MONDAY),
    "user id is negative": ("-17", "i01", board.MONDAY),
    "item id is negative": ("u01", "-2.5", board.MONDAY),
    "time is missing or not a time": ("u01", "i01", None),
    "time is before 1970": ("u01", "i01", datetime.datetime(1969, 12, 31)),
    "time is in the future": ("u01", "i01", datetime.datetime(2031, 1, 1)),
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_f20_a_bad_row_is_quarantined_with_its_reason(reason: str, tmp_path: Path):
    manifest = prepared(tmp_path, board.rows(), [BAD_ROWS[reason]])
    assert manifest["quarantine"] == {reason: 1}
    kept = pq.read_table(tmp_path / "report" / "quarantine.parquet").to_pylist()
    assert [row["reason"] for row in kept] == list(manifest["quarantine"])
    assert max(len(row["item_id"] or "") for row in kept) <= 64


@pytest.mark.parametrize("word", ["nan", " NaN ", "None", "NULL"])
def test_f20_a_word_for_nothing_is_no_id(word: str, tmp_path: Path):
    manifest = prepared(tmp_path, board.rows(), [(word, "i01", board.MONDAY), ("u01", word, board.MONDAY)])
    assert manifest["quarantine"] == {"item id is missing": 1, "user id is missing": 1}


@pytest.mark.parametrize("text", ["", "soon", "infinity", "-infinity", "NaN", "epoch", "2026-13-45", "now"])
def test_f20_a_text_that_is_no_time_is_quarantined(text: str, tmp_path: Path):
    bad = pa.table({"who": ["u01"], "what": ["i01"], "at": [text]})
    write_partitions(tmp_path, [board.table(board.rows()), bad])
    prepare(prepare_arguments(tmp_path))
    assert report(tmp_path)["quarantine"] == {"time is missing or not a time": 1}


def test_ids_and_times_mean_the_same_whatever_their_columns_types_are(tmp_path: Path):
    seconds = [int((time - datetime.datetime(1970, 1, 1)).total_seconds()) for _, _, time in board.rows()]
    people, things = ([int(row[place][1:]) for row in board.rows()] for place in (0, 1))
    times = [time for _, _, time in board.rows()]
    kinds = {
        "whole": {"who": people, "what": things, "at": times},
        "float": {"who": [float(one) for one in people], "what": things, "at": [float(one) for one in seconds]},
        "text": {"who": [str(one) for one in people], "what": [str(one) for one in things],
                 "at": [time.isoformat() for time in times]},
        "zoned": {"who": people, "what": things, "at": pa.array(times, pa.timestamp("ns", "UTC"))},
    }  # fmt: skip
    found = []
    for name, columns in kinds.items():
        write_partitions(tmp_path / name, [pa.table(columns)])
        prepare(prepare_arguments(tmp_path / name))
        found.append(outputs(tmp_path / name))
    assert found == [found[0]] * len(kinds)


def test_f20_a_float_id_that_is_not_finite_is_missing(tmp_path: Path):
    bad = pa.table({"who": [float("nan"), float("inf")], "what": [1, 1], "at": [board.MONDAY] * 2})
    write_partitions(tmp_path, [board.table(board.rows()), bad])
    prepare(prepare_arguments(tmp_path))
    assert report(tmp_path)["quarantine"] == {"user id is missing": 2}


anything = st.one_of(st.none(), st.text(max_size=5), st.integers(-5, 5).map(str), st.just("x" * 400))
never = st.sampled_from([None, datetime.datetime(2099, 1, 1), datetime.datetime(1950, 1, 1)])


@given(bad=st.lists(st.tuples(anything, anything, never), min_size=1, max_size=20), copies=st.integers(0, 20))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_f20_good_rows_come_out_the_same_with_bad_rows_and_copies_among_them(bad, copies, tmp_path: Path):
    rows = board.rows()
    if not (tmp_path / "clean").exists():
        prepared(tmp_path / "clean", rows)
    manifest = prepared(tmp_path / "dirty", [*bad, *rows[:copies]], rows, more=("--max-bad-ratio", "1"))
    assert outputs(tmp_path / "dirty") == outputs(tmp_path / "clean")
    assert manifest["counts"]["bad_rows"] == len(bad)
    assert manifest["counts"]["duplicates"] == copies


def test_f20_too_many_bad_rows_fail_and_say_why(tmp_path: Path):
    bad = [(None, "i01", board.MONDAY)] * 30
    with pytest.raises(ProcessingError, match=r"30 of \d+ rows are bad \{'user id is missing': 30\}; max_bad_ratio"):
        prepared(tmp_path, board.rows(), bad)
    assert (tmp_path / "report" / "quarantine.parquet").is_file()


def test_f21_a_missing_partition_is_named_with_the_nearest_that_exists(tmp_path: Path):
    write_partitions(tmp_path, [board.table(board.rows()), board.table(board.rows())])
    (tmp_path / "data" / "raw/board/week=2026-21/part-0.parquet").unlink()
    (tmp_path / "output").mkdir()
    done = board.run(PREPARE, prepare_arguments(tmp_path), SAGEMAKER_BASE_DIR=str(tmp_path))
    assert done.returncode == 1
    said = ("raw/board/week=2026-21/part-0.parquet: partition is not there; "
            "the nearest that exists is raw/board/week=2026-20/part-0.parquet")  # fmt: skip
    assert done.stderr == f"error: {said}\n"
    assert (tmp_path / "output" / "message").read_text() == said


def test_f13_a_partition_that_differs_from_the_lock_is_refused(tmp_path: Path):
    write_partitions(tmp_path, [board.table(board.rows())])
    pq.write_table(board.table(board.rows()[1:]), tmp_path / "data" / "raw/board/week=2026-20/part-0.parquet")
    with pytest.raises(ProcessingError, match=r"sha256 is .*; the data lock says"):
        prepare(prepare_arguments(tmp_path))


def test_a_row_count_that_differs_from_the_lock_is_refused(tmp_path: Path):
    write_partitions(tmp_path, [board.table(board.rows())])
    lock = tmp_path / "lock" / "lock.json"
    lock.write_text(lock.read_text().replace('"rows": ', '"rows": 1'))
    with pytest.raises(ProcessingError, match="rows; the data lock says"):
        prepare(prepare_arguments(tmp_path))


def test_a_key_that_leaves_the_data_folder_is_refused(tmp_path: Path):
    write_partitions(tmp_path, [board.table(board.rows())])
    lock = tmp_path / "lock" / "lock.json"
    lock.write_text(lock.read_text().replace("raw/board", "../elsewhere"))
    with pytest.raises(ProcessingError, match="leaves the data folder"):
        prepare(prepare_arguments(tmp_path))


@pytest.mark.parametrize("text", ["", "{}", '{"dataset": "x", "partitions": []}', "[1]"])
def test_a_lock_that_is_none_is_refused(text: str, tmp_path: Path):
    write_partitions(tmp_path, [board.table(board.rows())])
    (tmp_path / "lock" / "lock.json").write_text(text)
    with pytest.raises(ProcessingError, match=r"lock\.json: "):
        prepare(prepare_arguments(tmp_path))


def test_f22_no_row_and_nothing_left_after_the_filter_fail_before_training(tmp_path: Path):
    empty = pa.table(
        {"who": pa.array([], pa.string()), "what": pa.array([], pa.string()), "at": pa.array([], pa.date32())}
    )
    write_partitions(tmp_path, [empty])
    with pytest.raises(ProcessingError, match="no training interaction is left of 0 rows"):
        prepare(prepare_arguments(tmp_path))
    with pytest.raises(ProcessingError, match="lower min_user_interactions"):
        prepared(tmp_path, board.rows(), more=("--min-user-interactions", "1000"))


def test_f22_nothing_to_measure_with_fails_before_training(tmp_path: Path):
    nobody_comes_back = [("stranger", "i01", board.MONDAY + datetime.timedelta(days=60))]
    as_of = ("--as-of", "2026-09-01T00:00:00Z")
    with pytest.raises(ProcessingError, match="the holdout is empty: no known user took a known item"):
        prepared(tmp_path, [*board.rows(), *nobody_comes_back], more=as_of)
    assert not (tmp_path / "train").exists()


def test_f23_columns_are_taken_by_name_a_new_one_warns_and_a_missing_one_fails(tmp_path: Path, capsys):
    rows = board.table(board.rows())
    prepared(tmp_path / "plain", board.rows())
    first, second = rows.slice(0, 100).select(["at", "who", "what"]), rows.slice(100)
    write_partitions(tmp_path, [first, second.append_column("shop", pa.array(["s"] * second.num_rows))])
    prepare(prepare_arguments(tmp_path))
    assert outputs(tmp_path) == outputs(tmp_path / "plain")
    assert (
        "week=2026-21/part-0.parquet: has columns that the first partition lacks: ['shop']" in capsys.readouterr().err
    )
    write_partitions(tmp_path, [rows, rows.drop_columns(["what"])])
    with pytest.raises(ProcessingError, match=r"week=2026-21.*has no column 'what'; it has \['at', 'who'\]"):
        prepare(prepare_arguments(tmp_path))


def test_f26_a_pair_known_before_the_cutoff_is_not_in_the_holdout_again(tmp_path: Path):
    again = [
        ("u00", "i02", board.MONDAY + datetime.timedelta(days=26)),
        ("new", "i02", board.MONDAY + datetime.timedelta(days=26)),
    ]
    prepared(tmp_path, board.rows(), again)
    assert ("u00", "i02") not in interactions(tmp_path, "holdout")
    train, holdout = (pq.read_table(tmp_path / name / "interactions.parquet") for name in ("train", "holdout"))
    assert max(train["time"].to_pylist()) < min(holdout["time"].to_pylist())
    assert not interactions(tmp_path, "train") & interactions(tmp_path, "holdout")


def test_rare_items_and_then_users_with_few_items_are_left_out(tmp_path: Path):
    day = board.MONDAY
    rows = [(f"u{n}", item, day) for n in range(3) for item in ("a", "b", "c")]
    rows += [("u0", "rare", day), ("few", "a", day), ("few", "rare", day)]
    rows += [("u1", "a", day + datetime.timedelta(days=20)), ("u2", "z", day + datetime.timedelta(days=20))]
    rows += [("u9", item, day) for item in ("a", "b")] + [("u9", "c", day + datetime.timedelta(days=20))]
    prepared(tmp_path, rows, more=("--min-item-users", "3", "--min-user-interactions", "2"))
    users, items = (
        {user for user, _ in interactions(tmp_path, "train")},
        {item for _, item in interactions(tmp_path, "train")},
    )
    assert (users, items) == ({"u0", "u1", "u2", "u9"}, {"a", "b", "c"})
    assert interactions(tmp_path, "holdout") == {("u9", "c")}


@pytest.mark.parametrize("limit", [100, 3000])
def test_f15_a_full_disk_is_one_line_and_leaves_no_manifest(tmp_path: Path, limit: int):
    """Whatever could still be written, the manifest that makes it an output is not, and one line says why."""
    write_partitions(tmp_path, [board.table(board.rows())])
    done = board.run_out_of_disk(PREPARE, prepare_arguments(tmp_path), limit)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert "too large" in done.stderr.lower()
    assert not list(tmp_path.glob("*/manifest.json"))


def test_f15_a_manifest_is_there_whole_or_not_at_all(tmp_path: Path):
    write_json(tmp_path / "manifest.json", {"whole": 1})
    with board.full_disk(20), pytest.raises(OSError, match="too large"):
        write_json(tmp_path / "manifest.json", {"longer": "x" * 100})
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"whole": 1}
