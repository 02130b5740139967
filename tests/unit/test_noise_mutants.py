"""Noise that breaks its word is caught, by the very checks that Aegis's own passes."""

import pytest

from tests.mutants_noise import MUTANTS, Mutant
from tests.noisechecks import CHECKS, Real


@pytest.mark.parametrize("name", CHECKS)
def test_the_real_noise_passes(name: str) -> None:
    """Every check, with the keys that the mutants get."""
    CHECKS[name](Real())


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=list(MUTANTS))
def test_no_mutant_survives(mutant: Mutant) -> None:
    """The check that is made for a mutant fails it, and not because it is too weak."""
    with pytest.raises(AssertionError) as caught:
        CHECKS[mutant.caught_by](mutant.way)
    assert "too weak" not in str(caught.value)


def test_every_check_catches_something() -> None:
    """A check that no mutant fails would be no check."""
    assert {mutant.caught_by for mutant in MUTANTS.values()} == set(CHECKS)
