"""Legal holds: what must stay, in force from the moment that `place` returns.

The control database keeps who asked for it and why. What a batch obeys is its copy in the data
source's journal: writing it also raises `holds_version` in every header, and that waits for the
batch in flight. A run commits its header first and reads the holds afterwards, so a hold either
finds the header or is seen by the run.
"""

import contextlib
import datetime as dt
import hmac
import json
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.recorder import Note, store
from aegis.db import dialects, transactions
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading, writing
from aegis.db.journal import HOLD_SHARD, NIL, Journal
from aegis.db.reflection import read_layout
from aegis.db.tables import DataRetentionPolicy, Hold
from aegis.errors import Refused, Tampered, UnknownName, Unreachable, UsageError
from aegis.keys import Secret
from aegis.operations import matters, rowkeys, runs
from aegis.operations.scopes import STOP, Scope, open_key, seal_key
from aegis.operations.system import System

#: `Scope` is what a hold covers; rooms above know it by this module.
__all__ = [
    "IN_FORCE",
    "PLACED",
    "RELEASED",
    "RELEASING",
    "Scope",
    "bring_in_line",
    "kept",
    "listed",
    "place",
    "put_in_force",
    "put_placed_in_force",
    "read",
    "release",
]

#: States of a hold: not yet in force; in force; released here, not yet in the source; over.
PLACED: Final = "placed"
IN_FORCE: Final = "in_force"
RELEASING: Final = "releasing"
RELEASED: Final = "released"
_PLACE: Final = {STOP: Action.OPERATIONS_STOP}
_RELEASE: Final = {STOP: Action.OPERATIONS_START}


def place(
    system: System, scope: Scope, *, datasource: str, matter: str, owner: str, review_by: dt.date
) -> str:
    """Place a hold and return its id once it is in force.

    Raises:
        UsageError: it names what is not there, and would hold nothing.
        Unreachable: the data source cannot be reached; the hold is kept and NOT yet in force.

    """
    datasource = system.settings.source_name(datasource)
    _refuse_unknown(system, scope, datasource)
    details = {
        "datasource": datasource,
        "table": scope.table,
        "policy": scope.policy,
        "review_by": str(review_by),
        # The names only: the values may be personal data.
        "key_columns": None if scope.key is None else ", ".join(sorted(scope.key)),
    }
    note = Note(
        action=_PLACE.get(scope.kind, Action.HOLD_PLACE),
        actor=owner,
        target_type="hold",
        target_id=scope.id,
        details=details | {"matter": matter},
    )
    event, sealed = system.recorder.prepare(note), matters.seal(system, scope.id, matter)
    with writing(system.databases.control, CONTROL) as connection:
        values = {
            "id": scope.id,
            "kind": scope.kind,
            "matter": sealed,
            "owner_ref": event.actor_ref,
            "review_by": review_by,
            "datasource": datasource,
            "policy": scope.policy,
            "table_name": scope.table,
            "tenant": scope.tenant,
            "from_time": scope.since,
            "until_time": scope.until,
            "key_sealed": seal_key(system.worker_key, scope),
            "state": PLACED,
            "placed_at": dialects.now(connection),
        }
        connection.execute(sa.insert(Hold).values(**values))
        store(connection, event)
    put_in_force(system, scope, datasource)
    return scope.id


def put_in_force(system: System, scope: Scope, datasource: str) -> None:
    """Write the hold into its source; repeating it does no harm."""
    engine = system.databases.source(datasource)
    body = scope.write(system.worker_key)
    with writing(engine, f"data source {datasource}: the {scope.kind} is NOT yet in force") as connection:
        journal = Journal(engine.dialect.name)
        # One at a time: two that are placed at once must not take the same number.
        journal.source(connection, lock=True)
        held = _hold_rows(journal)
        known = {
            json.loads(entry)["id"]
            for entry in connection.scalars(sa.select(journal.table.c.entry).where(held))
        }
        if scope.id not in known:
            highest = connection.scalar(sa.select(sa.func.max(journal.table.c.number)).where(held))
            values: dict[str, Any] = {
                "run": NIL,
                "shard": HOLD_SHARD,
                "number": (highest or 0) + 1,
                "rows": 0,
                "counts": {},
            }
            values |= {"entry": body, "mac": _mac(system, body)}
            connection.execute(journal.table.insert().values(**values))
        journal.bump_holds(connection)
    if not _move(system, scope.id, PLACED, IN_FORCE, "in_force_at"):
        _undo_if_released(system, scope.id, datasource)


