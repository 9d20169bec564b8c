"""The template: baking is a fixed point, and a baked project works as its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
OTHER = {"project_slug": "tune-recommender", "owner": "music", "region": "us-east-1", "git_project": "music/tunes"}


def answers() -> dict[str, str]:
    """What this very project was baked with."""
    settings = yaml.safe_load((ROOT / "project.yml").read_text())
    git = settings["git"]
    return {
        "project_slug": settings["project"],
        "owner": settings["owner"],
        "region": settings["region"],
        **{f"git_{name}": git[name] for name in ("provider", "url", "project", "branch")},
    }


def bake(template: str, target: Path, **given: str) -> Path:
    words = [f"{name}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "--output-dir", str(target), template, *words]
    home = target / "home"
    home.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        command, env={**os.environ, "HOME": str(home)}, check=True, capture_output=True, text=True, cwd=target
    )
    return target / given["project_slug"]


def tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files as they stand, in a git repository of their own: no caches, no untracked files."""
    folder = tmp_path_factory.mktemp("template")
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / name).chmod((ROOT / name).stat().st_mode)
    person = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*person, "commit", "-qm", "All"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_baking_with_this_projects_answers_gives_it_back(committed: Path, tmp_path: Path):
    baked = bake(str(committed), tmp_path, **answers())
    names = tracked()
    assert files(baked) == names
    different = {name for name in names if (baked / name).read_bytes() != (ROOT / name).read_bytes()}
    assert not different
    executable = {name for name in names if os.access(ROOT / name, os.X_OK)}
    assert {name for name in names if os.access(baked / name, os.X_OK)} == executable


def test_baking_from_a_git_address_gives_the_same_files(committed: Path, tmp_path: Path):
    bare = tmp_path / "template.git"
    subprocess.run(["git", "clone", "-q", "--bare", committed, bare], check=True)
    baked = bake(f"file://{bare}", tmp_path, **answers())
    assert files(baked) == tracked()


def test_only_two_files_differ_for_another_team(committed: Path, tmp_path: Path):
    baked = bake(str(committed), tmp_path, **OTHER)
    different = {name for name in tracked() if (baked / name).read_bytes() != (ROOT / name).read_bytes()}
    assert different <= {"project.yml", "README.md"}
    assert "tune-recommender" in (baked / "project.yml").read_text()


def test_a_baked_project_compiles_its_own_pipeline(committed: Path, tmp_path: Path):
    baked = bake(str(committed), tmp_path, **OTHER)
    command = [sys.executable, "-m", "pipelines", "run", "params/ncf.yml", "--dry-run"]
    done = subprocess.run(command, cwd=baked, capture_output=True, text=True, check=True)
    definition = json.loads(done.stdout)
    assert "tune-recommender" in json.dumps(definition)
    assert "film-recommender" not in json.dumps(definition)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("project_slug", "Tunes"),
        ("project_slug", "a b"),
        ("project_slug", "two--dashes"),
        ("git_project", "-group/tunes"),
        ("region", "Ireland"),
        ("git_project", "tunes"),
        ("owner", "a b"),
    ],
)
def test_an_answer_that_would_fail_later_is_refused_now(committed: Path, tmp_path: Path, name: str, value: str):
    with pytest.raises(subprocess.CalledProcessError) as failure:
        bake(str(committed), tmp_path, **{**OTHER, name: value})
    assert name in failure.value.stderr + failure.value.stdout
    assert not (tmp_path / "tune-recommender").exists()


@pytest.mark.bake
def test_a_baked_project_passes_its_own_tests_and_demo(committed: Path, tmp_path: Path):
    baked = bake(str(committed), tmp_path, **OTHER)
    person = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*person, "commit", "-qm", "Bake"]):
        subprocess.run(["git", *command], cwd=baked, check=True)
    for target in ("test", "demo"):
        done = subprocess.run(["make", target], cwd=baked, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    summary = json.loads((baked / ".demo" / "summary.json").read_text())
    assert {stage["status"] for stage in summary["stages"]} == {"ok"}
