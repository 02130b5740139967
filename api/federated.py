"""The doors of federated aggregates.

Services that installed the wheel import the same functions from `aegis.privacy`.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

from aegis.arguments import RequestId, door
from aegis.errors import AegisError
from aegis.federated import answering, estimating, expiry, messages, protecting, release
from aegis.federated.clipped import Clipped
from aegis.federated.reports import Asked
from aegis.federated.terms import behind, terms_of
from aegis.operations.states import State
from aegis.operations.statuses import is_id
from aegis.operations.system import current

from .budgets import budget_history as budget_history  # noqa: PLC0414 - a door of both
from .budgets import create_budget as create_budget  # noqa: PLC0414
from .budgets import set_budget as set_budget  # noqa: PLC0414
from .budgets import show_budgets as show_budgets  # noqa: PLC0414


@door
def federated_aggregation_protect(
    aggregated_value: Any,
    participant_count: int,
    min_participants: int = 5,
    dp_epsilon: float | None = None,
    dp_sensitivity: float = 1.0,
    *,
    mechanism: Literal["laplace", "gaussian"] = "laplace",
    dp_delta: float | None = None,
    budget: str | None = None,
    idempotency_key: RequestId | None = None,
    return_report: bool = False,
    per_field: bool = False,
    public_fields: Sequence[str] = (),
    participants: Collection[str] | None = None,
    threshold_epsilon: float | None = None,
    tenant_id: str | None = None,
    actor: str = "system",
) -> Any:
    """Refuse an aggregate of too few people; add noise that keeps a guarantee, within a budget, once.

    Args:
        aggregated_value: a number, a numpy array, or dicts and lists of them, nested; or the `Clipped`
            that `clip_contributions` returned, whose sensitivity is then enforced and not only declared.
            Numbers keep their type and shape; whole numbers stay whole.
        participant_count: how many people stand behind it; it is not said to anybody.
        min_participants: with fewer it is refused.
        dp_epsilon: of the whole release, whatever its shape. None: the threshold alone, which is no
            differential privacy.
        dp_sensitivity: most that one participant changes of all numbers together: in L1 for laplace, in
            L2 for gaussian. Of a `Clipped` it is not looked at.
        mechanism: laplace gives pure epsilon; gaussian gives (epsilon, delta).
        dp_delta: of the whole release; for gaussian.
        budget: the account that is charged; none: `default` (or `default-gaussian`), which has no limit
            until somebody sets one.
        idempotency_key: the release's id: asked for again, it is the same bytes, and not charged again.
        return_report: return (value, report).
        per_field: `dp_sensitivity` is that of each number by itself.
        public_fields: fields that leave as they are: keys, joined by dots.
        participants: a reference of each (an HMAC of its id): the same one counts once.
        threshold_epsilon: count the participants with noise too, for so much more epsilon.
        tenant_id: whose aggregate it is, for the log.
        actor: who asks.

    Returns:
        The value with noise, in the shape in which it came; with `return_report` its report too, which
        says what is guaranteed, what it cost and what is left.

    Raises:
        ValueError: an argument cannot be meant, or the value holds something that is no finite number.
        PermissionError: too few participants; recorded, without how many.
        aegis.errors.BudgetSpent: too little is left; no noise was drawn.
        aegis.errors.Conflict: the id was used for another aggregate, or on other terms.

    """
    counted = aggregated_value.participants if isinstance(aggregated_value, Clipped) else None
    terms = terms_of(
        aggregated_value,
        min_participants=min_participants,
        dp_epsilon=dp_epsilon,
        dp_delta=dp_delta,
        dp_sensitivity=dp_sensitivity,
        mechanism=mechanism,
        budget=budget,
        per_field=per_field,
        public_fields=public_fields,
        threshold_epsilon=threshold_epsilon,
    )
    value, report = protecting.protect(
        current(),
        aggregated_value,
        terms,
        Asked(release_id=idempotency_key, actor=actor, tenant=tenant_id),
        participants=behind(participant_count, participants, counted),
    )
    return (value, report) if return_report else value


@door
def estimate_release(
    aggregated_value: Any,
    dp_epsilon: float,
    dp_sensitivity: float = 1.0,
    *,
    mechanism: Literal["laplace", "gaussian"] = "laplace",
    dp_delta: float | None = None,
    budget: str | None = None,
    per_field: bool = False,
    public_fields: Sequence[str] = (),
    threshold_epsilon: float | None = None,
    min_participants: int = 5,
) -> dict[str, Any]:
    """Return what a release would add and cost; nothing is drawn, charged or recorded.

    Returns:
        mechanism, epsilon, delta, sensitivity, scale, standard_deviation (of the noise on each number),
        coordinates, budgets (each with unit, cost and left) and whether they have enough.

    Raises:
        ValueError: as `federated_aggregation_protect`.

    """
    terms = terms_of(
        aggregated_value,
        min_participants=min_participants,
        dp_epsilon=dp_epsilon,
        dp_delta=dp_delta,
        dp_sensitivity=dp_sensitivity,
        mechanism=mechanism,
        budget=budget,
        per_field=per_field,
        public_fields=public_fields,
        threshold_epsilon=threshold_epsilon,
    )
    return estimating.estimate(current(), aggregated_value, terms)


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
    told["request"] = request_id if is_id(request_id) else None
    return {**told, "reason": str(standing.reason)} if standing.reason else told


def tend_releases() -> dict[str, int | str]:
    """Drop the outputs of releases, and answers, whose time is over; what hinders one stops no other."""
    system = current()
    done: dict[str, int | str] = {}
    for name, tend in (("releases", release.expire), ("answers", expiry.expire_answers)):
        try:
            done[name] = tend(system)
        except AegisError as error:
            done[name] = f"not now: {error}"
    return done
