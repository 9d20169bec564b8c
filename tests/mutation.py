"""Take each protection away and see its test fail: python -m tests.mutation [F02 ...]

A mutant (tests/mutants/*.yml) is one protection of a fault row, removed by replacing a piece of one file. It is killed
when the named test fails on a copy of the repository that differs in nothing else. A survivor means that the test does
not prove what docs/faults.md says it does. Each `old` must be found exactly once, so a mutant cannot go stale unseen.
"""

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "tests" / "mutants"
FAILED, SECONDS = 1, 600  # pytest's exit code when tests ran and some failed; the longest that one may take
# plain asserts: nobody reads how two archives differ, and with CI set pytest takes minutes to work it out
OPTIONS = ("-x", "-q", "-m", "", "--assert=plain", "--import-mode=importlib", "-p", "no:cacheprovider")


class StaleError(Exception):
    """A mutant does not fit the code any more."""


@dataclass(frozen=True)
class Mutant:
    """One protection, and how it is removed."""

    row: str
    removed: str  # the protection, in words: "the older commit's sequence is not looked at"
    file: str
    old: str
    new: str
    test: str  # the pytest node that kills it; named after the row


def mutants() -> list[Mutant]:
    """All of them, in the order of rows."""
    found = []
    for file in sorted(SEEDS.glob("*.yml")):
        for row, seeds in (yaml.safe_load(file.read_text()) or {}).items():
            found += [Mutant(row=row, **seed) for seed in seeds]
    return sorted(found, key=lambda one: one.row)


def mutated(mutant: Mutant, root: Path = ROOT) -> str:
    """The file's text without the protection. Raises StaleError unless `old` is there exactly once."""
    text = (root / mutant.file).read_text()
    if text.count(mutant.old) != 1:
        times = text.count(mutant.old)
        raise StaleError(
            f"{mutant.row}: {mutant.file} holds `{mutant.old.strip()}` {times} times; name what is there once"
        )
    return text.replace(mutant.old, mutant.new)


def killed(mutant: Mutant) -> tuple[bool, str]:
    """Whether its test fails without the protection, and what the test printed."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "project"
        _copy(copy)
        (copy / mutant.file).write_text(mutated(mutant))
        line = [sys.executable, "-m", "pytest", *OPTIONS, mutant.test]
        try:
            done = subprocess.run(line, cwd=copy, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return False, f"still running after {SECONDS} s"
    return done.returncode == FAILED, done.stdout + done.stderr


def _copy(target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def main(rows: list[str]) -> int:
    """Print each mutant with its end; 1 if one survived."""
    chosen = [one for one in mutants() if not rows or one.row in rows]
    survived = 0
    with ThreadPoolExecutor(2) as pool:
        for mutant, (dead, said) in zip(chosen, pool.map(killed, chosen), strict=True):
            survived += not dead
            print(f"{mutant.row} {'killed  ' if dead else 'SURVIVED'} {mutant.removed}", flush=True)
            if not dead:
                print(f"    {mutant.test}\n    " + "\n    ".join(said.splitlines()[-8:]))
    print(f"{len(chosen) - survived} of {len(chosen)} mutants killed, {len({one.row for one in chosen})} rows")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
