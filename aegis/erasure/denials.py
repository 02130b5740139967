"""Who asked for a person, or for rows, of another tenant: refused, and recorded like any such refusal."""

from collections.abc import Iterator
from contextlib import contextmanager

from aegis.audit.actions import Action, Outcome
from aegis.audit.recorder import Note
from aegis.errors import Denied
from aegis.operations.system import System


@contextmanager
def denials_recorded(system: System, *, actor: str, tenant: str | None, asked: str) -> Iterator[None]:
    """Record what the block refuses because it is another tenant's.

    Args:
        system: this process's Aegis.
        actor: who asked.
        tenant: the tenant that was named; encrypted in the log, for nobody knows that it is one.
        asked: erasure or export.

    """
    try:
        yield
    except Denied:
        note = Note(
            action=Action.TENANT_DENY,
            actor=actor,
            target_type="system",
            target_id=asked,
            outcome=Outcome.DENIED,
            details={"reason": "different", "requesting": tenant},
        )
        system.recorder.record(note)
        raise
