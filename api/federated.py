"""The doors of federated aggregates.

Services that installed the wheel import the same functions from `aegis.privacy`.
"""

from .budgets import budget_history as budget_history  # noqa: PLC0414 - a door of both
from .budgets import create_budget as create_budget  # noqa: PLC0414
from .budgets import set_budget as set_budget  # noqa: PLC0414
from .budgets import show_budgets as show_budgets  # noqa: PLC0414
