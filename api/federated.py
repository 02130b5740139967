"""The doors of federated aggregates.

Services that installed the wheel import the same functions from `aegis.privacy`.
"""

from typing import Any

from aegis.errors import AegisError, TooFew
from aegis.federated import answering, expiry, messages
from aegis.operations.states import State
from aegis.operations.system import current

from .budgets import budget_history as budget_history  # noqa: PLC0414 - a door of both
from .budgets import create_budget as create_budget  # noqa: PLC0414
from .budgets import set_budget as set_budget  # noqa: PLC0414
from .budgets import show_budgets as show_budgets  # noqa: PLC0414


# PLACEHOLDER until the release is there.
def federated_aggregation_protect(
    aggregated_value: Any,
    participant_count: int,
    min_participants: int = 5,
    dp_epsilon: float | None = None,
    *,
    idempotency_key: str | None = None,
    return_report: bool = False,
    **_: Any,
) -> Any:
    """Stand in."""
    del dp_epsilon
    if participant_count < min_participants:
        message = "too few"
        raise TooFew(message)
    report = {"release": idempotency_key}
    return (aggregated_value, report) if return_report else aggregated_value


def protect_request(request_id: str, **message: Any) -> dict[str, Any]:
    """Do what a message of a service asks for: protect an aggregate, and keep the answer sealed to it.

    Args:
        request_id: the producer's id; the release has it too.
        message: `sealed`, or `reference`, `reply_to` and parameters.

    Returns:
        operation, outcome (done, refused or expired), request, and why where it was refused.

    Raises:
        aegis.errors.Interrupted: something does not answer; the message must come again.

    """
    standing = answering.answer(current(), request_id, message, federated_aggregation_protect)
    told: dict[str, Any] = {"operation": messages.OPERATION}
    told["outcome"] = "refused" if standing.state == State.FAILED else str(standing.state)
    # An id that is none is not said again: it could be anything.
    told["request"] = request_id if messages.is_id(request_id) else None
    return {**told, "reason": str(standing.reason)} if standing.reason else told


def tend_releases() -> dict[str, int | str]:
    """Drop the outputs of releases, and answers, whose time is over; what hinders one stops no other."""
    system = current()
    done: dict[str, int | str] = {}
    for name, tend in (("answers", expiry.expire_answers),):
        try:
            done[name] = tend(system)
        except AegisError as error:
            done[name] = f"not now: {error}"
    return done
