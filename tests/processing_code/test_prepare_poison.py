"""F20, F22, F23 where inputs are wide: whatever is mixed in, the good rows come out the same."""

import csv
import datetime
import gzip
import io
import json
from pathlib import Path

import checkerboard as board
import prepared
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prepare import prepare
from prepared import DAY
from problems import ProcessingError

SLOW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
GOOD = board.rows()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the good rows alone give."""
    folder = tmp_path_factory.mktemp("clean")
    prepared.run(folder, GOOD)
    return unnamed(folder)


def unnamed(folder: Path) -> dict[str, bytes]:
    """The outputs, but for the data set's name."""
    return {name: content.replace(b'"toy"', b'"board"') for name, content in prepared.outputs(folder).items()}


def mixed_in(folder: Path, *tables: pa.Table) -> dict[str, int]:
    """Prepare the good rows and these; the quarantine."""
    board.write_partitions(folder, [board.table(GOOD), *tables])
    prepare(board.prepare_arguments(folder, "--max-bad-ratio", "1"))
    return prepared.report(folder)["quarantine"]


def table(who: object, what: object, at: object) -> pa.Table:
    return pa.table({"who": who, "what": what, "at": at})


ids = st.one_of(st.none(), st.text(max_size=6), st.integers(-3, 50).map(str), st.just("x" * 300), st.just("nan"))
bad_times = st.one_of(
    st.none(), st.text(max_size=8).filter(lambda text: not text.strip().isdigit()), st.just("2026-02-30"),
    st.datetimes(datetime.datetime(2030, 1, 1), datetime.datetime(2999, 1, 1)).map(str), st.just("1969-07-20 20:17:00"),
)  # fmt: skip


@given(bad=st.lists(st.tuples(ids, ids, bad_times), min_size=1, max_size=30))
@SLOW
def test_f20_text_that_is_no_interaction_changes_nothing(bad, clean: dict[str, bytes], tmp_path: Path):
    found = mixed_in(tmp_path, table(*([row[place] for row in bad] for place in range(3))))
    assert sum(found.values()) == len(bad)
    assert unnamed(tmp_path) == clean


numbers = {
    "float ids": st.lists(st.sampled_from([float("nan"), float("inf"), -float("inf"), 0.5, -2.0, 1e16]), min_size=1),
    "negative ids": st.lists(st.integers(-(2**62), -1), min_size=1),
    "nested ids": st.lists(st.lists(st.integers(0, 3), max_size=2), min_size=1),
    "true or false": st.lists(st.booleans(), min_size=1),
}


@pytest.mark.parametrize("kind", numbers)
@given(data=st.data())
@settings(SLOW, max_examples=5)
def test_f20_ids_of_a_wrong_type_change_nothing(kind: str, data, clean: dict[str, bytes], tmp_path: Path):
    found = data.draw(numbers[kind])
    assert sum(mixed_in(tmp_path, table(found, ["i01"] * len(found), [board.MONDAY] * len(found))).values()) == len(
        found
    )
    assert unnamed(tmp_path) == clean


WRONG_TIMES = {
    "numbers": pa.array([float("nan"), float("inf"), -1.0, 1e12, 1e300]),
    "milliseconds taken for seconds": pa.array([1_780_272_000_000]),
    "the largest microsecond": pa.array([2**63 - 1, -(2**63)], pa.timestamp("us")),
    "the largest millisecond": pa.array([2**63 - 1], pa.timestamp("ms")),
    "days": pa.array([2**31 - 1, -1], pa.date32()),
    "unsigned": pa.array([2**64 - 1], pa.uint64()),
    "booleans": pa.array([True]),
    "nothing": pa.nulls(2),
}


@pytest.mark.parametrize("kind", WRONG_TIMES)
def test_f20_times_of_a_wrong_type_change_nothing(kind: str, clean: dict[str, bytes], tmp_path: Path):
    count = len(WRONG_TIMES[kind])
    found = mixed_in(tmp_path, table(["u01"] * count, ["i01"] * count, WRONG_TIMES[kind]))
    assert sum(found.values()) == count
    assert unnamed(tmp_path) == clean


def test_f20_a_field_of_ten_megabytes_is_cut_short_in_the_quarantine(clean: dict[str, bytes], tmp_path: Path):
    found = mixed_in(tmp_path, table(["u" * 10_000_000], ["i01"], [board.MONDAY]))
    assert found == {"user id is longer than 256 characters": 1}
    kept = pq.read_table(tmp_path / "report" / "quarantine.parquet").to_pylist()
    assert [len(row["user_id"]) for row in kept] == [64]
    assert unnamed(tmp_path) == clean


def test_f20_bytes_that_are_no_text_are_quarantined(clean: dict[str, bytes], tmp_path: Path):
    broken = pa.array([b"\xff\xfe", b"caf\xe9"])
    assert mixed_in(tmp_path, table(broken, ["i01", "i01"], [board.MONDAY] * 2)) == {"user id cannot be read": 2}
    assert unnamed(tmp_path) == clean


