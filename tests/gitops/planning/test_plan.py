import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitops.__main__ import main
from gitops.planning import plan
from tests.gitops.repository import PARAMS, project

ROOT = Path(__file__).parents[3]
CODE = {"buildspec.yml": "version: 0.2\n", "processing_code/prepare.py": "a\n", "training_code/train.py": "a\n"}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    found = project(tmp_path / "clone")
    found.commit(CODE)
    monkeypatch.chdir(found.root)
    return found


def rendered(base: str = "HEAD~1") -> str:
    return plan.render(plan.plan(base, "HEAD"))


def test_a_params_change_shows_the_value_and_that_main_would_retrain(repository):
    repository.commit({"params/ncf.yml": PARAMS.replace("epochs: 10", "epochs: 20"), "docs/a.md": "a"})
    text = rendered()
    assert "- `hyperparameters.epochs: 10 -> 20`" in text
    assert "**retrain** · on main: CodeBuild retrain" in text
    assert "- `docs/a.md`" in text
    assert "all valid" in text


def test_a_loosened_gate_is_called_out_by_name(repository):
    repository.commit({"params/ncf.yml": PARAMS.replace("min: 0.02", "min: 0.01")})
    text = rendered()
    assert "**The gate is loosened**\n- `params/ncf.yml: gate.absolute.ndcg@10.min: 0.02 -> 0.01; lower is" in text
    repository.commit({"params/ncf.yml": PARAMS})
    assert "loosened" not in rendered()


def test_a_change_of_form_only_differs_in_no_value(repository):
    repository.commit({"params/ncf.yml": "# a comment\n" + PARAMS.replace("{epochs: 10}", "\n  epochs: 10")})
    assert "`params/ncf.yml`:\n- `no value differs`\n" in rendered()


def test_a_deploy_change_is_reconciled_and_trains_nothing(repository):
    text = (repository.root / "deploy/production/ncf.yml").read_text()
    repository.commit({"deploy/production/ncf.yml": text.replace("instances: 1", "instances: 2")})
    shown = rendered()
    assert "- `serving.instances: 1 -> 2`" in shown
    assert "gitops reconcile production" in shown
    assert "retrain" not in shown


def test_docs_do_nothing(repository):
    repository.commit({"docs/a.md": "a"})
    assert "Nothing would be trained or deployed." in rendered()


def test_a_new_partition_is_one_line_of_the_difference():
    before = {"partitions": [{"key": "a", "rows": 1}]}
    after = {"partitions": [{"key": "0", "rows": 9}, {"key": "a", "rows": 1}]}
    assert plan.difference(plan.flatten(before), plan.flatten(after)) == [
        "partitions[0].key: (absent) -> 0",
        "partitions[0].rows: (absent) -> 9",
    ]


WRONG = {
    "params/ncf.yml": (PARAMS.replace("epochs", "epoch"), "hyperparameters.epoch"),
    "deploy/staging/ncf.yml": ("model: ncf\n", "release"),
    "params/ncf.data.yml": ("dataset: completejourney\n", "params/ncf.data.yml"),
    "project.yml": ("project: UPPER\n", "project.yml: "),
    "releases/ncf/ncf-0123456789ab.json": ("{}", "the record of a release is never changed"),
}


@pytest.mark.parametrize("path", WRONG)
def test_what_is_wrong_in_the_head_is_a_problem_named_by_its_path(repository, path):
    repository.commit({"releases/ncf/ncf-0123456789ab.json": '{"id": "ncf-0123456789ab"}'})
    text, named = WRONG[path]
    repository.commit({path: text})
    problems = plan.plan("HEAD~1", "HEAD").problems
    assert any(path in problem and named in problem for problem in problems)
    assert str(repository.root.parent) not in "".join(problems)


def test_a_file_that_cannot_be_read_is_a_problem_and_no_list_of_removed_values(repository):
    repository.commit({"params/ncf.yml": "train: {models: [ncf\n"})
    found = plan.plan("HEAD~1", "HEAD")
    assert len(found.problems) == 1
    assert found.differences == {}


def test_params_without_their_data_lock_are_a_problem(repository):
    repository.commit({"params/ncf.data.yml": None})
    assert "add it with python -m gitops data" in plan.plan("HEAD~1", "HEAD").problems[0]


def test_a_new_record_of_a_release_is_no_problem(repository):
    repository.commit({"releases/ncf/ncf-0123456789ab.json": "{}"})
    assert plan.plan("HEAD~1", "HEAD").problems == []


def test_only_what_the_head_itself_did_is_planned(repository):
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.commit({"docs/a.md": "a"})
    repository.git("checkout", "--quiet", "main")
    repository.commit({"params/ncf.yml": PARAMS + "run: {nonce: 1}\n"})
    assert plan.plan("main", "topic").paths == ["docs/a.md"]


@pytest.mark.parametrize(("text", "code"), [("epochs: 11", 0), ("epochs: none", 1)])
def test_it_works_without_credentials_and_its_exit_code_says_whether_all_is_valid(repository, text, code):
    repository.commit({"params/ncf.yml": PARAMS.replace("epochs: 10", text)})
    done = subprocess.run(
        [sys.executable, "-m", "gitops", "plan", "--base", "HEAD~1", "--head", "HEAD"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(repository.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert f"-> {text.removeprefix('epochs: ')}`" in done.stdout


def test_a_ref_that_is_not_there_is_an_error(repository, capsys):
    assert main(["plan", "--base", "nowhere"]) == 1
    assert main(["plan", "--base=--output=x"]) == 1
    assert capsys.readouterr().err.count("error: ") == 2


def test_a_head_of_another_history_is_an_error_that_says_so(repository, capsys):
    repository.git("checkout", "--quiet", "--orphan", "other")
    repository.commit({"docs/a.md": "a"})
    assert main(["plan", "--base", "main", "--head", "other"]) == 1
    assert "has no commit in common with" in capsys.readouterr().err


def test_no_problem_names_a_path_of_the_machine_that_plans(repository):
    repository.commit({"project.yml": None})
    found = plan.plan("HEAD~1", "HEAD")
    assert found.problems
    assert not any(str(repository.root) in problem for problem in found.problems)
