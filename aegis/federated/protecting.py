"""Protecting an aggregate: by a threshold alone, or by noise on what is released once."""

from collections.abc import Mapping
from typing import Any

from aegis.audit.actions import Outcome
from aegis.errors import UsageError
from aegis.federated import mechanism, reports
from aegis.federated.clipped import Clipped
from aegis.federated.mechanism import Plan
from aegis.federated.release import Aggregate, refuse, release
from aegis.federated.reports import Asked
from aegis.federated.terms import Terms, check
from aegis.federated.values import Flat, flatten
from aegis.operations.system import System


def protect(
    system: System, value: Any, terms: Terms, asked: Asked, *, participants: int
) -> tuple[Any, Mapping[str, Any]]:
    """Return an aggregate as it may leave, and its report.

    Args:
        system: this process's Aegis.
        value: the aggregate, or a `Clipped`.
        terms: how it is protected.
        asked: who asks, under which id.
        participants: how many people stand behind it.

    Raises:
        UsageError: it cannot be protected as it is, or the terms cannot be meant.
        TooFew: too few people stand behind it.

    """
    check(terms, floor=system.settings.federated.minimum_participants)
    content = content_of(value, terms)
    if terms.epsilon is None:
        if participants < terms.minimum:
            raise refuse(system, terms, asked, account=None)
        return _behind_a_threshold(system, content, value, terms, asked)
    if terms.account is None and system.settings.federated.require_budget:
        message = "name a budget: federated.require_budget says that no release goes without one"
        raise UsageError(message)
    aggregate = Aggregate(
        content=content,
        participants=participants,
        counted_with_noise=terms.threshold_epsilon is not None,
        plan=plan_of(content, terms, terms.epsilon),
    )
    return release(system, aggregate, terms, asked)


def _behind_a_threshold(
    system: System, content: Flat | Clipped, value: Any, terms: Terms, asked: Asked
) -> tuple[Any, Mapping[str, Any]]:
    coordinates = content.steps.size if isinstance(content, Clipped) else content.real + content.whole
    words: dict[str, Any] = {"coordinates": coordinates, "mechanism": "none"}
    system.recorder.record(reports.note(terms, asked, Outcome.SUCCESS, account=None, of=None, **words))
    report = {
        "guarantee": "a threshold alone: this is not differential privacy",
        "mechanism": "none",
        "coordinates": coordinates,
        "min_participants": terms.minimum,
        "release": asked.release_id,
    }
    return (content.value if isinstance(content, Clipped) else value), report


def content_of(value: Any, terms: Terms) -> Flat | Clipped:
    """Return an aggregate taken apart, or the sum of contributions that it is."""
    return value if isinstance(value, Clipped) else flatten(value, terms.public_fields)


def plan_of(content: Flat | Clipped, terms: Terms, epsilon: float) -> Plan:
    """Return the noise that an aggregate gets on these terms."""
    if isinstance(content, Clipped):
        return mechanism.plan_sum(content, mechanism=terms.mechanism, epsilon=epsilon, delta=terms.delta)
    return mechanism.plan(
        content,
        mechanism=terms.mechanism,
        epsilon=epsilon,
        delta=terms.delta,
        sensitivity=terms.sensitivity,
        per_field=terms.per_field,
    )
