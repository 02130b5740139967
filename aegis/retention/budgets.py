"""Budgets: the most rows and seconds of work of one run."""

from collections.abc import Mapping
from typing import Any, Final

from aegis.errors import InvalidPolicy

_PARTS: Final = frozenset({"rows", "seconds"})


def check_budget(name: str, budget: Any) -> None:
    """Refuse a budget that cannot be meant.

    Raises:
        InvalidPolicy: it is not rows and seconds in whole numbers of at least 1.

    """
    if budget is None:
        return
    known = isinstance(budget, Mapping) and budget and set(budget) <= _PARTS
    if not known or not all(type(most) is int and most >= 1 for most in budget.values()):
        message = (
            f"policy {name}: budget: expected whole rows and seconds of at least 1, such as rows: 100000"
        )
        raise InvalidPolicy(message)
