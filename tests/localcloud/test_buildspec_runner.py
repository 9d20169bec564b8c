"""Running a buildspec: one folder of buildspecs/ for each behaviour; real shells, no server."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localcloud.buildspec.document import BuildspecError, parse
from localcloud.buildspec.halt import Halt
from localcloud.buildspec.phases import Phases
from localcloud.buildspec.runner import Outcome, run
from localcloud.buildspec.shell import Container, Shell
from localcloud.codebuild.artifacts import collect, pattern
from localcloud.codebuild.failure import PhaseError
from localcloud.processes import Processes

FEATURES = Path(__file__).parent / "buildspecs"
SECRET = "hunter2"


@dataclass
class Ran:
    """What one buildspec did."""

    outcome: Outcome
    lines: list[str]
    phases: list[dict[str, Any]]
    source: Path
    spec: Any

    @property
    def printed(self) -> list[str]:
        return [line for line in self.lines if not line.startswith("[Container] ")]

    @property
    def statuses(self) -> dict[str, str]:
        return {phase["phaseType"]: phase["phaseStatus"] for phase in self.phases}


@pytest.fixture(scope="module")
def processes():
    started = Processes()
    yield started
    started.stop_all()


def container(folder: Path, processes: Processes, lines: list[str], halt: Halt | None = None) -> Container:
    source = folder / "source"
    source.mkdir(exist_ok=True)
    variables = {"PATH": os.environ["PATH"], "GIVEN": "1", "CODEBUILD_BUILD_SUCCEEDING": "1", "SECRET": SECRET}
    given = {"processes": processes, "halt": halt or Halt(processes), "secrets": frozenset({SECRET})}
    return Container(source, folder / "shell", variables, lines.append, **given)


def runs(pid: Path) -> bool:
    """Whether the process whose number is in the file still runs; a zombie does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", pid.read_text().strip()], capture_output=True, check=False)
    return found.stdout.strip()[:1] not in (b"", b"Z")  # a letter more says that it was nice


@pytest.fixture
def feature(tmp_path, processes):
    """Runs the buildspec of a folder."""

    def start(name: str, halt: Halt | None = None) -> Ran:
        shutil.copytree(FEATURES / name, tmp_path / "source")
        spec = parse((tmp_path / "source" / "buildspec.yml").read_text())
        lines: list[str] = []
        place = container(tmp_path, processes, lines, halt)
        place = Container(**{**vars(place), "environment": {**place.environment, **spec.env.variables}})
        phases = Phases(place.say)
        return Ran(run(spec, place, phases), lines, phases.records(), place.source, spec)

    return start


def test_variables_and_folder_are_shared_between_commands_and_phases(feature):
    ran = feature("shared-state")
    assert ran.outcome.status == "SUCCEEDED"
    assert ran.printed == [
        'plain=two  words "quoted" $literal exported=yes given=gone here=er',
        "0",
        "back in deep",
    ]


def test_bash_also_keeps_functions_and_arrays(feature):
    assert feature("bash").printed == ["hello two three", "map kept"]


def test_an_exit_ends_the_command_and_keeps_its_state(feature):
    ran = feature("exit-keeps-state")
    assert ran.printed == ["first=1 second=2 last=4"]
    assert ran.phases[2]["contexts"][0]["message"] == (
        "Error while executing command: SECOND=2; exit 4. Reason: exit status 4"
    )


def test_a_command_may_have_an_exit_trap_of_its_own(feature):
    assert feature("own-exit-trap").printed == ["cleaned up", "kept=yes"]


def test_finally_runs_after_success_and_after_failure(feature):
    ran = feature("finally")
    assert ran.printed == ["one", "finally after success", "finally after failure"]
    assert ran.statuses == {
        "INSTALL": "SUCCEEDED",
        "PRE_BUILD": "SUCCEEDED",
        "BUILD": "FAILED",
        "POST_BUILD": "SUCCEEDED",
    }


def test_a_failure_in_finally_fails_the_phase(feature):
    ran = feature("finally-fails")
    assert ran.statuses == {"INSTALL": "SUCCEEDED", "PRE_BUILD": "FAILED"}
    assert ran.printed == ["fine"]


