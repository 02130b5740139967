"""What a release says of itself: its report, its events, its refusal. Never a value, never a count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aegis.audit.actions import Action, Outcome
from aegis.audit.recorder import Note
from aegis.errors import TooFew
from aegis.federated.ledger import Charged
from aegis.federated.mechanism import Plan
from aegis.federated.terms import Terms


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who asks for a release, and under which id."""

    #: None: it is asked for once, and cannot be fetched again.
    release_id: str | None
    actor: str
    tenant: str | None


def report(terms: Terms, plan: Plan, charged: Sequence[Charged], *, name: str) -> dict[str, Any]:
    """Return what a caller is told of a release, beside its value."""
    mine = charged[0]
    delta = f", delta {plan.delta:g}" if plan.delta is not None else ""
    return {
        "guarantee": (
            f"differential privacy: epsilon {plan.epsilon:g}{delta}, for the sensitivity that is "
            f"{terms.sensitivity_is}"
        ),
        "mechanism": plan.mechanism,
        "epsilon": plan.epsilon,
        "delta": plan.delta,
        "threshold_epsilon": terms.threshold_epsilon,
        "sensitivity": plan.sensitivity,
        "sensitivity_is": terms.sensitivity_is,
        "neighbours": terms.neighbours,
        "scale": plan.scale,
        "grid": None if plan.exponent is None else 2.0**plan.exponent,
        "coordinates": plan.coordinates,
        "min_participants": terms.minimum,
        "budget": mine.account,
        "charged": mine.charged,
        "remaining": mine.remaining,
        "release": name,
    }


def denial(terms: Terms, asked: Asked, *, account: str | None, of: str | None) -> Note:
    """Return the event of a refusal; it has the minimum, and not how many there were."""
    return note(terms, asked, Outcome.DENIED, account=account, of=of, participants=f"< {terms.minimum}")


def note(
    terms: Terms,
    asked: Asked,
    outcome: Outcome,
    *,
    account: str | None,
    of: str | None,
    plan: Plan | None = None,
    **details: Any,
) -> Note:
    """Return an event of a release: on which terms, with how much noise for how many numbers."""
    said_of: dict[str, Any] = (
        {} if terms.epsilon is None else {"epsilon": f"{terms.epsilon:g}", "mechanism": terms.mechanism}
    )
    if plan is not None:
        said_of |= {"coordinates": plan.coordinates, "sensitivity": f"{plan.sensitivity:g}"}
    if terms.delta is not None:
        said_of |= {"delta": f"{terms.delta:g}"}
    if asked.release_id is not None:
        # The caller's own words: sealed.
        said_of |= {"release": asked.release_id}
    return Note(
        action=Action.FEDERATED_RELEASE,
        actor=asked.actor,
        target_type="budget" if account else "system",
        target_id=account or "federated",
        outcome=outcome,
        details={"minimum": terms.minimum, "sensitivity_is": terms.sensitivity_is, **said_of, **details},
        tenant=asked.tenant,
        correlation_id=of,
    )


def too_few(terms: Terms) -> TooFew:
    """Return the error of a refusal."""
    found = (
        f"fewer than {terms.minimum} participants stand behind this aggregate"
        if terms.threshold_epsilon is None
        else f"the noisy count of participants does not reach {terms.threshold}"
    )
    return TooFew(f"{found}: it is not released. Wait for more participants")
