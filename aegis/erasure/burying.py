"""The tombstones of an erasure: what stood in the people's own rows, and what stands there since."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aegis.erasure.ownrows import digests_of, kinds
from aegis.erasure.persons import Kept
from aegis.erasure.tracing import Trace
from aegis.operations.system import System
from aegis.operations.tombstones import Tombstone


def tombstones_of(
    system: System, run: Mapping[str, Any], kept: Kept, trace: Trace, moment: dt.datetime
) -> list[Tombstone]:
    """Return the tombstones of an erasure that is complete but for them, in the trace's own snapshot."""
    masked = _masked(system, trace, kept)
    return [
        Tombstone(
            run=run["id"],
            number=number,
            datasource=run["datasource"],
            subject=person.subject or trace.who.subject.name,
            key_digest=person.key_digest,
            identifiers=dict(person.digests),
            masked=masked.get(person.key_digest, {}),
            erased_at=moment,
        )
        for number, person in enumerate(kept.everybody)
    ]


def _masked(system: System, trace: Trace, kept: Kept) -> dict[str, dict[str, str]]:
    """Return what stands in everybody's own rows now: digest of the key → identifier → digest."""
    found: dict[str, dict[str, str]] = {}
    for who, _ in kinds(trace, kept.people, kept.members):
        of_key, named = digests_of(system, who.subject, who.table)
        for where in who.wheres():
            query = sa.select(of_key, *named.values()).select_from(who.table.table).where(where)
            for digest, *row in trace.connection.execute(query):
                values = zip(named, row, strict=True)
                found[digest] = {kind: value for kind, value in values if value is not None}
    return found
