"""What a run has used besides rows: seconds of work, and seconds that it was held back, by reason.

It is no progress: a worker that dies takes at most the tally of one slice with it.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aegis.db.engines import CONTROL, writing
from aegis.db.tables import Run
from aegis.operations.system import System


@dataclasses.dataclass(kw_only=True)
class Tally:
    """What one slice adds."""

    worked_ms: int = 0
    #: Reason → milliseconds of pauses.
    throttled_ms: Counter[str] = dataclasses.field(default_factory=Counter)
    #: What the database did not let us measure.
    unmeasured: set[str] = dataclasses.field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether there is anything to add."""
        return bool(self.worked_ms or self.throttled_ms or self.unmeasured)


def add(system: System, run_id: str, tally: Tally) -> None:
    """Add a slice's tally to its run's, once: the slice's is empty afterwards."""
    if not tally:
        return
    with writing(system.databases.control, CONTROL) as connection:
        mine = Run.id == run_id
        kept = connection.scalar(sa.select(Run.tally).where(mine).with_for_update()) or {}
        connection.execute(sa.update(Run).where(mine).values(tally=_joined(kept, tally)))
    tally.worked_ms = 0
    tally.throttled_ms.clear()
    tally.unmeasured.clear()


def reported(kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a run's report says: seconds of work, of pauses by reason, and what was not measured."""
    kept = kept or {}
    throttled = {reason: -(-ms // 1000) for reason, ms in kept.get("throttled_ms", {}).items()}
    return {
        "seconds": -(-kept.get("worked_ms", 0) // 1000),
        "throttled": throttled,
        "unmeasured": ", ".join(kept.get("unmeasured", [])),
    }


def _joined(kept: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    return {
        "worked_ms": kept.get("worked_ms", 0) + tally.worked_ms,
        "throttled_ms": dict(Counter(kept.get("throttled_ms", {})) + tally.throttled_ms),
        "unmeasured": sorted({*kept.get("unmeasured", []), *tally.unmeasured}),
    }
