"""The documents are true: every path and every command they name exists."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
MADE_BY_RUNNING = (".demo", ".venv", "releases", ".localcloud", "my-recommender", "../")
TOP = {path.name for path in ROOT.iterdir()}


def quoted(document: Path) -> set[str]:
    """Everything between single backticks, and the lines of code blocks."""
    text = document.read_text()
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, flags=re.S)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return {line.strip() for block in blocks for line in block.splitlines()} | set(inline)


def looks_like_a_path(text: str) -> bool:
    if text.startswith(MADE_BY_RUNNING) or re.search(r"[<>*{}$ :\u2026]", text):
        return False
    return text.partition("/")[0] in TOP and ("/" in text or "." in text)


@cache
def words_of_help(module: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"[a-z][a-z-]+", done.stdout))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_a_document_names_exists(document: Path):
    missing = {text for text in quoted(document) if looks_like_a_path(text) and not (ROOT / text).exists()}
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_a_document_names_exists(document: Path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    unknown = set()
    for text in quoted(document):
        if found := re.match(r"make ([a-z-]+)", text):
            unknown |= {text} - ({text} if found[1] in targets else set())
        if found := re.search(r"python -m (pipelines|gitops|localcloud|infra)(?: ([a-z]+))?", text):
            unknown |= {text} if found[2] and found[2] not in words_of_help(found[1]) else set()
    assert not unknown


def test_the_changelog_follows_keep_a_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text
    assert set(re.findall(r"^### (\w+)", text, flags=re.M)) <= {
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    }


def test_every_decision_has_its_four_parts():
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04d}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        assert re.findall(r"^\*\*(Status|Because|So|Not)\*\*", path.read_text(), flags=re.M) == [
            "Status",
            "Because",
            "So",
            "Not",
        ]
