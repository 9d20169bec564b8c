"""The demo tells what happened and stops at the first claim that does not hold."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from demo.errors import DemoError
from demo.story import Story
from demo.world import only_one


def test_a_claim_that_does_not_hold_ends_the_stage_as_failed():
    story = Story(out=io.StringIO())
    with pytest.raises(DemoError, match="not true: the moon is cheese"), story.stage("look", "sky"):
        story.claim(False, "the moon is cheese")
    assert [stage.status for stage in story.stages] == ["failed"]


def test_the_summary_has_the_documented_keys(tmp_path: Path):
    story = Story(out=io.StringIO(), facts={"versions": {}, "metrics": {}, "recommendations": []})
    with story.stage("look", "sky"):
        story.claim(True, "the sky is up")
    story.write(tmp_path / "summary.json", 0.0)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert list(summary) == [
        "stages", "wall_seconds", "overhead_seconds", "versions", "metrics", "recommendations",
    ]  # fmt: skip
    assert summary["stages"] == [{"name": "look", "seconds": summary["stages"][0]["seconds"], "status": "ok"}]
    assert not list(tmp_path.glob("*.partial"))


def test_a_second_demo_in_the_same_place_is_refused(tmp_path: Path):
    with only_one(tmp_path), pytest.raises(DemoError, match="another demo is running"), only_one(tmp_path):
        pass


def test_the_lock_of_a_killed_demo_does_not_stay(tmp_path: Path):
    hold = "import pathlib, sys, time; from demo.world import only_one\n"
    hold += f"with only_one(pathlib.Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    with only_one(tmp_path):
        pass
