"""report.html as a browser and as a person read it: parsed, compared with decision.json number by number."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import checkerboard as board
import page
import pytest
import training_jobs
from evaluate import evaluate
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markup import tag
from page import Beside
from page_serving import TOOK
from problems import ProcessingError

GATE = ["absolute.ndcg@10.min=0.9", "absolute.hr@10.max=2", "relative.max_drop=0.1", "sanity.min_users=10"]


def evaluated(prepared: Path, output: Path, *more: str) -> dict[str, Any]:
    words = ["--train-dir", str(prepared / "train"), "--holdout-dir", str(prepared / "holdout"), "--top-k", "1,10",
             "--models-dir", str(output / "models"), "--output-dir", str(output), "--gate", *GATE]  # fmt: skip
    evaluate([*words, *more])
    return json.loads((output / "decision.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("page")
    prepared = board.prepared(found / "board")
    model = training_jobs.job(found / "model", **{"failures.json": b'{"mlp": "<b>no</b> & never"}'})
    champion = training_jobs.champion(found / "champion")
    evaluated(
        prepared, found / "out", "--model-dir", str(model), "--champion-dir", str(champion),
        "--prepared-dir", str(prepared / "report"),
    )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def decision(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "out" / "decision.json").read_text())


@pytest.fixture(scope="module")
def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "board" / "report" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "out" / "report.html").read_text()


def lasting(text: str) -> str:
    """The page without what no two runs have in common."""
    return re.sub(f"{TOOK[0]}.*?{TOOK[1]}", "", text, flags=re.DOTALL)


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def numbers(content: Any) -> list[float]:
    """Every number of a JSON document."""
    if isinstance(content, dict | list):
        return [one for part in (content.values() if isinstance(content, dict) else content) for one in numbers(part)]
    return [content] if isinstance(content, int | float) and not isinstance(content, bool) else []


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_it_is_one_well_formed_file_that_needs_nothing_else(text: str):
    tree = parsed(text)
    assert {one.tag for one in tree.iter()} & {"script", "link", "iframe", "img", "object", "form"} == set()
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\b(?:src|href|srcset|on\w+)=", text)
    assert len(text.encode()) < 2 * 2**20


def test_every_number_is_one_of_the_evidence_and_is_shown_as_it_is(text, decision, manifest, folder):
    archive = json.loads(training_jobs.files()["manifest.json"])
    counts = manifest["counts"]
    sparsity = 1 - counts["train"] / (counts["users"] * counts["items"])
    latency = json.loads((folder / "out" / "latency.json").read_text())
    bad = counts["bad_rows"] / counts["rows"]
    documents = (decision, manifest, archive, latency)
    known = {float(one) for one in [*(one for document in documents for one in numbers(document)), sparsity, bad]}
    shown = [(float(one.get("value")), one.text.replace(",", "")) for one in parsed(text).iter("data")]
    assert len(shown) > 100
    assert [exact for exact, _ in shown if exact not in known] == []
    assert [(exact, said) for exact, said in shown if abs(exact - float(said)) > 5e-5] == []


def test_the_document_embedded_is_decision_json(text, decision):
    (raw,) = [one for one in parsed(text).iter("pre") if one.get("id") == "decision"]
    assert json.loads(raw.text) == decision


def test_it_begins_with_the_verdict_and_has_every_part(text, decision):
    tree = parsed(text)
    banner = next(one for one in tree.iter("div") if one.get("class") == f"banner {decision['verdict']}")
    assert words(banner).startswith(
        f"{decision['verdict'].upper()}: model neumf, measured on {board.SIZE} holdout users"
    )
    titles = [one.text for one in tree.iter("h2")]
    assert titles == ["Run", "Data", "Metrics, compared by ndcg@10", "Slices", "Gate", "What changes for users",
                      "Training", "Serving check", "How to reproduce", "Raw"]  # fmt: skip
    cells = [words(row) for row in tree.iter("tr")]
    assert any("quarantined" in cell or "bad rows" in cell for cell in cells)
    assert all(any(one["finding"] in cell for cell in cells) for one in decision["findings"])


def test_the_pictures_have_a_point_for_each_model_and_each_difference(text, decision):
    first, second, third, *_ = [one for one in parsed(text).iter("svg") if one.get("class") == "chart"]
    points = [len(list(picture.iter("circle"))) for picture in (first, second, third)]
    opponents = 1 + len(decision["tuning"])
    measured = [one for one in decision["slices"].values() if "ndcg@10" in one["metrics"]]
    assert points == [1 + opponents, opponents, len(measured)]


def test_it_reads_in_light_in_dark_and_on_paper(text):
    style = next(parsed(text).iter("style")).text
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_a_hostile_reason_is_text(text):
    assert "<b>no</b>" not in text
    assert any("<b>no</b> & never" in words(row) for row in parsed(text).iter("tr"))


def test_equal_inputs_give_equal_bytes_wherever_they_are_written(folder, text):
    prepared = folder / "board"
    more = ["--model-dir", str(folder / "model"), "--champion-dir", str(folder / "champion")]
    evaluated(prepared, folder / "again", *more, "--prepared-dir", str(prepared / "report"))
    again = (folder / "again" / "report.html").read_text()
    assert lasting(again) == lasting(text)
    assert len(lasting(text)) < len(text)
    first, second = ((folder / where / "decision.json").read_bytes() for where in ("out", "again"))
    assert first == second


def test_without_prepares_report_and_champion_it_says_what_is_not_known(decision):
    bare = page.page({**decision, "champion": None, "changes": None, "drift": None, "golden": None}, Beside())
    for said in ("are not known to this evaluation", "There is no champion whose data", "No time was taken",
                 "no golden requests", "neumf has no training curve: its archive has none."):  # fmt: skip
        assert said in bare
    assert "No champion was compared." in bare
    parsed(bare)


def test_a_report_of_prepare_that_is_none_is_an_error_before_anything_is_left(folder, tmp_path):
    (tmp_path / "manifest.json").write_text('{"counts": {"users": "many"}, "quarantine": {}}')
    with pytest.raises(ProcessingError, match="not what prepare"):
        evaluated(
            folder / "board", tmp_path / "out", "--model-dir", str(folder / "model"), "--prepared-dir", str(tmp_path)
        )
    assert not (tmp_path / "out").exists()


def test_an_archive_that_has_curves_shows_them(decision):
    curves = {"validation ndcg@10": [[0, 0.1], [1, 0.2], [2, None], [3, 0.25]], "loss": [[1, 1.0]], "x": "y"}
    text = page.page(decision, Beside({}, {"neumf": {"curves": curves, "epochs": 3}}))
    (line,) = parsed(text).iter("polyline")
    assert len(line.get("points").split()) == 3
    assert "neumf, on the part of the data that chose the epoch (the dot)." in text


def test_curves_of_any_size_leave_the_page_small(decision):
    curves = {f"curve {number}": [[epoch, epoch % 7] for epoch in range(10_000)] for number in range(100)}
    models = {f"m{number}": decision["models"]["neumf"] for number in range(20)}
    text = page.page(
        {**decision, "models": models | decision["models"]},
        Beside({}, {name: {"curves": curves} for name in (*models, "neumf")}),
    )
    assert len(text.encode()) < 2 * 2**20


def test_a_model_without_epochs_says_why_it_has_no_curve(decision):
    ease = {**decision, "model": "ease", "models": {"ease": decision["models"]["neumf"]}}
    text = page.page(ease, Beside({}, {"ease": {"epochs": 1}}))
    assert "ease has no training curve: it is solved for at once, so there is none." in text


def test_the_times_are_of_the_proposed_model_and_the_champion_and_say_what_they_are(text, folder):
    latency = json.loads((folder / "out" / "latency.json").read_text())["milliseconds_of_one_user"]
    assert set(latency) == {"neumf", "the champion"}
    assert all(one["p50"] <= one["p95"] <= one["p99"] <= one["slowest"] for one in latency.values())
    serving = next(one for one in parsed(text).iter("section") if one[0].text == "Serving check")
    assert "inside of this evaluation's container: not what an endpoint takes" in words(serving)
    bars = [len(list(picture.iter("rect"))) for picture in serving.iter("svg")]
    assert len(bars) == 2
    assert all(bars)


def test_golden_requests_are_asked_of_the_graph(text, decision):
    assert decision["golden"] == {"asked": 5, "right": 5, "wrong": []}
    assert "Golden requests: 5 of 5 are answered by score.onnx" in words(parsed(text))


def test_the_data_is_compared_with_the_champions(text, decision):
    assert decision["drift"]["users"] == {"before": 40, "now": 40, "new": 0.0, "gone": 0.0, "psi": 0.0}
    data = next(one for one in parsed(text).iter("section") if one[0].text == "Data")
    assert "users 40 40 0.0000 0.0000 0.0000" in [
        " ".join("".join(cell.itertext()) for cell in row) for row in data.iter("tr")
    ]


HOSTILE = st.text(st.characters(exclude_categories=()))


@settings(max_examples=60, deadline=None)
@example("""</p><script>"'&amp;<b x='""")
@given(HOSTILE)
def test_no_text_breaks_out_of_where_it_is_put(text: str):
    tree = ElementTree.fromstring(str(tag("p", text, tag("b", text), title=text)).encode("utf-8"))
    assert [one.tag for one in tree.iter()] == ["p", "b"]
    assert set(tree.attrib) == {"title"}
    assert tree.text == tree[0].text  # what was written is what is read


@settings(max_examples=10, deadline=None)
@given(HOSTILE, HOSTILE)
def test_a_page_of_hostile_names_and_reasons_is_well_formed(decision, name: str, why: str):
    models = {**decision["models"], name + "x": decision["models"]["neumf"]}
    findings = [{**one, "rule": why, "finding": name} for one in decision["findings"]]
    slices = {f"segment={name}": next(iter(decision["slices"].values()))}
    prepared = {
        "counts": {"users": 1, "items": 1, "train": 1, "rows": 1, "bad_rows": 0},
        "quarantine": {why: 1},
        "data": {"from": name},
    }
    text = page.page(
        {
            **decision,
            "models": models,
            "findings": findings,
            "slices": slices,
            "reasons": [why],
            "failures": {name: why},
        },
        Beside(
            prepared,
            {"neumf": {"files": {name: {"bytes": 1}}, "curves": {why: [[0, 1], [1, 2]]}}},
            {name: [1.0, 2.0]},
        ),
    )
    parsed(text)


def test_a_decision_too_large_for_a_page_is_pointed_to(decision):
    text = page.page({**decision, "reasons": ["x" * 2**21]}, Beside())
    assert len(text) < 2**20
    assert "see the file beside this one" in text
