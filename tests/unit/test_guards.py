"""What a policy's guards may say, and how they are spelled."""

from typing import Any

import pytest

from aegis.errors import InvalidPolicy
from aegis.retention.definition import Definition
from aegis.retention.guards import Verdict, spelled


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"max_rows": 10}, {"max_rows": 10}),
        ({"max_share": 0.5}, {"max_share": "0.5"}),
        ({"max_share": "0.50"}, {"max_share": "0.5"}),
        ({"max_share": 1}, {"max_share": "1"}),
        ({"usual_times": 1e1}, {"usual_times": "10"}),
        ({}, None),
        (None, None),
    ],
)
def test_one_spelling(given: Any, kept: Any) -> None:
    """However a number is written, it is the same guard and so the same digest; no float is kept."""
    assert spelled(given) == kept
    policy = Definition(name="p", table="t", guards=given)
    policy.check()
    assert policy.guards == kept


@pytest.mark.parametrize(
    ("guards", "said"),
    [
        ({"max_row": 10}, "none called max_row"),
        ({"max_rows": 0}, "at least 1"),
        ({"max_rows": True}, "whole number"),
        ({"max_rows": 1.5}, "whole number"),
        ({"max_share": 0}, "above 0"),
        ({"max_share": "1.01"}, "up to 1"),
        ({"max_share": "half"}, "such as 0.5"),
        ({"max_share": float("nan")}, "such as 0.5"),
        ({"usual_times": "0.5"}, "at least 1"),
        ({"usual_times": True}, "at least 1"),
        pytest.param("max_rows", r"guards are .* none called \?", id="text"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(guards: Any, said: str) -> None:
    """The message names the guard and its range."""
    with pytest.raises(InvalidPolicy, match=said):
        Definition(name="p", table="t", guards=guards).check()


@pytest.mark.parametrize(
    ("expected", "most", "broken"),
    [(10, 10, False), (11, 10, True), (1, 0, True), (0, 0, False), (None, 10, False), (11, None, False)],
)
def test_a_guard_is_broken_by_the_first_row_too_many(
    expected: int | None, most: int | None, *, broken: bool
) -> None:
    """As many as may go, may; what is not known breaks nothing, and is told apart."""
    verdict = Verdict(guard="max_rows", limit="10", expected=expected, most=most)
    assert verdict.broken == broken
