"""A step of a run is killed, and the run goes on."""

from typing import Any

import pytest

from tests.pipelines.team import PROGRAMS, REGISTER, Team, function


def deaths() -> list:
    every = [(program, moment) for program in PROGRAMS for moment in ("before", "half-way", "after")]
    return [pytest.param(*one, marks=() if one == ("train", "half-way") else pytest.mark.heavy) for one in every]


@pytest.mark.parametrize(("program", "moment"), deaths())
def test_f10_a_step_that_was_killed_is_run_again_and_no_other_and_the_outputs_are_whole(
    team: Team, program: str, moment: str
):
    """Each step is killed before, half-way through and after its output; the run that goes on ends as if it had not."""
    team.set("hyperparameters", "epochs", 2)
    team.make_mortal(program, moment)
    killed = team.run("--all", "--wait")
    assert (killed.returncode, team.starts()[-1]) == (1, program)
    done = list(PROGRAMS)[: list(PROGRAMS).index(program)]
    assert {name.split("/")[1].lower() for name in team.kept()} == set(done)
    again = team.run("--all", "--wait")
    assert (again.returncode, again.stderr) == (0, "")
    assert "was Failed, continued where it stopped" in again.stdout
    assert "arn:package/c0ffee" in again.stdout
    assert team.starts() == [*done, program, *list(PROGRAMS)[len(done) :]]
    assert len(team.executions()) == 1
    read = "\n".join(f"raw/toy/week=2020-0{week}/part-0.parquet" for week in (1, 2))
    assert {name: text for name, text in team.kept().items() if "found" in name or "model" in name} == {
        **{f"steps/Prepare/*/{folder}/found.txt": read.encode() for folder in ("train", "holdout", "report")},
        "steps/Train/*/model/*/output/model.tar.gz": f"{read} 2".encode(),
    }


@pytest.mark.heavy
def test_f10_a_registration_that_was_killed_is_made_again_and_nothing_is_trained_again(
    team: Team, localcloud: Any, monkeypatch: pytest.MonkeyPatch
):
    mortal = f"import os, pathlib\ndied = pathlib.Path({str(team.home / 'registered')!r})\n" + REGISTER.replace(
        "    return", "    if not died.exists():\n        died.touch()\n        os._exit(9)\n    return"
    )
    monkeypatch.setenv("REGISTER_FUNCTION_ARN", function(localcloud, f"{team.name}-register", mortal))
    team.make_mortal("nobody", "never")
    assert team.run("--all", "--wait").returncode == 1
    again = team.run("--all", "--wait")
    assert (again.returncode, "arn:package/c0ffee" in again.stdout) == (0, True)
    assert team.starts() == list(PROGRAMS)
