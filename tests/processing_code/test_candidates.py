import json
import tarfile
from pathlib import Path

import pytest
import training_jobs
from candidates import propose, read_candidates, write_archives
from model_archive import read_archive
from problems import ProcessingError
from training_jobs import changed, files, packed, write


def validated(model: str, **metrics: object) -> dict[str, bytes]:
    return changed(model=model, validation={name.replace("_at_", "@"): value for name, value in metrics.items()})


def read(folder: Path, models: dict[str, dict[str, bytes]], **more: bytes):
    return read_candidates(training_jobs.job(folder, models, **more) / "model.tar.gz")


def test_every_model_of_a_training_job_is_read_and_passed_on_byte_for_byte(tmp_path: Path):
    found = read(tmp_path, {"neumf": files(), "gmf": changed(model="gmf")})
    assert [(name, one.model) for name, one in found.archives.items()] == [("gmf", "gmf"), ("neumf", "neumf")]
    write_archives(tmp_path / "models", found)
    assert (tmp_path / "models" / "neumf" / "model.tar.gz").read_bytes() == packed(files())
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["gmf", "neumf"]


def test_f27_models_that_failed_do_not_hide_those_that_succeeded(tmp_path: Path):
    failures = json.dumps({"mlp": "the loss is not finite"}).encode()
    found = read(tmp_path, {"neumf": files()}, **{"failures.json": failures})
    assert (list(found.archives), found.failures) == (["neumf"], {"mlp": "the loss is not finite"})


def test_the_best_on_validation_is_proposed(tmp_path: Path):
    models = {"a": validated("a", ndcg_at_10=0.2), "b": validated("b", ndcg_at_10=0.3)}
    assert propose(read(tmp_path, models).archives, "ndcg@10") == "b"
    assert propose(read(tmp_path, models).archives, "hr@50") == "b"


def test_among_equals_the_first_name_is_proposed(tmp_path: Path):
    models = {"b": validated("b", ndcg_at_10=0.3), "a": validated("a", ndcg_at_10=0.3)}
    assert propose(read(tmp_path, models).archives, "ndcg@10") == "a"


@pytest.mark.parametrize("value", ["0.9", True, None])
def test_what_is_no_number_is_not_proposed(value: object, tmp_path: Path):
    models = {"a": validated("a", ndcg_at_10=value), "b": validated("b", ndcg_at_10=0.1)}
    assert propose(read(tmp_path, models).archives, "ndcg@10") == "b"


def test_a_validation_that_is_infinite_is_not_proposed(tmp_path: Path):
    infinite = files() | {"manifest.json": validated("a")["manifest.json"].replace(b"{}", b'{"ndcg@10": Infinity}')}
    models = {"a": infinite, "b": validated("b", ndcg_at_10=0.1)}
    assert propose(read(tmp_path, models).archives, "ndcg@10") == "b"


def test_several_models_that_cannot_be_compared_are_an_error_and_one_alone_is_not(tmp_path: Path):
    with pytest.raises(ProcessingError, match=r"no manifest has validation hr@50 or ndcg@10"):
        propose(read(tmp_path, {"a": validated("a"), "b": validated("b")}).archives, "hr@50")
    assert propose(read(tmp_path, {"a": validated("a")}).archives, "hr@50") == "a"


def link(name: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return made


HOSTILE = {
    "member '../evil.tar.gz' is not a plain file name": packed({"../evil.tar.gz": b""}),
    "member 'a/b.tar.gz' is not a plain file name": packed({"a/b.tar.gz": b""}),
    "member 'Evil .tar.gz' is not like neumf.tar.gz": packed({"Evil .tar.gz": b""}),
    "member 'score.onnx' is not like neumf.tar.gz": packed({"score.onnx": b""}),
    "member 'neumf.tar.gz' is not a regular file": packed({}, [link("neumf.tar.gz")]),
    "neumf.tar.gz: not a model archive": packed({"neumf.tar.gz": b"nothing"}),
    "gmf.tar.gz: its manifest says model 'neumf'": packed({"gmf.tar.gz": packed(files())}),
    "holds no <model>.tar.gz; training failed for all": packed({}),
    r"holds no <model>.tar.gz; training failed for \['mlp'\]": packed({"failures.json": b'{"mlp": "x"}'}),
    "failures.json is not": packed({"neumf.tar.gz": packed(files()), "failures.json": b'["mlp"]'}),
    r"\['neumf'\] succeeded and failed at once": packed(
        {"neumf.tar.gz": packed(files()), "failures.json": b'{"neumf": "x"}'}
    ),
    "not what training writes": b"no archive",
}


@pytest.mark.parametrize("said", HOSTILE)
def test_f55_a_hostile_job_output_is_refused_in_one_line_and_nothing_is_written(said: str, tmp_path: Path):
    path = write(tmp_path, HOSTILE[said]) / "model.tar.gz"
    with pytest.raises(ProcessingError, match=said) as caught:
        read_candidates(path)
    assert "\n" not in str(caught.value)
    assert [found.name for found in tmp_path.iterdir()] == ["model.tar.gz"]


def test_f55_a_file_too_large_to_hold_is_refused_unread(tmp_path: Path):
    path = tmp_path / "model.tar.gz"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)  # sparse: it takes no room
    for read_file in (read_candidates, read_archive):
        with pytest.raises(ProcessingError, match="larger than 2147483648 bytes"):
            read_file(path)


def test_f14_one_broken_archive_among_several_is_named(tmp_path: Path):
    broken = files() | {"users.json": b"[]"}
    with pytest.raises(ProcessingError, match=r"gmf\.tar\.gz: member 'users\.json' differs from its digest"):
        read(tmp_path, {"gmf": broken, "neumf": files()})


def test_an_archive_whose_pairs_make_no_sense_is_refused(tmp_path: Path):
    found = files()
    manifest = json.loads(found["manifest.json"])
    swapped = manifest["files"]
    swapped["seen_offsets.npy"], swapped["seen_items.npy"] = swapped["seen_items.npy"], swapped["seen_offsets.npy"]
    members = found | {
        "seen_offsets.npy": found["seen_items.npy"],
        "seen_items.npy": found["seen_offsets.npy"],
        "manifest.json": json.dumps(manifest).encode(),
    }
    with pytest.raises(ProcessingError, match="seen_offsets does not divide seen_items by user"):
        read(tmp_path, {"neumf": members})
