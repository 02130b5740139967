"""The event that ends a run: done, blocked or failed, with its counts."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from aegis.audit import events
from aegis.audit.actions import Action, Outcome
from aegis.audit.events import Event
from aegis.audit.recorder import Note
from aegis.operations.states import State
from aegis.operations.system import System


def ended(
    system: System,
    run: Mapping[str, Any],
    state: State,
    *,
    digest: str,
    cutoff: dt.datetime | None,
    report: Mapping[str, Any],
) -> Event:
    """Build the event of a run's end; it is stored with the run's new state."""
    scheduled = run["scheduled_for"]
    details = {
        **report,
        "run": run["id"],
        "state": state.value,
        "table": run["table_name"],
        "datasource": run["datasource"],
        "action": run["action"],
        "cutoff": cutoff and events.stamp(cutoff),
        "digest": digest,
        "origin": run["origin"],
        "scheduled_for": scheduled and events.stamp(scheduled),
    }
    note = Note(
        action=Action.RETENTION_RUN,
        actor="system",
        target_type="policy",
        target_id=run["policy"],
        outcome=Outcome.SUCCESS if state is State.DONE else Outcome.FAILURE,
        details=details,
        tenant=run["tenant"],
        correlation_id=run["id"],
    )
    return system.recorder.prepare(note)
