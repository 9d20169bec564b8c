"""Every protection has a test that fails without it."""

import pytest

from tests import faults, mutation

MUTANTS = mutation.mutants()
FIRST = {one.row: one for one in reversed(MUTANTS)}
PROOFS = {(proof.row, f"{proof.file}::{proof.test}") for proof in faults.proofs(faults.ROOT / "tests")}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: f"{one.row}-{one.removed[:40]}")
def test_a_mutant_fits_the_code_and_names_a_test_of_its_row(mutant: mutation.Mutant):
    compiled = mutation.mutated(mutant)
    if mutant.file.endswith(".py"):
        compile(compiled, mutant.file, "exec")
    assert (mutant.row, mutant.test.partition("[")[0]) in PROOFS


@pytest.mark.heavy
@pytest.mark.parametrize("row", FIRST)
def test_without_its_protection_a_test_fails(row: str):
    """The first of each row; `make test-mutants` tries them all."""
    mutant = FIRST[row]
    dead, said = mutation.killed(mutant)
    assert dead, f"{mutant.removed}: the test still passes\n{said}"
