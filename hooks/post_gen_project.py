"""Copy everything that is the same for every team, unrendered: code carries no template syntax.

Runs in the new project. Standard library only, no network. An allow-list: what is not named here stays behind.
"""

import shutil
from pathlib import Path

TEMPLATE = Path(r"{{ template_root() }}")
COPIED = (
    ".ci",
    ".gitattributes",
    ".gitignore",
    ".gitlab-ci.yml",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "api_code",
    "benchmarks",
    "buildspec.yml",
    "cookiecutter.json",
    "demo",
    "deploy",
    "docs",
    "gitops",
    "hooks",
    "infra",
    "localcloud",
    "params",
    "pipelines",
    "processing_code",
    "pyproject.toml",
    "requirements.airflow.lock",
    "requirements.bench.lock",
    "requirements.lock",
    "requirements.search.lock",
    "requirements.serving-peers.lock",
    "requirements.spark.lock",
    "requirements.toolkit.lock",
    "serving_code",
    "tests",
    "training_code",
    # written in two parts: this file is itself rendered
    "{" + "{cookiecutter.project_slug}" + "}",
)
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache", ".hypothesis")


def copy(name: str) -> None:
    source = TEMPLATE / name
    if source.is_dir():
        shutil.copytree(source, name, ignore=LEFT_BEHIND, dirs_exist_ok=True)
    else:
        shutil.copy(source, name)


for name in COPIED:
    copy(name)