def _move(system: System, hold_id: str, old: str, new: str, when: str, **values: Any) -> bool:
    with writing(system.databases.control, CONTROL) as connection:
        update = sa.update(Hold).where(Hold.id == hold_id, Hold.state == old)
        moved = connection.execute(update.values(state=new, **values, **{when: dialects.now(connection)}))
    return moved.rowcount == 1


def _undo_if_released(system: System, hold_id: str, datasource: str) -> None:
    """Remove a hold again that somebody released while it was being put in force."""
    with reading(system.databases.control, CONTROL) as connection:
        state = connection.scalar(sa.select(Hold.state).where(Hold.id == hold_id))
    if state in {RELEASING, RELEASED}:
        _remove(system, hold_id, datasource)


def put_placed_in_force(system: System, datasource: str) -> None:
    """Catch up with a source that could not be reached when holds on it were placed or released."""
    behind = Hold.state.in_([PLACED, RELEASING])
    query = sa.select(table_of(Hold)).where(Hold.datasource == datasource, behind)
    with reading(system.databases.control, CONTROL) as connection:
        found = connection.execute(query.order_by(Hold.placed_at)).all()
    for row in found:
        if row.state == PLACED:
            put_in_force(system, _scope_of(system, row), datasource)
        else:
            _end(system, row.id, datasource)


def bring_in_line(system: System, datasource: str) -> None:
    """Make a restored source hold what the control database says, and nothing that was released since."""
    query = sa.select(table_of(Hold)).where(Hold.datasource == datasource).order_by(Hold.placed_at)
    with reading(system.databases.control, CONTROL) as connection:
        known = connection.execute(query).all()
    for row in known:
        if row.state in {PLACED, IN_FORCE}:
            put_in_force(system, _scope_of(system, row), datasource)
    engine = system.databases.source(datasource)
    with reading(engine, f"data source {datasource}") as connection:
        scopes = read(connection, Journal(engine.dialect.name), system.worker_key)
    here = {scope.id for scope in scopes}
    for row in known:
        if row.state in {RELEASING, RELEASED} and row.id in here:
            _end(system, row.id, datasource)


def _scope_of(system: System, row: Any) -> Scope:
    return Scope(
        id=row.id,
        kind=row.kind,
        policy=row.policy,
        table=row.table_name,
        tenant=row.tenant,
        since=row.from_time,
        until=row.until_time,
        key=open_key(system.worker_key, row.id, row.key_sealed),
    )


def release(system: System, hold_id: str, *, actor: str) -> None:
    """Release a hold: first in the control database, then in the source; runs that waited go on.

    Raises:
        UnknownName: there is no such hold.
        Refused: it is released already.
        Unreachable: the source cannot be reached; rows there stay held until it is.

    """
    with reading(system.databases.control, CONTROL) as connection:
        columns = sa.select(Hold.datasource, Hold.state, Hold.kind)
        row = connection.execute(columns.where(Hold.id == hold_id)).first()
    if row is None:
        message = f"there is no hold {hold_id}; `aegis hold list` lists those there are"
        raise UnknownName(message)
    if row.state == RELEASED:
        message = f"hold {hold_id} is released already"
        raise Refused(message)
    if row.state != RELEASING:
        _record_release(system, hold_id, row, actor)
    _end(system, hold_id, row.datasource)


def _record_release(system: System, hold_id: str, row: Any, actor: str) -> None:
    note = Note(
        action=_RELEASE.get(row.kind, Action.HOLD_RELEASE),
        actor=actor,
        target_type="hold",
        target_id=hold_id,
        details={"datasource": row.datasource},
    )
    event = system.recorder.prepare(note)
    with writing(system.databases.control, CONTROL) as connection:
        active = sa.update(Hold).where(Hold.id == hold_id, Hold.state.in_([PLACED, IN_FORCE]))
        values = {"state": RELEASING, "released_by": event.actor_ref}
        if connection.execute(active.values(**values)).rowcount:
            store(connection, event)


def _end(system: System, hold_id: str, datasource: str) -> None:
    _remove(system, hold_id, datasource)
    # That it was one row stays known; which one is forgotten.
    forgotten = sa.case((Hold.key_sealed.is_not(None), sa.literal(b"")), else_=sa.null())
    _move(system, hold_id, RELEASING, RELEASED, "released_at", key_sealed=forgotten)
    runs.wake_held(system, datasource)