def test_after_a_failed_build_post_build_still_runs(feature):
    ran = feature("failed-build")
    assert ran.printed == ["succeeding=0"]
    assert (ran.outcome.status, ran.outcome.built) == ("FAILED", True)
    assert ran.statuses["POST_BUILD"] == "SUCCEEDED"


def test_after_a_failed_install_nothing_else_runs(feature):
    ran = feature("failed-install")
    assert ran.statuses == {"INSTALL": "FAILED"}
    assert (ran.outcome.status, ran.outcome.built) == ("FAILED", False)
    assert "exit status 127" in ran.phases[0]["contexts"][0]["message"]


def test_on_failure_continue_goes_on_and_the_build_is_still_failed(feature):
    ran = feature("on-failure-continue")
    assert ran.printed == ["still here, succeeding=0"]
    assert ran.outcome.status == "FAILED"
    assert ran.statuses["BUILD"] == "SUCCEEDED"


def test_on_failure_abort_skips_post_build_and_artifacts(feature):
    ran = feature("on-failure-abort")
    assert list(ran.statuses) == ["INSTALL", "PRE_BUILD", "BUILD"]
    assert not ran.outcome.built


def test_on_failure_retry_runs_the_phase_again_until_it_succeeds(feature):
    ran = feature("on-failure-retry")
    assert ran.printed == ["attempt 1", "attempt 2", "attempt 3"]
    assert ran.outcome.status == "SUCCEEDED"


def test_on_failure_retry_gives_up_after_the_count(feature):
    ran = feature("on-failure-retry-count")
    assert (ran.source / "attempts").read_text() == "x\nx\n"
    assert ran.outcome.status == "FAILED"


def test_on_failure_retry_looks_for_its_pattern_in_what_was_printed(feature):
    ran = feature("on-failure-retry-regex")
    assert (ran.source / "slow").read_text() == "x\nx\nx\n"
    assert (ran.source / "other").read_text() == "x\n"
    assert ran.statuses["PRE_BUILD"] == "SUCCEEDED"


def test_exported_variables_have_their_last_value_and_buildspec_values_are_literal(feature):
    assert feature("exported-variables").outcome.exported == {
        "FROM_ENV": "$HOME is not expanded",
        "VERSION": "1.10",
        "SET_LATER": "two lines, changed",
        "SECRET": "***",
    }


def test_f57_secrets_are_masked_in_output_commands_and_contexts(feature):
    ran = feature("secrets")
    assert ran.printed == ["token is ***", "no newline ***", "*** as a command"]
    assert SECRET not in "".join(ran.lines) + str(ran.phases)


def test_what_runs_in_the_background_does_not_hold_the_build_and_ends_with_it(feature):
    started = time.monotonic()
    ran = feature("background")
    assert time.monotonic() - started < 20
    assert set(ran.printed) == {"started", "the next command runs at once"}
    assert not runs(ran.source / "pid")


def test_output_is_logged_line_by_line_and_in_order(feature):
    printed = feature("output").printed
    assert printed[:5] == ["no newline", "to stderr", "to stdout", "", "after an empty line"]
    assert printed[5] == "\ufffd not utf-8"
    assert "".join(printed[6:]).strip() == "wide"


def test_a_syntax_error_fails_its_command_only(feature):
    ran = feature("syntax-error")
    assert ran.statuses["BUILD"] == "FAILED"
    assert ran.printed[-1] == "kept=1"


def test_shell_options_end_with_their_command(feature):
    ran = feature("strict-options")
    assert "a=1 unset=" in ran.printed
    assert "never" not in ran.printed
    assert "exit status 1" in ran.phases[2]["contexts"][0]["message"]


def test_log_lines_are_those_of_codebuild(feature):
    told = [line.split(" ", 3)[3] for line in feature("failed-build").lines if line.startswith("[Container] ")]
    assert told[told.index("Entering phase BUILD") :] == [
        "Entering phase BUILD",
        "Running command exit 3",
        "Command did not exit successfully exit 3 exit status 3",
        "Phase complete: BUILD State: FAILED",
        "Phase context status code: COMMAND_EXECUTION_ERROR Message: "
        "Error while executing command: exit 3. Reason: exit status 3",
        "Entering phase POST_BUILD",
        'Running command echo "succeeding=$CODEBUILD_BUILD_SUCCEEDING"',
        "Phase complete: POST_BUILD State: SUCCEEDED",
        "Phase context status code:  Message: ",
    ]  # fmt: skip


