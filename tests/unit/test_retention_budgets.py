"""The most that one run may take: whole rows and seconds."""

from typing import Any

import pytest

from aegis.errors import InvalidPolicy
from aegis.retention.budgets import check_budget


@pytest.mark.parametrize(
    "budget",
    [None, {"rows": 1}, {"seconds": 1}, {"rows": 100_000, "seconds": 60}],
)
def test_what_can_be_meant(budget: Any) -> None:
    """Either bound or both, or none at all."""
    check_budget("p", budget)


@pytest.mark.parametrize(
    "budget",
    [
        *({}, [], ["rows"], "rows", 7),
        *({"row": 1}, {"rows": 1, "minutes": 1}),
        *({"rows": 0}, {"rows": True}, {"rows": 1.5}, {"rows": "1"}, {"rows": 1, "seconds": 0}),
    ],
)
def test_what_cannot_be_meant(budget: Any) -> None:
    """No bound, an unknown one, or one that is no whole number of at least 1; the policy is named."""
    with pytest.raises(InvalidPolicy, match="policy p: budget: expected whole rows and seconds"):
        check_budget("p", budget)