@given(share=st.floats(0.51, 0.9), copies=st.integers(0, 3))
@settings(SLOW, max_examples=6)
def test_f20_a_user_with_most_of_all_rows_changes_nothing(
    share: float, copies: int, clean: dict[str, bytes], tmp_path: Path
):
    count = int(len(GOOD) * share / (1 - share)) + 1
    crowd = [("robot", f"i{n % 40:02}", board.MONDAY + datetime.timedelta(seconds=n)) for n in range(count)]
    found = mixed_in(tmp_path, board.table(crowd + crowd[:copies]))
    assert found == {"user has more than max_user_share of all rows": count + copies}
    assert unnamed(tmp_path) == clean


def test_f20_a_user_with_most_of_all_rows_fails_the_run(tmp_path: Path):
    crowd = [("robot", "i01", board.MONDAY + datetime.timedelta(seconds=n)) for n in range(2 * len(GOOD))]
    with pytest.raises(ProcessingError, match="user has more than max_user_share of all rows"):
        prepared.run(tmp_path, GOOD + crowd)


def test_f20_one_row_sent_many_times_makes_no_robot(clean: dict[str, bytes], tmp_path: Path):
    assert mixed_in(tmp_path, board.table([GOOD[0]] * 3 * len(GOOD))) == {}
    assert unnamed(tmp_path) == clean


def as_csv(rows: list[board.Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["price", "at", "what", "who"])
    writer.writerows([9, time.isoformat(), item, user] for user, item, time in rows)
    return text.getvalue().encode()


def from_csv(folder: Path, content: bytes, rows: int, name: str = "raw/toy/part-0.csv") -> dict[str, int]:
    prepared.write_lock(folder, {name: content}, [rows])
    prepare(board.prepare_arguments(folder, "--max-bad-ratio", "0.5"))
    return prepared.report(folder)["quarantine"]


@pytest.mark.parametrize("packed", [False, True])
def test_f23_csv_gives_what_parquet_gives(packed: bool, clean: dict[str, bytes], tmp_path: Path):
    content = as_csv(GOOD)
    name = "raw/toy/part-0.csv.gz" if packed else "raw/toy/part-0.csv"
    assert from_csv(tmp_path, gzip.compress(content) if packed else content, len(GOOD), name) == {}
    assert unnamed(tmp_path) == clean


junk = st.sampled_from(
    [b"torn", b"1,2", b"a,b,c,d,e,f", b"\xff\xfe,\xff,\xff,\xff", b"9,soon,i,u", b'9,,"a\nb",u', b"9,2026-06-01,,u"]
)


@given(lines=st.lists(junk, min_size=1, max_size=20))
@SLOW
def test_f20_lines_of_csv_that_are_no_rows_change_nothing(lines, clean: dict[str, bytes], tmp_path: Path):
    found = from_csv(tmp_path, as_csv(GOOD) + b"\r\n".join(lines) + b"\r\n", len(GOOD) + len(lines))
    assert sum(found.values()) == len(lines)
    assert unnamed(tmp_path) == clean


BROKEN = {
    "a head and no row": (b"who,what,at\n", 0, "no training interaction is left of 0 rows"),
    "nothing at all": (b"", 0, "has no column 'who'"),
    "a column is missing": (b"who,what\nu,i\n", 1, r"has no column 'at'; it has \['what', 'who'\]"),
    "a column twice": (b"who,what,at,who\nu,i,1,u\n", 1, "has two columns named 'who'"),
    "other rows than the lock says": (b"who,what,at\nu,i,1\n", 2, "has 1 rows; the data lock says 2"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_f22_a_csv_partition_without_rows_or_columns_fails(kind: str, tmp_path: Path):
    content, rows, says = BROKEN[kind]
    with pytest.raises(ProcessingError, match=says):
        from_csv(tmp_path, content, rows)


def test_f22_a_packed_partition_that_is_torn_fails_in_one_line(tmp_path: Path):
    with pytest.raises(ProcessingError, match=r"part-0\.csv\.gz: ") as caught:
        from_csv(tmp_path, gzip.compress(as_csv(GOOD))[:-200], len(GOOD), "raw/toy/part-0.csv.gz")
    assert "\n" not in str(caught.value)


def test_f22_a_partition_that_is_no_table_fails(tmp_path: Path):
    with pytest.raises(ProcessingError, match=r"part-0\.parquet: not a parquet file"):
        from_csv(tmp_path, b"not parquet", 1, "raw/toy/part-0.parquet")
    with pytest.raises(ProcessingError, match=r"is neither \.parquet nor \.csv"):
        from_csv(tmp_path, b"{}", 1, "raw/toy/part-0.json")


def test_an_engine_that_is_not_installed_is_an_error_that_says_what_to_do(tmp_path: Path):
    board.write_partitions(tmp_path, [board.table(GOOD)])
    with pytest.raises(ProcessingError, match="--engine spark: pyspark is not installed here"):
        prepare(board.prepare_arguments(tmp_path, "--engine", "spark"))


def test_f22_what_lies_in_the_holdout_alone_leaves_nothing_to_train_on(tmp_path: Path):
    rows = [(f"u{n}", "a", board.MONDAY + n * DAY / 10) for n in range(20)]
    with pytest.raises(ProcessingError, match="no training interaction is left of 20 rows"):
        prepared.run(tmp_path, rows)


def test_f23_an_unknown_label_column_is_named(tmp_path: Path):
    columns = json.dumps({**board.COLUMNS, "segment": "age"})
    with pytest.raises(ProcessingError, match="has no column 'age'"):
        prepared.run(tmp_path, GOOD, "--columns", columns)
