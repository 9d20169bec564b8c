"""docs/faults.md, from the names of the tests: python -m tests.faults

A test that proves a row of faults.yml is named after it, `test_f04_...`. Its name says what the protection does; where
that is not enough, the first line of its docstring does. The tests are read here, not run; `make test` runs them.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.mutation import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "tests" / "faults.yml"
DOCUMENT = ROOT / "docs" / "faults.md"
NAME = re.compile(r"test_(f\d\d)_\w+")
HEAD = """# Faults, and the tests that prove the protection

{sentence} A test is named after its row only if it fails when the protection is taken away.
{killed} `python -m tests.mutation` takes away what the last column names, one by one, and fails if no test does.
Written by `python -m tests.faults` from the tests themselves; `tests/test_faults.py` fails when this page is stale.
Tests marked heavy run with `make test-heavy`.
"""
COLUMNS = "| row | fault, and what happens | proved by | seen to fail when |"


@dataclass(frozen=True)
class Proof:
    """A test that is named after a row."""

    row: str
    file: str
    test: str
    protection: str
    heavy: bool


def rows() -> dict[str, dict[str, str]]:
    """Group -> row -> what may go wrong."""
    found: dict[str, dict[str, str]] = yaml.safe_load(ROWS.read_text())
    return found


def proofs(folder: Path) -> list[Proof]:
    """Every test below `folder` that is named after a row, in the order of rows and files."""
    found = [proof for file in sorted(folder.rglob("test_*.py")) for proof in _proofs(file)]
    return sorted(found, key=lambda proof: (proof.row, proof.file))


def _proofs(file: Path) -> Iterator[Proof]:
    tree = ast.parse(file.read_text())
    all_heavy = _heavy([node.value for node in tree.body if _is_pytestmark(node)])
    for node in ast.walk(tree):
        named = NAME.fullmatch(node.name) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else None
        if not named:
            continue
        said = (ast.get_docstring(node) or "").partition("\n")[0].rstrip(".")
        where = file.relative_to(ROOT).as_posix()
        yield Proof(named[1].upper(), where, node.name, said, all_heavy or _heavy(node.decorator_list))


def _is_pytestmark(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and [ast.unparse(one) for one in node.targets] == ["pytestmark"]


def _heavy(marks: list[ast.expr]) -> bool:
    return any(re.search(r"\bmark\.heavy\b", ast.unparse(mark)) for mark in marks)


def sentence(found: list[Proof]) -> str:
    """The count, as the README gives it."""
    known = [row for group in rows().values() for row in group]
    return f"{len({proof.row for proof in found})} of {len(known)} fault rows have tests."


def killing(removals: list[Mutant]) -> str:
    """How many rows have a protection that is taken away for the sake of proof."""
    return f"Of {len({one.row for one in removals})} rows a protection is removed to see its test fail."


def render(found: list[Proof], removals: list[Mutant]) -> str:
    """The document."""
    lines = [HEAD.format(sentence=sentence(found), killed=killing(removals))]
    for group, faults in rows().items():
        lines += [
            f"## {group}",
            "| row | fault, and what happens | proved by | seen to fail when |",
            "|---|---|---|---|",
        ]
        for row, fault in faults.items():
            proved = _cell([one for one in found if one.row == row])
            seen = "<br>".join(one.removed.replace("|", "/") for one in removals if one.row == row)
            lines.append(f"| {row} | {fault} | {proved} | {seen or 'not tried'} |")
        lines.append("")
    return "\n".join(lines)


def _cell(found: list[Proof]) -> str:
    shown = []
    for proof in found:
        words = f"{proof.protection}: " if proof.protection else ""
        shown.append(f"{words}`{proof.file}::{proof.test}`{' (heavy)' if proof.heavy else ''}".replace("|", "/"))
    return "<br>".join(shown) or "nothing yet"


if __name__ == "__main__":
    every = proofs(ROOT / "tests")
    DOCUMENT.write_text(render(every, mutants()))
    print(f"{DOCUMENT.relative_to(ROOT)}: {sentence(every)}")
