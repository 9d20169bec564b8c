"""A stranger's merge request is planned as data: it runs nothing, hides nothing and writes no markup."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitops.markdown import cell, code
from gitops.planning import plan, recall, secrets
from gitops.planning.plan import Plan, render
from pipelines.secrets import PATTERNS
from tests.gitops.repository import PARAMS, project

ROOT = Path(__file__).parents[3]
CODE = {"buildspec.yml": "version: 0.2\n", "processing_code/prepare.py": "a\n", "training_code/train.py": "a\n"}
# every file that a careless plan might run, import, source or install
EVIL = {
    "Makefile": "setup:\n\ttouch $(CANARY)\n",
    "conftest.py": "import os; open(os.environ['CANARY'], 'w')\n",
    "gitops/__init__.py": "import os; open(os.environ['CANARY'], 'w')\n",
    "pipelines/__init__.py": "import os; open(os.environ['CANARY'], 'w')\n",
    "pipelines/ncf.py": "import os; open(os.environ['CANARY'], 'w')\n",
    "processing_code/prepare.py": "import os; open(os.environ['CANARY'], 'w')\n",
    "sitecustomize.py": "import os; open(os.environ['CANARY'], 'w')\n",
    ".gitattributes": "* filter=evil diff=evil\n",
}


def test_f58_a_fork_is_planned_without_credentials_and_nothing_of_it_is_run(tmp_path):
    clone = project(tmp_path / "clone")
    base = clone.commit(CODE)
    head = clone.commit({**EVIL, "params/ncf.yml": PARAMS.replace("epochs: 10", "epochs: 11")})
    trusted = tmp_path / "trusted"
    clone.git("worktree", "add", "--quiet", "--detach", str(trusted), base)
    canary = tmp_path / "canary"
    done = subprocess.run(
        [sys.executable, "-m", "gitops", "plan", "--base", base, "--head", head],
        cwd=trusted,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "CANARY": str(canary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "| Train | **runs** | `hyperparameters.epochs 10 -> 11; Prepare runs` |" in done.stdout
    assert "a plan never runs code of the head" in done.stdout
    assert not canary.exists()


def test_f58_a_plan_does_not_ask_the_machine_it_runs_on_for_a_role(tmp_path, monkeypatch):
    """A runner may have a role of its own, and a stranger's merge request is planned there."""
    seen: list[str] = []

    class Metadata(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            seen.append(self.path)
            self.send_error(404)

        do_GET = do_PUT  # noqa: N815 - names of http.server

        def log_message(self, *_) -> None:
            pass

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert recall.ask("film-recommender-ncf", "eu-west-1") is None
        server.shutdown()
    assert seen == []


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(["`", "``", "|", "\\", "\n", "\r", "\x00", "\u2028", "\u202e"]) | st.text()).map("".join)
)
def test_f58_no_text_of_the_head_leaves_its_code_span(text: str):
    for shown in (code(text), cell(text)):
        assert shown[0] == shown[-1] == "`"
        assert "`" not in shown[1:-1]
        assert len(shown.splitlines()) == 1
    assert cell(text).count("|") == cell(text).count("\\|")


EVERY_TEXT = ("</details> @all", "<img src=x>", "\n/merge", "a\u202eb", "\ud800", "\x1b[31m", "x" * 3000)


def test_f58_a_plan_too_long_for_a_comment_keeps_its_decision():
    """And cuts no code span open: what follows would be markup of the head's."""
    paths = [f"{text}{number}" for text in EVERY_TEXT for number in range(90)]
    differences = {path: ["@all"] * 8 for path in paths}
    found = Plan("a" * 40, "b" * 40, "a" * 40, paths, differences, warnings=["read this"], problems=["and that"])
    text = render(found)
    assert len(text) < 65_536
    assert text.startswith("<!-- gitops:plan -->\n")
    assert "**1 problem**" in text.splitlines()[2]
    assert text.index("and that") < text.index("read this") < text.index("@all")
    assert "<details>" not in text
    assert text.endswith("Too long for a comment: run it locally to see the rest.\n")
    lines = text.splitlines()
    assert all(line.count("`") % 2 == 0 for line in lines)
    assert [line for line in lines if "@all" in line and not line.startswith(("- `", "`"))] == []


def test_f58_no_text_of_the_head_is_too_long_for_a_line_or_cannot_be_written():
    assert [len(code(text)) for text in EVERY_TEXT][-1] == 502
    assert "".join(map(code, EVERY_TEXT)).encode().decode().isprintable()


def test_f58_text_that_no_terminal_can_write_is_planned_and_named(tmp_path, monkeypatch):
    clone = project(tmp_path / "clone")
    clone.commit({"params/x.yml": 'a: "\\ud800"\n"\\ud801\\e[31m": 1\n'})
    monkeypatch.chdir(clone.root)
    found = plan.plan("HEAD~1", "HEAD")
    assert found.problems[0].startswith("params/x.yml: ")
    assert "\x1b" not in render(found).encode().decode()


def test_a_long_list_of_paths_is_counted():
    text = render(Plan("a" * 40, "b" * 40, "a" * 40, [str(number) for number in range(250)]))
    assert "- `199`\n- and 50 more\n" in text


SECRETS = {
    "an AWS access key": "AK" + "IA" + "Q" * 16,
    "a private key": "-----BEGIN PRIVATE" + " KEY-----\n" + "M" * 20,
    "a GitLab token": "gl" + "pat-" + "x" * 20,
    "a GitHub token": "gh" + "p_" + "x" * 36,
}


@pytest.mark.parametrize("kind", SECRETS)
def test_f57_a_secret_in_a_changed_file_is_named_by_line_and_never_shown(tmp_path, kind):
    (tmp_path / "a.md").write_text(f"first\nthe token: {SECRETS[kind]}\n")
    (problem,) = secrets.found(tmp_path, ["a.md", "gone.md"])
    assert problem == f"a.md: line 2 looks like {kind}; revoke it and take it out"


@pytest.mark.parametrize("kind", SECRETS)
def test_f57_a_plan_shows_a_secret_in_no_difference_no_error_and_no_diff(tmp_path, kind, monkeypatch):
    clone = project(tmp_path / "clone")
    clone.commit(CODE)
    secret = json.dumps(SECRETS[kind])
    deploy = (clone.root / "deploy/staging/ncf.yml").read_text()
    clone.commit({
        "params/ncf.yml": PARAMS.replace("household_id", secret),
        "deploy/staging/ncf.yml": deploy.replace("instance_type: ", f"instance_type: {secret} # "),
        "deploy/staging/_policy.yml": f"reason: {secret}\n",
    })  # fmt: skip
    monkeypatch.chdir(clone.root)
    found = plan.plan("HEAD~1", "HEAD")
    assert f"params/ncf.yml: line 3 looks like {kind}; revoke it and take it out" in found.problems
    text = render(found)
    assert f"looks like {kind}" in text
    assert "***" in text
    assert SECRETS[kind][-1] * 10 not in text  # of the secret's own letters not even a part


def test_every_kind_of_secret_is_tried():
    assert set(SECRETS) == set(PATTERNS)
