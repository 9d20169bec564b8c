import datetime
import hashlib
import io
import json
import lzma
import zipfile
from pathlib import Path

import import_data as program
import movielens
import numpy as np
import prepared
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from prepare import prepare
from problems import ProcessingError
from weekly import name, week_numbers


def imported(folder: Path, adapter: str, *words: str) -> dict:
    """Import into the folder; the lock."""
    program.import_data([adapter, "--output", str(folder), *words])
    return json.loads((folder / "lock" / "lock.json").read_text())


def rows_of(folder: Path) -> pa.Table:
    lock = json.loads((folder / "lock" / "lock.json").read_text())
    return pa.concat_tables([pq.ParquetFile(folder / one["key"]).read() for one in lock["partitions"]])


def prepared_with(folder: Path, columns: dict[str, str], *more: str) -> dict:
    """Prepare what was imported, where it lies."""
    places = [f"--{name}-dir={folder}/{name}" for name in ("lock", "train", "holdout", "report")]
    prepare([*places, f"--data-dir={folder}", "--columns", json.dumps(columns), *more])
    return prepared.report(folder)


def test_the_lock_says_what_the_files_are(tmp_path: Path):
    lock = imported(tmp_path, "synthetic", "--rows", "5000", "--weeks", "3")
    assert [one["key"] for one in lock["partitions"]] == [
        f"raw/synthetic/week=2020-{week:02}/part-0.parquet" for week in (2, 3, 4)
    ]
    for one in lock["partitions"]:
        content = (tmp_path / one["key"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (one["bytes"], one["sha256"])
    assert sum(one["rows"] for one in lock["partitions"]) == 5000


def test_a_generated_town_is_the_same_every_time_and_another_with_another_seed(tmp_path: Path):
    locks = [imported(tmp_path / str(number), "synthetic", "--rows", "3000", "--seed", seed)
             for number, seed in enumerate(("1", "1", "2"))]  # fmt: skip
    assert locks[0] == locks[1] != locks[2]


def test_a_town_larger_than_a_chunk_has_all_its_rows():
    town = synthetic.town(2_300_000, weeks=2, seed=1)
    assert [chunk.num_rows for chunk in synthetic.chunks(town)] == [1_000_000, 150_000] * 2


def test_users_of_a_generated_town_shop_in_the_departments_they_like():
    town = synthetic.town(50_000, weeks=2, seed=3)
    table = pa.concat_tables(synthetic.chunks(town))
    user, item = (table[name].to_numpy() - 1 for name in ("user_id", "item_id"))
    liked = (synthetic.tastes(town)[user] == (item % synthetic.DEPARTMENTS)[:, None]).any(axis=1)
    assert 0.9 < liked.mean() < 0.93
    assert item.max() < town.items
    counts = np.sort(np.bincount(item))[::-1]
    assert counts[0] > 5 * np.median(counts)


def test_a_generated_town_prepares_with_its_labels(tmp_path: Path):
    imported(tmp_path, "synthetic", "--rows", "20000", "--weeks", "4")
    columns = dict(program.ADAPTERS["synthetic"].columns or {})
    counts = prepared_with(tmp_path, columns, "--folds", "2")["counts"]
    assert counts["rows"] == 20000
    table = pq.read_table(tmp_path / "train" / "items.parquet").to_pylist()
    assert all(row["category"] == f"department {(int(row['id']) - 1) % 20 + 1:02}" for row in table)


def test_households_of_completejourney_come_with_income_and_department(tmp_path: Path):
    lock = imported(tmp_path, "completejourney")
    assert sum(one["rows"] for one in lock["partitions"]) == 1_469_307
    assert {"income", "department"} <= set(pq.read_schema(tmp_path / lock["partitions"][0]["key"]).names)


USERS = "1::F::25::10::48067\n2::M::56::16::70072\n"
MOVIES = "10::Alien: A Film (1979)::Horror|Sci-Fi\n20::Am\xe9lie (2001)::Comedy\n"
RATINGS = "1::10::5::978300760\n1::20::3::978302109\n2::10::4::978301968\n"


def movielens_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in (("ratings", RATINGS), ("users", USERS), ("movies", MOVIES)):
            archive.writestr(f"ml-1m/{name}.dat", text.encode("latin-1"))
    return buffer.getvalue()


def test_the_zip_of_movielens_gives_ratings_with_ages_and_genres(tmp_path: Path):
    source = tmp_path / "ml-1m.zip"
    source.write_bytes(movielens_zip())
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    imported(tmp_path, "movielens", "--source", str(source), "--sha256", digest, "--partition", "one")
    rows = rows_of(tmp_path).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (1, 10, 5, rows[0]["time"], "25", "Horror"),
        (1, 20, 3, rows[1]["time"], "25", "Comedy"),
        (2, 10, 4, rows[2]["time"], "56", "Horror"),
    ]
    assert rows[0]["time"].timestamp() == 978300760 or str(rows[0]["time"]) == "2000-12-31 22:12:40"


@pytest.mark.parametrize("name", ["ml-1m.zip", "ratings.dat"])
def test_a_movielens_file_that_is_not_known_is_refused_by_its_digest(name: str, tmp_path: Path):
    (tmp_path / name).write_bytes(RATINGS.encode())
    digest = hashlib.sha256(RATINGS.encode()).hexdigest()
    with pytest.raises(ProcessingError, match=f"sha256 {digest} is not of a MovieLens-1M file"):
        imported(tmp_path, "movielens", "--source", str(tmp_path / name))
    assert not (tmp_path / "raw").exists()


def test_ratings_alone_will_do_when_the_user_vouches_for_them(tmp_path: Path):
    (tmp_path / "ratings.dat").write_text(RATINGS)
    digest = hashlib.sha256(RATINGS.encode()).hexdigest()
    imported(tmp_path, "movielens", "--source", str(tmp_path), "--sha256", digest)
    assert rows_of(tmp_path)["item_id"].to_pylist() == [10, 20, 10]


def test_leave_one_out_holds_back_exactly_the_test_items_of_the_ncf_files(tmp_path: Path):
    train = "".join(f"{user}\t{item}\t4\t{1000 + item}\n" for user in range(6) for item in range(6) if item != user)
    test = "".join(f"{user}\t{user}\t5\t1001\n" for user in range(6))
    (tmp_path / "ml-1m.train.rating.xz").write_bytes(lzma.compress(train.encode()))
    (tmp_path / "ml-1m.test.rating").write_text(test)
    digests = [word for text in (train, test) for word in ("--sha256", hashlib.sha256(text.encode()).hexdigest())]
    imported(tmp_path, "movielens", "--source", str(tmp_path), *digests)
    prepared_with(tmp_path, dict(program.ADAPTERS["movielens"].columns or {}), "--split", "leave_one_out")
    assert prepared.pairs(tmp_path, "holdout") == {(str(user), str(user)) for user in range(6)}


def test_gits_digest_of_a_file_is_the_one_git_gives(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"hello\n")
    assert movielens.checked(path, ["git ce013625030ba8dba906f756967f9e9ca394464a"]) == b"hello\n"


def test_any_csv_becomes_weekly_partitions_with_bad_times_set_apart(tmp_path: Path):
    source = tmp_path / "orders.csv"
    source.write_text("price,at,who,what\n1,2026-06-01T10:00:00,u,a\n2,2026-06-07,u,b\n3,2026-06-08,v,a\n4,soon,v,b\n")
    columns = json.dumps({"user": "who", "item": "what", "time": "at"})
    lock = imported(tmp_path, "files", "--source", str(source), "--columns", columns, "--dataset", "orders")
    assert {one["key"].split("/")[2]: one["rows"] for one in lock["partitions"]} == {
        "week=2026-23": 2, "week=2026-24": 1, "week=unknown": 1,
    }  # fmt: skip
    assert rows_of(tmp_path).column_names == ["who", "what", "at"]


def test_a_folder_of_csv_and_parquet_is_one_data_set(tmp_path: Path):
    table = pa.table({"who": ["u", "v"], "what": ["a", "b"], "at": ["2026-06-01", "2026-06-02"]})
    (tmp_path / "in").mkdir()
    pcsv.write_csv(table, tmp_path / "in" / "a.csv")
    pq.write_table(table.select(["at", "what", "who"]), tmp_path / "in" / "b.parquet")
    columns = json.dumps({"user": "who", "item": "what", "time": "at"})
    lock = imported(tmp_path, "files", "--source", str(tmp_path / "in"), "--columns", columns, "--partition", "one")
    assert [(one["key"], one["rows"]) for one in lock["partitions"]] == [("raw/files/part-0.parquet", 4)]


WRONG = {
    "raw/synthetic: is there already": ["synthetic", "--rows", "100"],
    "--dataset: is 'A b'": ["synthetic", "--dataset", "A b"],
    "nowhere: not there": ["files", "--source", "nowhere", "--columns", '{"user": "a", "item": "b", "time": "c"}'],
    "has no column 'b'": ["files", "--source", "x.csv", "--columns", '{"user": "a", "item": "b", "time": "c"}'],
    "neither .parquet nor .csv": ["files", "--source", "x.txt", "--columns", '{"user": "a", "item": "b", "time": "c"}'],
    "--columns: is {'user': 'a'}": ["files", "--source", "x.csv", "--columns", '{"user": "a"}'],
    "nowhere: not there; name your own": ["movielens", "--source", "nowhere"],
}


@pytest.mark.parametrize("says", WRONG)
def test_what_is_wrong_is_said_in_one_line_and_leaves_nothing(says: str, tmp_path: Path):
    (tmp_path / "x.csv").write_text("a,c\n1,2\n")
    (tmp_path / "x.txt").write_text("a,c\n1,2\n")
    (tmp_path / "out" / "raw" / "synthetic").mkdir(parents=True)
    words = [str(tmp_path / word) if word.startswith(("x.", "nowhere")) else word for word in WRONG[says]]
    with pytest.raises(ProcessingError) as caught:
        program.import_data([*words, "--output", str(tmp_path / "out")])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["raw"]


@given(st.datetimes(min_value=datetime.datetime(1970, 1, 1), max_value=datetime.datetime(2999, 1, 1)))
def test_a_week_is_the_iso_week(moment: datetime.datetime):
    year, week, _ = moment.isocalendar()
    number = int(week_numbers(pa.array([moment], pa.timestamp("us")))[0])
    assert name(number) == f"{year}-{week:02}"
    assert week_numbers(pa.array([moment.isoformat()]))[0] == number
