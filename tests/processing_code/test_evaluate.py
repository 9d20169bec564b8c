import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import checkerboard as board
import numpy as np
import pytest
import training_jobs
from checkerboard import ROOT
from evaluate import evaluate
from model_archive import read_archive, scorer
from problems import ProcessingError
from training_jobs import changed, files

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
    quality = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert quality["regression_metrics"]["ndcg@10"] == {"value": 1.0, "standard_deviation": 0.0}


def test_the_same_inputs_give_the_same_bytes(prepared: Path, tmp_path: Path):
    decision(prepared, tmp_path)
    first = [(tmp_path / "out" / name).read_bytes() for name in ("decision.json", "evaluation.json")]
    decision(prepared, tmp_path)
    assert first == [(tmp_path / "out" / name).read_bytes() for name in ("decision.json", "evaluation.json")]


def test_the_best_on_validation_is_proposed_and_every_archive_passed_on(prepared: Path, tmp_path: Path):
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


def test_a_champion_is_scored_on_the_same_holdout(prepared: Path, tmp_path: Path):
    found = decision(prepared, tmp_path, training_jobs.champion(tmp_path / "champion"))
    assert found["verdict"] == "pass"
    assert found["champion"]["difference"]["ndcg@10"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_a_champion_is_asked_in_its_own_vocabulary(tmp_path: Path):
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