def test_a_runtime_that_is_not_selected_is_said(feature):
    ran = feature("runtime-versions")
    assert any("runtime-versions python: 3.12 is not selected" in line for line in ran.lines)
    assert ran.printed == ["built"]


@pytest.mark.parametrize("reason", ["STOPPED", "TIMED_OUT"])
def test_a_halt_ends_the_whole_process_group_and_runs_nothing_more(feature, processes, tmp_path, reason):
    halt = Halt(processes)
    pid = tmp_path / "source" / "pid"

    def request_when_started() -> None:
        while not pid.exists() or not pid.read_text():
            time.sleep(0.01)
        if reason == "STOPPED":
            halt.request(reason)
        else:
            halt.after(0.05)

    threading.Thread(target=request_when_started, daemon=True).start()
    started = time.monotonic()
    ran = feature("long-running", halt)
    assert time.monotonic() - started < 15
    assert ran.outcome == Outcome(reason, built=False)
    assert ran.statuses["BUILD"] == reason
    assert ran.printed == ["waiting"]
    assert not runs(pid)


@pytest.mark.parametrize("folder", sorted(FEATURES.glob("refused-*")), ids=lambda folder: folder.name)
def test_what_it_cannot_do_is_refused_by_name_before_anything_runs(feature, folder):
    key = {"refused-windows-shell": "env.shell", "refused-report-format": "reports.unit.file-format"}
    with pytest.raises(BuildspecError, match=key.get(folder.name, folder.name.removeprefix("refused-"))):
        feature(folder.name)


def test_artifacts_are_the_files_that_match(feature):
    ran = feature("artifacts")
    artifacts = ran.spec.artifacts
    assert list(collect(artifacts, ran.source)) == ["a/mid.js", "top.css", "top.js"]
    flat, exact = artifacts.secondary_artifacts["flat"], artifacts.secondary_artifacts["exact"]
    assert sorted(collect(flat, ran.source)) == ["link.js", "low.js", "low.map", "mid.js", "top.css", "top.js"]
    assert list(collect(exact, ran.source)) == ["out/a/mid.js", "out/top.css", "out/top.js"]
    assert ran.outcome.names == {"site-$DAY-$(echo v2)": "site-monday-v2"}


@pytest.mark.parametrize("base", ["nowhere", "../outside"])
def test_an_artifact_never_leaves_the_source_folder(tmp_path, base):
    (tmp_path / "outside").mkdir()
    (tmp_path / "source").mkdir()
    spec = parse(f"version: 0.2\nartifacts:\n  base-directory: {base}\n  files: ['**/*']\n")
    with pytest.raises(PhaseError, match="no matching base directory path found"):
        collect(spec.artifacts, tmp_path / "source")


def test_stars_stay_in_a_folder_and_double_stars_cross_them():
    names = ["a", "a.js", "d/a.js", "d/e/a.js", "d/.x"]
    table = {
        "*": ["a", "a.js"],
        "**/*": names,
        "d/*": ["d/a.js", "d/.x"],
        "**/a.js": ["a.js", "d/a.js", "d/e/a.js"],
        "?": ["a"],
    }
    for text, expected in table.items():
        assert [name for name in names if pattern(text).fullmatch(name)] == expected


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_any_value_survives_from_one_command_to_the_next(tmp_path, processes, shell):
    text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)

    @given(text)
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    def survives(value: str) -> None:
        fresh = Path(tempfile.mkdtemp(dir=tmp_path))
        with Shell(container(fresh, processes, []), shell) as session:
            session.export("VALUE", value)
            session.run("COPY=$VALUE")
            session.run("OTHER=$COPY")
            assert session.values(["OTHER"]) == {"OTHER": value}

    survives()


def test_it_runs_from_the_command_line(tmp_path):
    (tmp_path / "buildspec.yml").write_text("version: 0.2\nphases: {build: {commands: [echo built > done, exit 1]}}\n")
    command = [
        sys.executable,
        "-m",
        "localcloud.buildspec",
        "run",
        str(tmp_path / "buildspec.yml"),
        "--source",
        str(tmp_path),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert ended.returncode == 1, ended.stderr
    assert "Phase complete: BUILD State: FAILED" in ended.stdout
    assert (tmp_path / "done").read_text() == "built\n"
