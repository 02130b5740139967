"""Rows come back from an archive: all of them in one transaction, or none.

Deleted rows are inserted with every value that they had. Anonymized rows get the values of the
masked columns back. The journal row and the event stand in the same transaction.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.actions import Action, Outcome
from aegis.audit.events import Event
from aegis.db import dialects, transactions
from aegis.db.engines import reading, writing
from aegis.db.journal import Entry, Journal
from aegis.db.reflection import read_layout
from aegis.db.rowlines import Shape, shape_of
from aegis.db.staging import Stage, staged
from aegis.db.tables import AuditLog, DataRetentionPolicy, Run
from aegis.errors import Busy, Refused, Tampered, UnsafeTable
from aegis.operations import archives, holds, ranges, runs, stops
from aegis.operations.absent import Absent
from aegis.operations.parts import Parts
from aegis.operations.scopes import Scope
from aegis.operations.system import System
from aegis.retention import policies

#: What the ledger calls rows that came back.
RESTORE: Final = "restore"
_CONTROL: Final = "control database"
#: Is told how many rows of an archive were dealt with, and how many it has.
Tell = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What a restore did, or would do."""

    archive: str
    policy: str
    table: str
    executed: bool
    #: Rows that came back.
    rows: int
    #: Anonymized rows of the archive that are not in the table any more.
    missing: int
    parts: int
    #: Approved policies that would take the rows again.
    takers: list[str]
    #: Rows of people who were erased since; they stay away.
    tombstones: int
    expires_at: dt.datetime


class _Undone(Exception):
    """A dry run ends by rolling back."""


def restore(
    system: System, archive: str, *, actor: str, execute: bool, on_progress: Tell | None = None
) -> Restored:
    """Bring the rows of an archive back, or try everything and roll back.

    Args:
        system: this process's Aegis.
        archive: its id.
        actor: who asks for it.
        execute: commit; without it everything is tried and rolled back.
        on_progress: is told after each part how far it has come.

    Raises:
        UnknownName: there is no such archive.
        Refused: it has expired, the table changed, rows of the same key are there, a policy would take
            the rows again, or everything in the source is stopped.
        Tampered: the manifest or a part is not what the log says was written.

    """
    row = archives.find(system, archive)
    _refuse_expired(system, row)
    manifest, parts = archives.opened(system, row)
    system.relay.relay(row["datasource"])
    _refuse_unlogged(system, manifest)
    takers = _takers(system, row)
    if execute:
        stops.refuse_if_stopped(system, row["datasource"])
        _refuse_taken_again(row, takers)
        _refuse_busy(system, row)
    actor_ref = system.recorder.actor_ref(actor) if execute else ""
    work = Restore(system, row, manifest, parts, actor_ref=actor_ref)
    try:
        work.do(execute=execute, tell=on_progress or (lambda _done, _total: None))
    except UnsafeTable as error:
        message = (
            f"archive {archive}: {error}: rows that these refer to are not there; restore them first. "
            "Nothing was changed"
        )
        raise Refused(message) from None
    if execute:
        system.relay.relay(row["datasource"])
    return Restored(
        archive=archive,
        policy=row["policy"],
        table=row["table_name"],
        executed=execute,
        rows=work.rows,
        missing=work.missing,
        parts=len(manifest["parts"]),
        takers=takers,
        tombstones=work.tombstones,
        expires_at=row["expires_at"],
    )


