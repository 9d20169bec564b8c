import csv
import hashlib
import io
import json
import re
import shutil
import tarfile
from pathlib import Path

import checkerboard as board
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import report
import training_jobs
from checkerboard import ROOT
from evaluate import evaluate
from model_archive import read_archive, scorer
from problems import ProcessingError
from rules import read_rules
from training_jobs import changed, files

from pipelines.gates import Gate, rules

GATE = [
    "absolute.ndcg@10.min=0.9",
    "relative.metric=ndcg@10",
    "relative.interval=0.95",
    "relative.max_drop=0.001",
    "sanity.beat_popularity=true",
    "sanity.min_users=10",
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return board.prepared(tmp_path_factory.mktemp("board"))


def arguments(
    prepared: Path, model: Path, output: Path, champion: Path | None = None, gate: list[str] = GATE
) -> list[str]:
    found = ["--model-dir", str(model), "--train-dir", str(prepared / "train"), "--output-dir", str(output),
             "--models-dir", str(output.parent / "models"), "--holdout-dir", str(prepared / "holdout"),
             "--gate", *gate, "--top-k", "1,10"]  # fmt: skip
    return [*found, "--champion-dir", str(champion)] if champion else found


def decision(prepared: Path, tmp_path: Path, champion: Path | None = None, gate: list[str] = GATE) -> dict:
    model = training_jobs.job(tmp_path / "model")
    evaluate(arguments(prepared, model, tmp_path / "out", champion, gate))
    return json.loads((tmp_path / "out" / "decision.json").read_text())


def test_the_program_runs_alone_and_finds_the_board_solved(prepared: Path, tmp_path: Path):
    shutil.copytree(ROOT / "processing_code", tmp_path / "alone")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "NONE").touch()
    model = training_jobs.job(tmp_path / "model")
    done = board.run(
        tmp_path / "alone" / "evaluate.py", arguments(prepared, model, tmp_path / "out", tmp_path / "none")
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads((tmp_path / "out" / "decision.json").read_text())
    assert (found["verdict"], found["register"], found["champion"]) == ("pass", True, None)
    assert found["users"] == board.SIZE
    assert found["metrics"]["hr@1"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["baselines"]["popularity"]["hr@1"]["value"] == 0.0
    assert found["reason"] == "; ".join(found["reasons"])
    assert [one["verdict"] for one in found["findings"]] == ["pass"] * len(found["reasons"])
    quality = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert quality["regression_metrics"]["ndcg@10"] == {"value": 1.0, "standard_deviation": 0.0}
    shown = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "out" / "models").iterdir()}
    assert set(shown) == set(found["models"])
    assert shown[found["model"]] == quality


def test_f25_the_same_inputs_give_the_same_bytes(prepared: Path, tmp_path: Path):
    names = ("decision.json", "evaluation.json", "metrics.csv")
    decision(prepared, tmp_path)
    first = [(tmp_path / "out" / name).read_bytes() for name in names]
    decision(prepared, tmp_path)
    assert first == [(tmp_path / "out" / name).read_bytes() for name in names]


def test_f27_the_best_is_proposed_every_archive_passed_on_and_what_failed_is_listed(prepared: Path, tmp_path: Path):
    worse = changed(model="gmf", validation={"ndcg@10": 0.01})
    models = {"gmf": worse, "neumf": changed(validation={"ndcg@10": 0.5})}
    model = training_jobs.job(tmp_path / "model", models, **{"failures.json": b'{"mlp": "the loss is not finite"}'})
    evaluate(arguments(prepared, model, tmp_path / "out"))
    found = json.loads((tmp_path / "out" / "decision.json").read_text())
    assert (found["model"], found["failures"]) == ("neumf", {"mlp": "the loss is not finite"})
    assert found["archive_sha256"] == found["models"]["neumf"]["archive_sha256"]
    assert found["models"]["gmf"]["metrics"]["hr@1"]["value"] == 1.0
    for name, one in found["models"].items():
        content = (tmp_path / "models" / name / "model.tar.gz").read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (one["archive_sha256"], one["bytes"])


def by_heart(prepared: Path, scores: np.ndarray, **manifest: object) -> dict[str, bytes]:
    """An archive in the board's vocabulary with these scores [users, items]."""
    names = [pq.read_table(prepared / "train" / f"{one}.parquet")["id"].to_pylist() for one in ("users", "items")]
    return training_jobs.archive_of(training_jobs.table(scores), *names, **manifest)


