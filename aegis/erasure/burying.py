"""The tombstones of an erasure: what stood in the people's own rows, and what stands there since."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.engines import reading
from aegis.erasure.persons import Kept, digests_of
from aegis.erasure.tracing import looking
from aegis.operations.system import System
from aegis.operations.tombstones import Tombstone


def tombstones_of(
    system: System, run: Mapping[str, Any], request: Mapping[str, Any], kept: Kept
) -> list[Tombstone]:
    """Return the tombstones of an erasure that is complete but for them."""
    with reading(system.databases.control, "control database") as connection:
        moment = dialects.now(connection)
    masked = _masked(system, run, request, kept)
    return [
        Tombstone(
            run=run["id"],
            number=number,
            datasource=run["datasource"],
            subject=request["arguments"]["subject"],
            key_digest=person.key_digest,
            identifiers=dict(person.digests),
            masked=masked.get(person.key_digest, {}),
            erased_at=moment,
        )
        for number, person in enumerate(kept.people)
    ]


def _masked(
    system: System, run: Mapping[str, Any], request: Mapping[str, Any], kept: Kept
) -> dict[str, dict[str, str]]:
    """Return what stands in the people's own rows now: digest of the key → identifier → digest."""
    subject, found = request["arguments"]["subject"], {}
    with looking(system, kept.keys, subject=subject, datasource=run["datasource"]) as trace:
        of_key, named = digests_of(system, trace)
        for where in trace.who.wheres():
            query = sa.select(of_key, *named.values()).select_from(trace.who.table.table).where(where)
            for digest, *row in trace.connection.execute(query):
                values = zip(named, row, strict=True)
                found[digest] = {kind: value for kind, value in values if value is not None}
    return found
