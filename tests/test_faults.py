"""The fault matrix says what the tests say."""

import re

from tests import faults, mutation

FOUND = faults.proofs(faults.ROOT / "tests")


def test_the_page_is_what_the_tests_make_of_it():
    assert faults.DOCUMENT.read_text() == faults.render(FOUND, mutation.mutants()), "stale; run python -m tests.faults"


def test_every_row_that_a_test_is_named_after_exists():
    known = {row for group in faults.rows().values() for row in group}
    assert {proof.row for proof in FOUND} <= known
    assert len(known) == 47


def test_the_readme_gives_the_count_of_the_page():
    counts = re.findall(r"\d+ of \d+ fault rows have tests", (faults.ROOT / "README.md").read_text())
    assert {f"{count}." for count in counts} <= {faults.sentence(FOUND)}


def test_the_readme_gives_the_count_of_the_mutants():
    found = mutation.mutants()
    words = re.search(r"(\d+) pieces of code in all (\d+) rows", (faults.ROOT / "README.md").read_text())
    assert words
    assert tuple(map(int, words.groups())) == (len(found), len({one.row for one in found}))
