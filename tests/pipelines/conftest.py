"""A small project of its own for each test, and the shipped params compiled once."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import cloud, ncf, params, project, sources, validate
from tests.pipelines.team import REGISTER, Team, function

ROOT = Path(__file__).parent.parent.parent
PROJECT = """\
project: film-recommender
owner: recsys-team
region: eu-west-1
git: {provider: gitlab, url: "https://gitlab.example.com", project: recsys/film-recommender, branch: main}
environments: [staging, production]
"""
LOCK = {
    "dataset": "toy",
    "reason": "manual",
    "partitions": [
        {"key": f"raw/toy/week=2020-0{week}/part-0.parquet", "sha256": str(week) * 64, "bytes": 10 * week, "rows": week}
        for week in (1, 2)
    ],
}


@pytest.fixture
def shipped() -> dict[str, Any]:
    """The content of params/ncf.yml as it ships, free to be changed."""
    return yaml.safe_load((ROOT / "params" / "ncf.yml").read_text())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project folder: the shipped files, and a data lock of two partitions."""
    (tmp_path / "project.yml").write_text(PROJECT)
    shutil.copy(ROOT / "buildspec.yml", tmp_path / "buildspec.yml")
    for name in ("processing_code", "training_code"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "params").mkdir()
    shutil.copy(ROOT / "params" / "ncf.yml", tmp_path / "params" / "ncf.yml")
    (tmp_path / "params" / "ncf.data.yml").write_text(yaml.safe_dump(LOCK))
    return tmp_path


@pytest.fixture(scope="session")
def account() -> cloud.Cloud:
    """The placeholder account of the shipped project."""
    return cloud.placeholder(project.load(ROOT))


@pytest.fixture(scope="session")
def given() -> params.Params:
    """The shipped params."""
    return params.load(ROOT / "params" / "ncf.yml")


@pytest.fixture(scope="session")
def digests() -> sources.Sources:
    """Made-up digests: a definition needs to know no more of the code and the data."""
    return sources.Sources(processing="a" * 64, training="b" * 64, lock="c" * 64)


@pytest.fixture(scope="session")
def definition(given: params.Params, digests: sources.Sources, account: cloud.Cloud) -> dict[str, Any]:
    """The shipped params, compiled."""
    return ncf.define(given, digests, account)


@pytest.fixture(scope="session")
def steps(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Step name -> step of the compiled definition, those inside the gate too."""
    return {step["Name"]: step for step in validate.every_step(definition["Steps"])}


@pytest.fixture(scope="session")
def register(localcloud: Any) -> str:
    """A function in the place of infra's, which says which commit it was asked to register."""
    return function(localcloud, "toy-register", REGISTER)


@pytest.fixture
def team(
    home: Path, localcloud: Any, register: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Team:
    made = Team(home, localcloud, register, capsys)
    monkeypatch.chdir(home)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made
