"""The doors of copies elsewhere: ask them to forget who was erased, and have it confirmed."""

from aegis.arguments import door
from aegis.erasure import closing, copies, forgetting, outcomes
from aegis.erasure.outcomes import Erasure
from aegis.operations.system import current


@door
def confirm_copy(request: str, copy: str, actor: str) -> Erasure:
    """Confirm that a copy elsewhere has forgotten the people of a request; the last one closes the request.

    A copy is confirmed once: whoever says it again changes nothing.

    Args:
        request: the request.
        copy: as aegis.toml names it.
        actor: who says so.

    Raises:
        ValueError: there is no such request, or it has no such copy.
        aegis.errors.Refused: the request is not done.

    """
    system = current()
    closing.confirm(system, request, copy, actor=actor)
    return outcomes.standing(system, request)


def ask_due_copies(send: forgetting.Send) -> int:
    """Ask the copies elsewhere whose time has come to forget who was erased; return how many were.

    Args:
        send: sends a task: its name, its queue, its arguments; raises an AegisError where it cannot.

    """
    system = current()
    return forgetting.ask_due(system, send, system.settings.retention.slice_seconds)


def overdue_copies() -> tuple[copies.Copy, ...]:
    """Return the copies elsewhere that nobody has confirmed in time, the longest overdue first."""
    return copies.overdue(current())
