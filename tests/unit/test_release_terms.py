"""What a caller states about a release, and who stands behind it: contradictions are refused by name."""

from typing import Any

import numpy as np
import pytest

from aegis.errors import UsageError
from aegis.federated.terms import Terms, behind, check, terms_of

GIVEN: dict[str, Any] = {
    "min_participants": 5,
    "dp_epsilon": 0.5,
    "dp_delta": None,
    "dp_sensitivity": 1.0,
    "mechanism": "laplace",
    "budget": None,
    "per_field": False,
    "public_fields": (),
    "threshold_epsilon": None,
}
GAUSSIAN = {"mechanism": "gaussian", "dp_delta": 1e-6}


def checked(**words: Any) -> Terms:
    """Return terms that were looked at, where a release needs five people."""
    terms = terms_of(1.0, **GIVEN | words)
    check(terms, floor=5)
    return terms


@pytest.mark.parametrize(
    "words",
    [{}, {"dp_epsilon": np.float32(0.5)}, {"threshold_epsilon": 1}, GAUSSIAN, {"dp_epsilon": None}],
    ids=str,
)
def test_terms_that_can_be_meant(words: dict[str, Any]) -> None:
    """Noise of either kind, a noisy threshold, and the threshold alone."""
    assert checked(**words).minimum == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"min_participants": 4}, "min_participants must be at least 5"),
        ({"min_participants": True}, "min_participants must be a whole number"),
        ({"min_participants": 5.0}, "min_participants must be a whole number"),
        ({"dp_epsilon": 0}, "dp_epsilon must be a finite number above 0"),
        ({"dp_epsilon": -1.0}, "dp_epsilon must be a finite number above 0"),
        ({"dp_epsilon": float("nan")}, "dp_epsilon must be a finite number"),
        ({"dp_epsilon": float("inf")}, "dp_epsilon must be a finite number"),
        ({"dp_epsilon": "1"}, "dp_epsilon must be a finite number"),
        ({"dp_epsilon": True}, "dp_epsilon must be a finite number"),
        ({"dp_sensitivity": 0}, "dp_sensitivity must be a finite number above 0"),
        ({"dp_sensitivity": None}, "dp_sensitivity must be a finite number above 0"),
        ({"dp_sensitivity": 2.0**901}, "give the aggregate in another unit"),
        ({"dp_sensitivity": 2.0**-901}, "give the aggregate in another unit"),
        ({"threshold_epsilon": 0}, "threshold_epsilon must be a finite number above 0"),
        ({"mechanism": "none"}, "mechanism must be one of laplace, gaussian"),
        ({"dp_delta": 1e-6}, "laplace noise has no delta"),
        ({"mechanism": "gaussian"}, "gaussian noise needs dp_delta"),
        ({**GAUSSIAN, "dp_delta": 0.0}, "dp_delta must be a finite number above 0"),
        ({**GAUSSIAN, "dp_delta": 1.0}, "dp_delta must be at least 1e-40 and below 1"),
        ({**GAUSSIAN, "dp_delta": 1e-41}, "dp_delta must be at least 1e-40 and below 1"),
        ({**GAUSSIAN, "dp_epsilon": 1001}, "gaussian noise must be at most 1000"),
        ({"dp_epsilon": None, "dp_delta": 1e-6}, "dp_delta belongs to noise"),
        ({"dp_epsilon": None, "budget": "acme"}, "budget belongs to noise"),
        ({"dp_epsilon": None, "threshold_epsilon": 1.0}, "threshold_epsilon belongs to noise"),
    ],
    ids=str,
)
def test_terms_that_cannot_be_meant(words: dict[str, Any], told: str) -> None:
    """Each is refused with the argument and what was expected of it, before anything is charged."""
    with pytest.raises(UsageError, match=told):
        checked(**words)


def test_the_least_of_what_is_said_counts() -> None:
    """A count, distinct references, contributions that were summed: never more people than the least."""
    assert behind(9, None, None) == 9
    assert behind(9, ["a", "b", "a"], None) == 2
    assert behind(9, {"a", "b"}, 1) == 1
    assert behind(9, [], 7) == 0


@pytest.mark.parametrize("participants", ["abc", b"abc", {"a": 1}, 3, iter("abc"), ["a", 3], ["a", ""]])
def test_references_that_name_nobody(participants: Any) -> None:
    """A text is no list of people, and a reference is a text that says something."""
    with pytest.raises(UsageError, match=r"^participants must be .* of each participant"):
        behind(9, participants, None)