def decided(prepared: Path, tmp_path: Path, members: dict[str, bytes], champion: Path | None = None) -> dict:
    model = training_jobs.job(tmp_path / "model", {"neumf": members})
    evaluate(arguments(prepared, model, tmp_path / "out", champion))
    return json.loads((tmp_path / "out" / "decision.json").read_text())


def test_f30_a_model_that_recommends_at_random_fails(prepared: Path, tmp_path: Path):
    found = decided(prepared, tmp_path, by_heart(prepared, np.random.default_rng(1).random((40, 40))))
    assert (found["verdict"], found["register"]) == ("fail", False)
    assert "at least 0.9 is asked" in found["reason"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f31_a_model_that_scores_no_numbers_for_one_user_never_passes(value: float, prepared: Path, tmp_path: Path):
    scores = np.eye(40)
    scores[7] = value
    found = decided(prepared, tmp_path, by_heart(prepared, scores))
    assert found["reasons"] == [
        "ndcg@10 is missing or not a number",
        "ndcg@10 of the candidate or of popularity is missing or not a number",
    ]


def test_f31_a_champion_that_scores_no_numbers_is_inconclusive(prepared: Path, tmp_path: Path):
    champion = training_jobs.champion(tmp_path / "champion", by_heart(prepared, np.full((40, 40), np.nan)))
    found = decision(prepared, tmp_path, champion)
    assert (found["verdict"], found["reason"]) == (
        "inconclusive", "ndcg@10 of the candidate or of the champion is missing or not a number")  # fmt: skip
    assert found["champion"]["metrics"]["ndcg@10"] == {"value": None, "low": None, "high": None}


def test_f30_a_model_worse_than_the_champion_or_a_baseline_fails(prepared: Path, tmp_path: Path):
    poor = by_heart(prepared, np.random.default_rng(1).random((40, 40)))
    model = training_jobs.job(tmp_path / "model", {"neumf": poor})
    gate = ["baselines.ease.max_drop=0.1", "relative.max_drop=0.1"]
    evaluate(arguments(prepared, model, tmp_path / "out", training_jobs.champion(tmp_path / "champion"), gate))
    reasons = json.loads((tmp_path / "out" / "decision.json").read_text())["reasons"]
    assert [reason.partition(":")[0] for reason in reasons] == ["ndcg@10 against the champion", "ndcg@10 against ease"]


def test_what_is_left_is_what_the_report_says(prepared: Path, tmp_path: Path):
    found = decision(prepared, tmp_path)
    documented = {name.partition(".")[0] for name in re.findall(r"[a-z_0-9.<>]+", report.__doc__ or "")}
    assert set(found) <= documented
    assert set(found["tuning"]) == set(found["baselines"]) == {"popularity", "item_knn", "als", "ease"}
    assert set(found["tuning"]["ease"]) == {"settings", "validation", "difference"}
    assert found["slices"]["users=new"] == {"users": 0, "metrics": {}}
    assert found["slices"]["items=tail"]["metrics"]["hr@1"]["value"] == 1.0
    assert (found["users"], found["split"], found["skipped"]) == (board.SIZE, "temporal", {})


def test_the_document_and_the_params_know_every_metric_slice_and_baseline(prepared: Path, tmp_path: Path):
    found = decision(prepared, tmp_path)
    text = (ROOT / "docs" / "evaluation.md").read_text()
    assert {name for name in found["metrics"] if f"{name.partition('@')[0]}@" not in text} == set()
    assert {name for name in found["slices"] if name not in text} == set()
    bounds = {"min": 0.0}
    own = [name for name in found["metrics"] if not name.startswith("sampled")]
    asked = Gate.model_validate({
        "absolute": dict.fromkeys([*own, "bytes"], bounds),
        "slices": {name: {"ndcg@10": bounds} for name in found["slices"]},
        "baselines": {name: {"max_drop": 0.1} for name in found["baselines"] if name != "popularity"},
    })  # fmt: skip
    assert read_rules(rules(asked))["absolute"].keys() == {*own, "bytes"}


def test_every_number_is_in_the_table_that_model_quality_is_made_from(prepared: Path, tmp_path: Path):
    found = decision(prepared, tmp_path, training_jobs.champion(tmp_path / "champion"))
    with (tmp_path / "out" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    baselines = {f"baseline {name}" for name in ("popularity", "item_knn", "als", "ease")}
    assert {row["model"] for row in rows} == {"neumf", "the champion"} | baselines
    own = {row["metric"]: row["value"] for row in rows if row["model"] == "neumf"}
    assert {name: float(own[name]) for name in found["metrics"]} == {
        name: one["value"] for name, one in found["metrics"].items()
    }
    quality = json.loads((tmp_path / "out" / "evaluation.json").read_text())["regression_metrics"]
    assert set(quality) == set(own)
    assert "activity=low/ndcg@10" in quality


def test_how_long_scoring_took_is_told_where_nothing_is_decided_by_it(prepared: Path, tmp_path: Path):
    found = decision(prepared, tmp_path)
    latency = json.loads((tmp_path / "out" / "latency.json").read_text())["milliseconds_per_user"]
    assert latency["neumf"] > 0
    assert not re.search("latency|millisecond|seconds", json.dumps(found))


def test_an_archives_size_can_be_asked_about(prepared: Path, tmp_path: Path):
    assert decision(prepared, tmp_path, gate=["absolute.bytes.max=1000000"])["verdict"] == "pass"
    assert decision(prepared, tmp_path, gate=["absolute.bytes.max=1000"])["verdict"] == "fail"


def test_segments_and_categories_are_measured_where_the_data_has_them(prepared: Path, tmp_path: Path):
    shutil.copytree(prepared, tmp_path / "board")
    for name, column in (("users", "segment"), ("items", "category")):
        path = tmp_path / "board" / "train" / f"{name}.parquet"
        table = pq.read_table(path)
        values = pa.array([None, *("ab"[place % 2] for place in range(1, table.num_rows))])
        pq.write_table(table.append_column(column, values), path)
    found = decision(
        tmp_path / "board", tmp_path, gate=["slices.segment=b.hr@10.min=0.1", "slices.segment=z.hr@1.min=0"]
    )
    assert {name: one["users"] for name, one in found["slices"].items() if name.startswith("segment")} == {
        "segment=a": 19, "segment=b": 20, "segment=unknown": 1}  # fmt: skip
    assert 0 < found["metrics"]["categories@10"]["value"] < 1
    assert found["reasons"] == [
        "segment=b: 20 holdout users; at least 30 are asked",
        "segment=z: 0 holdout users; at least 30 are asked",
    ]


def test_f33_a_champion_is_scored_on_the_same_holdout(prepared: Path, tmp_path: Path):
    found = decision(prepared, tmp_path, training_jobs.champion(tmp_path / "champion"))
    assert found["verdict"] == "pass"
    assert found["champion"]["difference"]["ndcg@10"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_f33_a_champion_is_scored_on_the_same_holdout_in_its_own_vocabulary(tmp_path: Path):
    archive = read_archive(training_jobs.champion(tmp_path) / "model.tar.gz")
    users, items = archive.users, archive.items
    own = scorer(archive, users, items)(np.arange(len(users)))
    mixed_items = ["new", *items[::-1]]
    mixed = scorer(archive, [*users[::-1], "stranger"], mixed_items)(np.arange(len(users) + 1))
    assert np.allclose(mixed[:-1][::-1, :0:-1], own)
    assert np.isneginf(mixed[:, 0]).all()
    assert mixed[-1, :0:-1].tolist() == archive.popularity.tolist()


def test_f33_a_champion_that_has_seen_the_holdout_is_inconclusive(prepared: Path, tmp_path: Path):
    leaky = training_jobs.champion(tmp_path / "champion", changed(data_through="2026-06-28T00:00:00.000000Z"))
    found = decision(prepared, tmp_path, leaky)
    assert found["verdict"] == "inconclusive"
    assert "the champion's data reaches to 2026-06-28T00:00:00.000000Z, into the holdout" in found["reason"]


def leave_one_out(prepared: Path, folder: Path) -> Path:
    """The board again, saying that each user's holdout begins at a moment of its own."""
    shutil.copytree(prepared, folder)
    manifest = json.loads((folder / "holdout" / "manifest.json").read_text())
    manifest["holdout"] |= {"split": "leave_one_out", "after": "2026-06-01T00:00:00.000000Z"}
    (folder / "holdout" / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_leaving_one_out_data_that_goes_on_after_the_first_holdout_is_no_leak(prepared: Path, tmp_path: Path):
    left = leave_one_out(prepared, tmp_path / "board")
    assert decision(left, tmp_path, training_jobs.champion(tmp_path / "champion"))["verdict"] == "pass"


def test_f33_leaving_one_out_a_champion_that_holds_a_pair_of_the_holdout_is_inconclusive(
    prepared: Path, tmp_path: Path
):
    def with_own_item(seen: np.ndarray) -> np.ndarray:
        return np.concatenate([[0], seen[1:]]).astype(np.int32)  # user u00's own item is i00

    leaky = training_jobs.champion(tmp_path / "champion", training_jobs.with_array("seen_items.npy", with_own_item))
    found = decision(leave_one_out(prepared, tmp_path / "board"), tmp_path, leaky)
    assert (found["verdict"], found["reason"]) == ("inconclusive", "the champion's data holds 1 of the holdout's pairs")


def test_a_split_that_nobody_knows_is_an_error(prepared: Path, tmp_path: Path):
    left = leave_one_out(prepared, tmp_path / "board")
    path = left / "holdout" / "manifest.json"
    path.write_text(path.read_text().replace("leave_one_out", "random"))
    with pytest.raises(ProcessingError, match=r"holdout.split: is 'random'; right are temporal, leave_one_out"):
        decision(left, tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_f32_a_champion_that_cannot_be_read_is_inconclusive(content: bytes | None, prepared: Path, tmp_path: Path):
    (tmp_path / "champion").mkdir()
    if content is not None:
        (tmp_path / "champion" / "model.tar.gz").write_bytes(content)
    found = decision(prepared, tmp_path, tmp_path / "champion")
    assert (found["verdict"], found["register"]) == ("inconclusive", True)
    assert "the champion cannot be read" in found["reason"]


def test_a_candidate_of_another_vocabulary_is_inconclusive(prepared: Path, tmp_path: Path):
    other = tmp_path / "other"
    board.write_partitions(other, [board.table([(f"x{user}", item, time) for user, item, time in board.rows()])])
    done = board.run(ROOT / "processing_code" / "prepare.py", board.prepare_arguments(other))
    assert done.returncode == 0
    found = decision(other, tmp_path, gate=["absolute.hr@10.min=0"])
    assert (found["verdict"], found["reasons"]) == (
        "inconclusive", ["the archive's users or items are not those of the training data"])  # fmt: skip


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, link
    return made


HOSTILE = {
    "is not a plain file name": [member("../evil")],
    "'/etc/evil' is not a plain file name": [member("/etc/evil")],
    "'a/b' is not a plain file name": [member("a/b")],
    "'link' is not a regular file": [member("link", tarfile.SYMTYPE, link="/etc/passwd")],
    "'hard' is not a regular file": [member("hard", tarfile.LNKTYPE, link="users.json")],
    "'device' is not a regular file": [member("device", tarfile.CHRTYPE)],
    "'users.json' is there twice": [member("users.json")],
    "manifest and members differ in \\['more'\\]": [member("more")],
    "more than 64 members": [member(f"m{number}") for number in range(70)],
}


@pytest.mark.parametrize("said", HOSTILE)
def test_f55_a_hostile_archive_is_refused_before_anything_is_written(said: str, tmp_path: Path):
    training_jobs.write(tmp_path, training_jobs.packed(files(), HOSTILE[said]))
    with pytest.raises(ProcessingError, match=said):
        read_archive(tmp_path / "model.tar.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar.gz"]


def test_f55_a_member_that_claims_to_be_huge_is_refused_unread(tmp_path: Path):
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.fileobj.write(member("huge", size=2**40).tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(ProcessingError, match="larger than"):
        read_archive(tmp_path / "model.tar.gz")


@pytest.mark.parametrize("name", sorted(set(files()) - {"manifest.json"}))
def test_f14_a_flipped_bit_in_any_member_is_found(name: str, tmp_path: Path):
    members = files()
    content = bytearray(members[name])
    content[len(content) // 2] ^= 1
    training_jobs.champion(tmp_path, members | {name: bytes(content)})
    with pytest.raises(ProcessingError, match=f"{name}' differs from its digest"):
        read_archive(tmp_path / "model.tar.gz")


def test_f14_a_truncated_archive_is_refused(tmp_path: Path):
    path = training_jobs.champion(tmp_path) / "model.tar.gz"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ProcessingError, match="not a model archive"):
        read_archive(path)


def test_f56_an_array_that_holds_a_pickle_is_refused(tmp_path: Path):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    manifest = json.loads(files()["manifest.json"])
    manifest["files"]["popularity.npy"]["sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    training_jobs.champion(
        tmp_path, files() | {"popularity.npy": buffer.getvalue(), "manifest.json": json.dumps(manifest).encode()}
    )
    with pytest.raises(ProcessingError, match="allow_pickle=False"):
        read_archive(tmp_path / "model.tar.gz")


def test_a_gate_that_cannot_be_read_is_found_before_the_work(tmp_path: Path):
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ProcessingError, match=r"gate: is .*absolut.*; right are absolute, relative"):
        evaluate(arguments(nowhere, nowhere, nowhere, gate=["absolut.ndcg@10.min=0.02"]))