class Restore:
    """One restore and its counts."""

    def __init__(
        self,
        system: System,
        row: Mapping[str, Any],
        manifest: Mapping[str, Any],
        parts: Parts,
        *,
        actor_ref: str,
    ) -> None:
        self._system = system
        self._archive = row
        self._manifest = manifest
        self._parts = parts
        self._actor_ref = actor_ref
        self._policy = _policy_of(system, row)
        self._engine = system.databases.source(row["datasource"])
        self._label = f"data source {row['datasource']}"
        self._journal = Journal(self._engine.dialect.name)
        self.rows = 0
        self.missing = 0
        self.tombstones = 0
        self._present = 0

    def do(self, *, execute: bool, tell: Tell) -> None:
        """Do it in one transaction."""
        limits = self._system.settings.retention
        if execute:
            self._put_header()
        try:
            with writing(self._engine, self._label) as connection:
                transactions.begin_work(
                    connection,
                    lock_ms=limits.lock_timeout_milliseconds,
                    statement_ms=round(1000 * limits.count_seconds),
                )
                if execute:
                    self._refuse_stopped(connection)
                self._bring_back(connection, execute=execute, tell=tell)
                _undo_unless(execute)
        except _Undone:
            return

    def _put_header(self) -> None:
        """Make sure that the run which wrote the archive has a header, for a stop to wait for."""
        run = runs.fetch(self._system, self._archive["run"])
        with writing(self._engine, self._label) as connection:
            self._journal.take_over(connection, run["id"], 0, run["epoch"])

    def _refuse_stopped(self, connection: sa.Connection) -> None:
        """Lock the header, then look for a stop: one that comes now waits for our end."""
        self._journal.lock_header(connection, self._archive["run"], 0)
        stops.refuse_if_among(holds.read(connection, self._journal, self._system.worker_key))

    def _bring_back(self, connection: sa.Connection, *, execute: bool, tell: Tell) -> None:
        table = read_layout(connection, self._archive["table_name"]).table
        shape = shape_of(connection, table)
        archive = self._archive
        absent = Absent(
            self._system, connection, archive["datasource"], archive["table_name"], archive["created_at"]
        )
        with staged(connection, table, shape) as stage:
            parts, done = self._manifest["parts"], 0
            total = sum(part["rows"] for part in parts)
            # The newest first: a row that was anonymized and deleted later comes back before it is put back.
            for part in reversed(parts):
                self._one(stage, shape, part, absent, execute=execute)
                done += part["rows"]
                tell(done, total)
        if self._present:
            message = (
                f"archive {self._archive['id']}: {self._present} of its rows are in "
                f"{self._archive['table_name']} already (rows of the same key). Nothing was changed"
            )
            raise Refused(message)
        if execute and self.rows:
            self.record(connection)

    def _one(
        self, stage: Stage, shape: Shape, part: Mapping[str, Any], absent: Absent, *, execute: bool
    ) -> None:
        head, lines = self._parts.read(part["digest"])
        archived = Shape.read(head["shape"])
        _refuse_other_shape(self._archive, archived, shape)
        loaded = stage.load(lines, archived.encoding)
        if loaded != part["rows"]:
            message = f"archive {self._archive['id']}: a part holds {loaded} rows, expected {part['rows']}"
            raise Tampered(message)
        away = absent.strike(stage.table)
        self.tombstones += away
        loaded -= away
        present = stage.present()
        if head["action"] == "delete":
            self._present += present
            self.rows += loaded
            changed = stage.insert() if execute and not self._present else loaded
            expected = loaded
        else:
            self.missing += loaded - present
            self.rows += present
            changed = stage.put_back(self._masked()) if execute else present
            expected = present
        if changed != expected:
            message = (
                f"archive {self._archive['id']}: {changed} rows came back where {expected} were expected: a "
                "trigger or a rule of the table took part. Nothing was changed"
            )
            raise Refused(message)

    def _masked(self) -> list[str]:
        """Return the columns that the policy's action writes to."""
        masked = {*(self._policy.masks or {})}
        return sorted(masked | ({self._policy.marker_column} if self._policy.marker_column else set()))

    def record(self, connection: sa.Connection) -> None:
        """Write the journal's row with the event, so that the account has what came back."""
        restore_id = events.uuid7()
        event = self._event(restore_id)
        plain = Entry(
            run=restore_id,
            shard=0,
            number=1,
            rows=self.rows,
            mark=None,
            event_id=event.id,
            entry=event.entry,
            sealed=event.sealed,
        )
        mac = plain.authenticated(self._system.worker_key.subkey("journal-mac"))
        self._journal.append(connection, Entry(**vars(plain) | {"mac": mac}))

    def _event(self, restore_id: str) -> Event:
        details = {
            "run": restore_id,
            "archive": self._archive["id"],
            "table": self._archive["table_name"],
            "datasource": self._archive["datasource"],
            "action": RESTORE,
            "rows": self.rows,
            "along": {},
            "parts": len(self._manifest["parts"]),
            "tombstones": self.tombstones,
            "digest": self._policy.digest,
        }
        return events.compose(
            action=Action.RETENTION_RESTORE,
            outcome=Outcome.SUCCESS,
            actor_ref=self._actor_ref,
            target_type="policy",
            target_ref=self._archive["policy"],
            moment=dt.datetime.now(dt.UTC),
            clear=details,
            tenant=self._archive["tenant"],
            correlation_id=self._archive["run"],
        )


def _undo_unless(execute: bool) -> None:  # noqa: FBT001 - the one thing that it asks
    if not execute:
        raise _Undone


def _policy_of(system: System, row: Mapping[str, Any]) -> DataRetentionPolicy:
    return policies.by_id(system, runs.fetch(system, row["run"])["policy_id"])


def _refuse_expired(system: System, row: Mapping[str, Any]) -> None:
    with reading(system.databases.control, _CONTROL) as connection:
        expired = row["expires_at"] <= dialects.now(connection)
    if expired:
        message = f"archive {row['id']} expired at {row['expires_at']:%Y-%m-%d %H:%M} UTC; it is not read"
        raise Refused(message)


def _refuse_unlogged(system: System, manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that names other parts than the audit log has of that run."""
    query = sa.select(AuditLog.entry).where(
        AuditLog.action == Action.RETENTION_BATCH, AuditLog.correlation_id == manifest["run"]
    )
    with reading(system.databases.control, _CONTROL) as connection:
        told = [events.details_of(entry) for entry in connection.scalars(query)]
    logged = {(details["part"], details["part_rows"]) for details in told if "part" in details}
    if logged != {(part["digest"], part["rows"]) for part in manifest["parts"]}:
        message = (
            f"the manifest of archive {manifest['archive']} names other parts than the audit log; "
            "nothing was changed"
        )
        raise Tampered(message)


def _refuse_other_shape(row: Mapping[str, Any], archived: Shape, live: Shape) -> None:
    if not archived.fits(live):
        differing = sorted({name for name, _ in set(archived.columns) ^ set(live.columns)})
        message = (
            f"archive {row['id']}: table {row['table_name']} changed since it was archived "
            f"({', '.join(differing) or 'its key or its columns in another order'}). Restore into a table of "
            "the old shape. Nothing was changed"
        )
        raise Refused(message)


def _takers(system: System, row: Mapping[str, Any]) -> list[str]:
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


def _refuse_taken_again(row: Mapping[str, Any], takers: list[str]) -> None:
    if takers:
        message = (
            f"policy {', '.join(takers)} would take the rows again at its next run: disable it, or place a "
            f"legal hold on table {row['table_name']}, and restore then. Nothing was changed"
        )
        raise Refused(message)


def _refuse_busy(system: System, row: Mapping[str, Any]) -> None:
    with reading(system.databases.control, _CONTROL) as connection:
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
