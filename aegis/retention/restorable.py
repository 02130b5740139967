"""Whether the rows of an archive may come back: what speaks against it."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action
from aegis.db import dialects
from aegis.db.engines import CONTROL, reading
from aegis.db.journal import Journal
from aegis.db.rowlines import Shape
from aegis.db.tables import AuditLog, Run
from aegis.errors import Busy, Refused, Tampered
from aegis.operations import holds, ranges
from aegis.operations.scopes import Scope
from aegis.operations.system import System
from aegis.retention import policies


def refuse_expired(system: System, row: Mapping[str, Any]) -> None:
    """Refuse an archive whose time is over."""
    with reading(system.databases.control, CONTROL) as connection:
        expired = row["expires_at"] <= dialects.now(connection)
    if expired:
        message = f"archive {row['id']} expired at {row['expires_at']:%Y-%m-%d %H:%M} UTC; it is not read"
        raise Refused(message)


def refuse_unlogged(system: System, manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that names other parts than the audit log has of that run."""
    query = sa.select(AuditLog.entry).where(
        AuditLog.action == Action.RETENTION_BATCH, AuditLog.correlation_id == manifest["run"]
    )
    with reading(system.databases.control, CONTROL) as connection:
        told = [events.details_of(entry) for entry in connection.scalars(query)]
    logged = {(details["part"], details["part_rows"]) for details in told if "part" in details}
    if logged != {(part["digest"], part["rows"]) for part in manifest["parts"]}:
        message = (
            f"the manifest of archive {manifest['archive']} names other parts than the audit log; "
            "nothing was changed"
        )
        raise Tampered(message)


def refuse_other_shape(row: Mapping[str, Any], archived: Shape, live: Shape) -> None:
    """Refuse rows of a table that has other columns by now, or another key."""
    if not archived.fits(live):
        differing = sorted({name for name, _ in set(archived.columns) ^ set(live.columns)})
        message = (
            f"archive {row['id']}: table {row['table_name']} changed since it was archived "
            f"({', '.join(differing) or 'its key or its columns in another order'}). Restore into a table of "
            "the old shape. Nothing was changed"
        )
        raise Refused(message)


def takers(system: System, row: Mapping[str, Any]) -> list[str]:
    """Return the policies that would take the rows again; none while a hold covers the whole table."""
    engine = system.databases.source(row["datasource"])
    with reading(engine, f"data source {row['datasource']}") as connection:
        scopes = holds.read(connection, Journal(engine.dialect.name), system.worker_key)

    def held(policy: str) -> bool:
        touching = [scope for scope in scopes if scope.touches(policy=policy, table=row["table_name"])]
        return any(scope.whole_table for scope in touching)

    # However the schema is written.
    table = Scope(table=row["table_name"])
    return [
        policy.name
        for policy in policies.newest(system)
        if policy.datasource == row["datasource"]
        and table.touches(policy=policy.name, table=policies.definition_of(policy).table)
        and policies.permitted(system, policy)
        and not held(policy.name)
    ]


def refuse_taken_again(row: Mapping[str, Any], takers: list[str]) -> None:
    """Refuse rows that a policy would take again at its next run."""
    if takers:
        message = (
            f"policy {', '.join(takers)} would take the rows again at its next run: disable it, or place a "
            f"legal hold on table {row['table_name']}, and restore then. Nothing was changed"
        )
        raise Refused(message)


def refuse_busy(system: System, row: Mapping[str, Any]) -> None:
    """Refuse while a run works on the table."""
    with reading(system.databases.control, CONTROL) as connection:
        moment = dialects.now(connection)
        working = sa.select(Run.policy).where(
            Run.datasource == row["datasource"],
            Run.table_name == row["table_name"],
            sa.or_(Run.lease_until > moment, ranges.worked_on(moment)),
        )
        rival = connection.scalar(working.limit(1))
    if rival is not None:
        message = f"policy {rival} is working on table {row['table_name']}; restore when it has ended"
        raise Busy(message)
