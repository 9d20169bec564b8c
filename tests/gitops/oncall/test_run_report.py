"""The whole report of a run: of a real execution on localcloud, and of executions as hostile as they may be."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitops.errors import GitopsError
from gitops.oncall import report_store, run_report
from gitops.oncall.run_report import Run, Step
from tests.gitops.executions import ended, pipeline
from tests.gitops.repository import FILES
from tests.localcloud.sagemaker_lab import Lab

ROOT = Path(__file__).parents[3]
WRITE = """
import pathlib, sys
text = "<!DOCTYPE html>\\n<html><body><p>evaluated</p><!--run-->later<!--/run--></body></html>"
pathlib.Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
(pathlib.Path(sys.argv[1]) / "report.html").write_text(text)
"""
FAIL = "raise SystemExit('<script>alert(1)</script> no data')"


def evaluate(lab: Lab, script: str = WRITE, **more: object) -> dict:
    request = lab.processing(script, ["/opt/ml/processing/output/evaluation"])
    del request["ProcessingJobName"]
    place = {"LocalPath": "/opt/ml/processing/output/evaluation", "S3Uri": f"s3://{lab.bucket}/evidence"}
    outputs = [{"OutputName": "evaluation", "S3Output": {**place, "S3UploadMode": "EndOfJob"}}]
    arguments = {**request, "ProcessingOutputConfig": {"Outputs": outputs}}
    return {"Name": "Evaluate", "Type": "Processing", "Arguments": arguments, **more}


def completed(lab: Lab, arn: str) -> str:
    run = run_report.read(lab.sagemaker, arn)
    return run_report.whole(report_store.evaluated(lab.sagemaker, lab.s3, arn), run)


def rows(text: str) -> list[list[str]]:
    tree = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    return [["".join(cell.itertext()) for cell in row.iter("td")] for row in tree.iter("tr")][1:]


def test_the_command_completes_the_report_that_evaluation_left(localcloud, tmp_path):
    lab = Lab(localcloud)
    name = pipeline(lab, evaluate(lab, CacheConfig={"Enabled": True, "ExpireAfter": "P1D"}))
    ended(lab, name)
    arn = ended(lab, name)
    (tmp_path / "project.yml").write_text(FILES["project.yml"])
    done = subprocess.run(
        [sys.executable, "-m", "gitops", "report", arn, "--output", "run.html"],
        cwd=tmp_path,
        env={**localcloud.environment, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "run.html").read_text()
    assert "<p>evaluated</p>" in text
    assert "later" not in text
    assert arn in text
    assert rows(text) == [["Evaluate", "Succeeded", "-", "yes", ""]]


def test_a_run_that_evaluated_nothing_is_shown_alone_with_its_reason_as_text(localcloud):
    lab = Lab(localcloud)
    text = completed(lab, ended(lab, pipeline(lab, evaluate(lab, FAIL))))
    ((name, status, _, cached, reason),) = rows(text)
    assert (name, status, cached) == ("Evaluate", "Failed", "no")
    assert reason
    assert "Nothing was evaluated" in text
    assert "<script>" not in text


def test_an_execution_that_is_not_there_is_named(localcloud):
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/nothing/execution/abcdefabcdef"
    with pytest.raises(GitopsError, match="no such pipeline execution"):
        run_report.read(Lab(localcloud).sagemaker, arn)


def test_a_file_that_is_no_report_is_not_completed(localcloud):
    lab = Lab(localcloud)
    script = WRITE.replace("<!--run-->later<!--/run-->", "")
    with pytest.raises(GitopsError, match="no report that this program can complete"):
        completed(lab, ended(lab, pipeline(lab, evaluate(lab, script))))


def step(name: str, *reads: str, **more) -> Step:
    facts = {"status": "Succeeded", "seconds": 1.5, "cached": False, "reason": ""} | more
    return Step(name=name, reads=frozenset(reads), **facts)


def run(*steps: Step, **more: str) -> Run:
    facts = {"arn": "arn", "name": "9c41d2e7a0b1f", "status": "Succeeded", "reason": "", "created": "2026-11-21"}
    return Run(**{**facts, **more}, steps=steps)


def test_each_step_is_drawn_to_the_right_of_those_it_waits_for():
    picture = run_report.graph((step("Prepare"), step("Train", "Prepare"), step("Evaluate", "Prepare", "Train")))
    tree = ElementTree.fromstring(picture)
    places = [int(box.get("x")) for box in tree.iter("rect")]
    assert places == sorted(set(places))
    assert len(list(tree.iter("line"))) == 3


def test_steps_inside_of_a_condition_wait_for_it():
    inner = {"Name": "Register", "Arguments": {"a": {"Get": "Steps.Evaluate.X"}}}
    gate = {"Name": "Gate", "Arguments": {"Conditions": [{"Get": "Steps.Evaluate.Y"}], "IfSteps": [inner]}}
    assert dict(run_report.reads_of([gate], frozenset())) == {
        "Gate": frozenset({"Evaluate"}),
        "Register": frozenset({"Gate"}),
    }


HOSTILE = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=40, deadline=None)
@example("</td><script>", "<!--/run-->")
@given(HOSTILE, HOSTILE)
def test_no_text_of_an_execution_breaks_out_of_where_it_is_put(name: str, reason: str):
    found = run(step(name, reason=reason), step("b", name), reason=reason, arn=name, status=name)
    text = run_report.whole(None, found)
    assert len(rows(text)) == 2
    assert len(run_report.whole(text, found)) == len(text)  # and it can be done again
