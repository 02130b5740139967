"""From a message to its answer: read, accepted, protected, sealed to the service that asked.

Every step may be the last one before the process dies, and every message may come twice. The row of the
request is written before the work, the release of its id happens once, and the row is answered once.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aegis.envelopes import seal
from aegis.errors import AegisError, Conflict, Interrupted, NotPrepared
from aegis.federated import answers, inputs, wire
from aegis.federated.answers import Standing
from aegis.federated.messages import Order, Reference, about_result, checked_id, read
from aegis.federated.reasons import SENTENCES, NotAccepted, Reason, reason_of, sentence_of
from aegis.operations.states import State
from aegis.operations.system import System

#: Protects an aggregate; returns it and the report of its release.
Protect = Callable[..., tuple[Any, Any]]


def answer(system: System, request_id: object, message: Mapping[str, Any], protect: Protect) -> Standing:
    """Do what a message asks for, and keep the sealed answer in its request's row.

    A message that is not fit, and a release that is refused, are outcomes. They stand in the row too.

    Raises:
        Interrupted: something does not answer; the message must come again.
        NotPrepared: this worker is not ready for it; the same.

    """
    try:
        known = checked_id(request_id)
    except NotAccepted as error:
        # There is no row for it: nobody could ask for a request without an id.
        return Standing(state=State.FAILED, reason=error.reason)
    try:
        order = read(system.worker_key, known, message)
    except NotAccepted as error:
        answers.refuse(system, known, error)
        return Standing(state=State.FAILED, reason=error.reason)
    try:
        standing = answers.accept(system, order)
    except Conflict:
        return Standing(state=State.FAILED, reason=Reason.CONFLICT)
    if not standing.final:
        standing = _attempt(system, order, standing, protect)
    inputs.drop(system, order.value, order.request_id)
    return standing


def _attempt(system: System, order: Order, standing: Standing, protect: Protect) -> Standing:
    if standing.attempts > system.settings.operations.max_attempts:
        return answers.fail(system, order, Reason.GAVE_UP, SENTENCES[Reason.GAVE_UP])
    try:
        value = order.value
        if isinstance(value, Reference):
            value = inputs.read(system, value, order.request_id)
        released, report = protect(value, idempotency_key=order.request_id, return_report=True, **order.words)
        del value
        sealed = _sealed(order, {"value": released, "report": report})
        del released
        return answers.finish(system, order, sealed)
    except (Interrupted, NotPrepared):
        answers.let_rest(system, order)
        raise
    except AegisError as error:
        told = _sealed(order, {"error": {"reason": reason_of(error).value, "message": str(error)}})
        return answers.fail(system, order, reason_of(error), sentence_of(error), told)


def _sealed(order: Order, content: Mapping[str, Any]) -> bytes:
    return seal(order.reply_to, wire.encode(content), about=about_result(order.request_id))