def _remove(system: System, hold_id: str, datasource: str) -> None:
    engine = system.databases.source(datasource)
    journal = Journal(engine.dialect.name)
    with writing(engine, f"data source {datasource}: what was held there stays held") as connection:
        # Nor may the number of one that goes be given to another meanwhile.
        journal.source(connection, lock=True)
        rows = connection.execute(
            sa.select(journal.table.c.number, journal.table.c.entry).where(_hold_rows(journal))
        )
        numbers = [row.number for row in rows if json.loads(row.entry)["id"] == hold_id]
        gone = _hold_rows(journal) & journal.table.c.number.in_(numbers)
        connection.execute(journal.table.delete().where(gone))
        journal.bump_holds(connection)


def listed(system: System, *, everything: bool = False) -> list[dict[str, Any]]:
    """Return the holds with their matters, the oldest first; those that are over only with `everything`.

    Of a hold on one row it is told that it is one (`by_key`), and never which row.
    """
    found = kept(system, everything=everything)
    return [row | {"matter": matters.read(system, row["id"], row["matter"])} for row in found]


def kept(system: System, *, everything: bool = False, kind: str | None = None) -> list[dict[str, Any]]:
    """Return the holds as they are kept, their matters sealed; no key is needed for that."""
    query = sa.select(table_of(Hold)).order_by(Hold.placed_at, Hold.id)
    if not everything:
        query = query.where(Hold.state != RELEASED)
    if kind is not None:
        query = query.where(Hold.kind == kind)
    with reading(system.databases.control, CONTROL) as connection:
        return [_told(row) for row in connection.execute(query).mappings()]


def touching(
    system: System, *, datasource: str, policy: str, table: str, everything: bool = False
) -> list[dict[str, Any]]:
    """Return the holds and stops that can cover rows of a policy; what they are about is not told."""
    found = [row for row in kept(system, everything=everything) if row["datasource"] == datasource]
    return [
        {name: value for name, value in row.items() if name not in {"matter", "owner_ref", "released_by"}}
        for row in found
        if Scope(policy=row["policy"], table=row["table_name"]).touches(policy=policy, table=table)
    ]


def _told(row: sa.RowMapping) -> dict[str, Any]:
    told: dict[str, Any] = {name: value for name, value in row.items() if name != "key_sealed"}
    return told | {"by_key": row["key_sealed"] is not None}


def read(connection: sa.Connection, journal: Journal, secret: Secret) -> Sequence[Scope]:
    """Return every hold that is in force, inside the batch's own transaction.

    Raises:
        Tampered: a hold was not written by Aegis; nothing is changed until it is explained.

    """
    rows = connection.execute(
        sa.select(journal.table.c.entry, journal.table.c.mac).where(_hold_rows(journal))
    )
    scopes, key = [], secret.subkey("journal-mac")
    for row in rows:
        if not hmac.compare_digest(row.mac, _digest(key, row.entry)):
            message = (
                "a legal hold in the journal was not written by Aegis with this worker key, or was changed: "
                "nothing is changed. Find out who wrote to aegis_journal; `aegis hold list` has those placed"
            )
            raise Tampered(message)
        scopes.append(Scope.read(row.entry, secret))
    return scopes


def _hold_rows(journal: Journal) -> sa.ColumnElement[bool]:
    return sa.and_(journal.table.c.run == NIL, journal.table.c.shard == HOLD_SHARD)


def _mac(system: System, body: bytes) -> bytes:
    return _digest(system.worker_key.subkey("journal-mac"), body)


def _digest(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, b"hold" + body, "sha256").digest()


def _refuse_unknown(system: System, scope: Scope, datasource: str) -> None:
    """Refuse a hold that would silently hold nothing because of a wrong name."""
    if scope.key is not None and scope.table is None:
        message = "a key belongs to a table; name it. Nothing was placed"
        raise UsageError(message)
    if scope.policy is not None:
        query = sa.select(DataRetentionPolicy.id).where(DataRetentionPolicy.name == scope.policy).limit(1)
        with reading(system.databases.control, CONTROL) as connection:
            if connection.scalar(query) is None:
                message = (
                    f"there is no policy {scope.policy}; `aegis policy list` lists those there are. "
                    "Nothing was placed"
                )
                raise UnknownName(message)
    if scope.table is not None:
        # A source that is away is told by `put_in_force`, once the hold is kept.
        with (
            contextlib.suppress(Unreachable),
            reading(system.databases.source(datasource), f"data source {datasource}") as connection,
        ):
            layout = read_layout(connection, scope.table)
            if scope.key is not None:
                transactions.see_every_row(connection)
                rowkeys.check(connection, layout, scope.key)
