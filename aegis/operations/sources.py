"""Each data source in numbers: what holds it, and how far its journal is in the log."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import Hold, Source
from aegis.operations.holds import IN_FORCE, RELEASED
from aegis.operations.scopes import STOP
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One configured data source."""

    datasource: str
    #: Whether somebody holds its kill switch.
    stopped: bool
    #: Legal holds on it that are not released.
    holds: int
    #: How many of them are past their review date.
    holds_unreviewed: int
    #: Holds and stops that are not in force there yet, or whose release it has not heard of.
    holds_pending: int
    #: Whether it was restored or tampered with, so that nothing runs on it.
    refused: bool
    #: Seconds since all of its journal was in the log; None: it was never used.
    relay_lag: float | None


def standings(system: System) -> list[Standing]:
    """Return how each configured data source stands, by its name."""
    holds = sa.select(Hold.datasource, Hold.kind, sa.func.count()).where(Hold.state != RELEASED)
    holds = holds.group_by(Hold.datasource, Hold.kind)
    known = sa.select(Source.name, Source.state, Source.caught_up_at)
    with reading(system.databases.control, CONTROL) as connection:
        now = dialects.now(connection)
        kept = _counts(connection, holds)
        pending = _counts(connection, holds.where(Hold.state != IN_FORCE))
        late = _counts(connection, holds.where(Hold.review_by < now.date()))
        sources = {row.name: row for row in connection.execute(known)}
    return [
        Standing(
            datasource=name,
            stopped=kept[name, True] > 0,
            holds=kept[name, False],
            holds_unreviewed=late[name, False],
            holds_pending=pending[name, True] + pending[name, False],
            refused=name in sources and sources[name].state != "ok",
            relay_lag=(
                max(0.0, (now - sources[name].caught_up_at).total_seconds())
                if name in sources and sources[name].caught_up_at is not None
                else None
            ),
        )
        for name in sorted(system.settings.sources)
    ]


def _counts(connection: sa.Connection, query: Any) -> Counter[tuple[str, bool]]:
    """Return how many there are of each source: those of the kill switch, and the others."""
    found = Counter[tuple[str, bool]]()
    for row in connection.execute(query):
        found[row[0], row[1] == STOP] += row[2]
    return found
