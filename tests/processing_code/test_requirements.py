"""What each folder that ships alone says it needs is what it imports, hashed, in the project's own versions."""

import ast
import re
import sys

import pytest
from checkerboard import ROOT

FOLDERS = ("processing_code", "training_code", "serving_code")
BY_THE_IMAGE = {"training_code": {"torch"}, "processing_code": {"pyspark", "awsglue"}}
# not imported by name: uvicorn takes them when they are there
TAKEN_BY_OTHERS = {"serving_code": {"httptools", "uvloop"}}
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(.*)$", re.MULTILINE)


def pins(name: str) -> set[tuple[str, str]]:
    return {(found[0], found[1]) for found in PIN.findall((ROOT / name).read_text())}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_the_standard_library_itself_and_its_requirements(folder: str):
    modules = list((ROOT / folder).glob("*.py"))
    names: set[str] = set()
    for node in (node for path in modules for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    foreign = names - set(sys.stdlib_module_names) - {path.stem for path in modules} - BY_THE_IMAGE.get(folder, set())
    required = {name for name, _ in pins(f"{folder}/requirements.txt")}
    assert foreign <= required
    assert foreign | TAKEN_BY_OTHERS.get(folder, set()) <= required


@pytest.mark.parametrize("folder", FOLDERS)
def test_requirements_are_hashed_and_in_the_projects_versions(folder: str):
    text = (ROOT / folder / "requirements.txt").read_text()
    assert pins(f"{folder}/requirements.txt") <= pins("requirements.lock")
    assert all(rest.rstrip().endswith("\\") for _, _, rest in PIN.findall(text))
    assert "--hash=sha256:" in text


@pytest.mark.parametrize("folder", ["processing_code", "serving_code"])
def test_an_image_is_not_root_and_installs_hashed_requirements_only(folder: str):
    lines = (ROOT / folder / "Dockerfile").read_text().splitlines()
    assert any(line.startswith("USER ") and line != "USER root" for line in lines)
    assert [line for line in lines if "install" in line and "--require-hashes" not in line] == []
