"""An aggregate over many people: released within its budget, and refused."""

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

from aegis.errors import BudgetSpent, Refused, TooFew
from api import privacy
from cli.demo.database import safety_events
from cli.demo.stage import Stage

BUDGET: Final = "safety-report"
_EPSILON: Final = 1.0
_EACH: Final = 0.5
_ACTOR: Final = "analyst@example.com"


def released_and_refused(stage: Stage) -> bool:
    """Release a count twice; a third time, and for too few people, it must be refused."""
    stage.say("An aggregate leaves with noise, within a budget of epsilon 1, and once for each id")
    privacy.create_budget(BUDGET, epsilon=_EPSILON, actor=_ACTOR)
    people = _people(stage.application)
    first = _release(people, "week-1")
    again = _release(people, "week-1")
    second = _release(people, "week-2")
    stage.tell(f"week-1  people with a flagged request: {first}, epsilon {_EACH} charged")
    stage.tell(f"week-1  asked for again: {again}, the same answer, and nothing charged")
    stage.tell(f"week-2  people with a flagged request: {second}, epsilon {_EACH} charged")
    refused = [
        _refusal(stage, "week-3", BudgetSpent, lambda: _release(people, "week-3")),
        _refusal(stage, "few", TooFew, lambda: _release(3, "few")),
    ]
    (account,) = privacy.show_budgets(BUDGET)
    return all(refused) and first == again and account.charges == 2 and account.tightest.left == 0  # noqa: PLR2004


def _release(people: int, name: str) -> int:
    released: int = privacy.federated_aggregation_protect(
        people, people, dp_epsilon=_EACH, budget=BUDGET, idempotency_key=name, actor=_ACTOR
    )
    return released


def _refusal(stage: Stage, name: str, kind: type[Refused], ask: Callable[[], Any]) -> bool:
    try:
        ask()
    except kind as error:
        stage.tell(f"{name:<7} refused: {error}", hang=17)
        return True
    return False


def _people(application: sa.Engine) -> int:
    with application.connect() as connection:
        found = connection.scalar(sa.select(sa.func.count(safety_events.c.user_id.distinct())))
    return int(found or 0)
