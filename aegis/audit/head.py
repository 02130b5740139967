"""The log's tree as the control database has it: its state, its tiles, its newest checkpoint.

Whoever holds the state's lock may append; everybody else reads.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.audit.tlog import merkle, notes, tiles
from aegis.audit.tlog.notes import Note
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import AuditCheckpoint, AuditLeaf, AuditLog, AuditPending, AuditState, AuditTile
from aegis.errors import NotPrepared, Tampered

#: The one row of the log's state.
_ROW: Final = 1


@dataclass(frozen=True, kw_only=True)
class State:
    """Where the log stands."""

    origin: str
    incarnation: int
    size: int
    minimum: int
    halted: str | None


def state(connection: sa.Connection, *, lock: bool = False) -> State:
    """Return the log's state, locked until the transaction ends when that is asked for.

    Raises:
        NotPrepared: the log has no signing key yet.

    """
    found = begun(connection, lock=lock)
    if found is None:
        message = "the audit log has no signing key yet; run `aegis audit keys init` where it is to be sealed"
        raise NotPrepared(message)
    return found


def begun(connection: sa.Connection, *, lock: bool = False) -> State | None:
    """Return the log's state, or None before it has a key."""
    query = sa.select(
        AuditState.origin, AuditState.incarnation, AuditState.size, AuditState.minimum, AuditState.halted
    ).where(AuditState.id == _ROW)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else State(**row)


def begin(connection: sa.Connection, origin: str) -> bool:
    """Make the state of an empty log; say whether it was missing."""
    values = {"id": _ROW, "origin": origin, "incarnation": 1, "size": 0, "minimum": 0}
    return dialects.insert_missing(connection, table_of(AuditState), values)


def update(connection: sa.Connection, **values: str | int | None) -> None:
    """Change the log's state in the caller's transaction."""
    connection.execute(sa.update(AuditState).where(AuditState.id == _ROW).values(**values))


def node_of(connection: sa.Connection) -> merkle.Node:
    """Return how to read the tree's nodes over this connection."""
    return tiles.reader(lambda level, number: tile(connection, level, number))


def nodes(engine: sa.Engine) -> merkle.Node:
    """Return how to read the tree's nodes, each in a short transaction of its own.

    What is in a tile never changes, it only gets wider; so no snapshot is needed.
    """

    def fetch(level: int, number: int) -> bytes:
        with reading(engine, CONTROL) as connection:
            return tile(connection, level, number)

    return tiles.reader(fetch)


def tile(connection: sa.Connection, level: int, number: int) -> bytes:
    """Return the hashes of a tile; none when it is not there."""
    which = (AuditTile.level == level) & (AuditTile.number == number)
    return connection.scalar(sa.select(AuditTile.hashes).where(which)) or b""


def append(connection: sa.Connection, size: int, fresh: Sequence[tuple[str, bytes]]) -> int:
    """Give events the next leaves, in the caller's transaction, which holds the lock.

    Args:
        size: leaves before.
        fresh: id and entry of each event.

    Returns:
        The size after.

    """
    _place(connection, size, [event_id for event_id, _ in fresh])
    return grow(connection, size, [entry for _, entry in fresh])


def take(connection: sa.Connection, size: int, most: int) -> list[bytes]:
    """Give events that wait the next leaves, in the order of their ids, but let no tile grow yet.

    Args:
        connection: the caller's transaction, which holds the lock.
        size: leaves before.
        most: as many events at most.

    Returns:
        The entries of the new leaves.

    """
    if connection.dialect.name == dialects.POSTGRESQL:
        # Thousands of ids stay where they are.
        return list(connection.scalars(TAKE, {"size": size, "most": most}))
    fresh = connection.execute(_WAITING, {"most": most}).all()
    if fresh:
        ids = [event_id for event_id, _ in fresh]
        _place(connection, size, ids)
        connection.execute(sa.delete(AuditPending).where(AuditPending.id.in_(ids)))
    return [entry for _, entry in fresh]


def grow(connection: sa.Connection, size: int, entries: Sequence[bytes]) -> int:
    """Let the tiles grow by leaves that were placed; return the size after."""
    partial = {
        level: _partial(connection, level, number, width)
        for level, (number, width) in tiles.rightmost(size).items()
    }
    changed = tiles.grow(size, partial, [merkle.leaf_hash(entry) for entry in entries])
    for (level, number), hashes in changed.items():
        which = (AuditTile.level == level) & (AuditTile.number == number)
        wider = sa.update(AuditTile).where(which).values(hashes=hashes)
        # Only the first of each level can be there already.
        if level not in partial or not connection.execute(wider).rowcount:
            connection.execute(sa.insert(AuditTile).values(level=level, number=number, hashes=hashes))
    return size + len(entries)


def _place(connection: sa.Connection, size: int, ids: Sequence[str]) -> None:
    rows = [{"leaf": leaf, "id": event_id} for leaf, event_id in enumerate(ids, size)]
    connection.execute(sa.insert(AuditLeaf), rows)


_MOST: Final = sa.bindparam("most", type_=sa.Integer)


def _waiting() -> sa.Select[str, bytes]:
    query = sa.select(AuditPending.id, AuditLog.entry).join(AuditLog, AuditLog.id == AuditPending.id)
    return query.order_by(AuditPending.id).limit(_MOST)


def _taking() -> sa.Select[bytes]:
    # The inner LIMIT keeps each entry a search by its id: a join may read every entry that there ever was.
    entry = sa.select(AuditLog.entry).where(AuditLog.id == AuditPending.id).limit(1).lateral("found")
    taken = sa.select(AuditPending.id, entry.c.entry).join_from(AuditPending, entry, sa.true())
    waiting = taken.order_by(AuditPending.id).limit(_MOST).cte("waiting")
    place = sa.func.row_number().over(order_by=waiting.c.id) + sa.bindparam("size", type_=sa.BigInteger) - 1
    placed = sa.insert(AuditLeaf).from_select(["leaf", "id"], sa.select(place, waiting.c.id)).cte("placed")
    gone = sa.delete(AuditPending).where(AuditPending.id == waiting.c.id).cte("gone")
    return sa.select(waiting.c.entry).order_by(waiting.c.id).add_cte(placed, gone)


_WAITING: Final = _waiting()
#: All of it in one statement (PostgreSQL).
TAKE: Final = _taking()


def newest(connection: sa.Connection) -> Note | None:
    """Return the newest checkpoint's note."""
    query = sa.select(AuditCheckpoint.note).order_by(AuditCheckpoint.size.desc()).limit(1)
    note = connection.scalar(query)
    return None if note is None else notes.parse(note)


def put_checkpoint(connection: sa.Connection, size: int, moment: dt.datetime, note: Note) -> None:
    """Keep a checkpoint; of each hour only the last one stays."""
    before = connection.execute(
        sa.select(AuditCheckpoint.size, AuditCheckpoint.time).order_by(AuditCheckpoint.size.desc()).limit(1)
    ).one_or_none()
    if before and before.time.replace(minute=0, second=0, microsecond=0) == moment.replace(
        minute=0, second=0, microsecond=0
    ):
        connection.execute(sa.delete(AuditCheckpoint).where(AuditCheckpoint.size == before.size))
    values = {"size": size, "time": moment, "note": str(note).encode()}
    connection.execute(sa.insert(AuditCheckpoint).values(**values))


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """How far the log is behind what was recorded."""

    #: Events that wait for their leaf.
    pending: int
    #: Seconds that the oldest of them has waited; 0 when none waits.
    oldest_seconds: float
    #: Leaves under the newest signed checkpoint.
    size: int
    #: Whether signing is refused, because the log is behind what was seen of it.
    halted: bool


def backlog(connection: sa.Connection) -> Backlog:
    """Return how far the log is behind."""
    query = sa.select(sa.func.count(), sa.func.min(AuditPending.id)).select_from(AuditPending)
    pending, oldest = connection.execute(query).one()
    known = begun(connection)
    # The id of an event tells when it was made.
    waited = (dialects.now(connection) - events.made(oldest)).total_seconds() if oldest else 0.0
    return Backlog(
        pending=pending,
        oldest_seconds=max(0.0, waited),
        size=known.size if known else 0,
        halted=bool(known and known.halted),
    )


def _partial(connection: sa.Connection, level: int, number: int, width: int) -> bytes:
    hashes = tile(connection, level, number)
    if len(hashes) != width * merkle.HASH_BYTES:
        message = (
            f"the log's tile {tiles.path(level, number, width)} has {len(hashes)} bytes, expected "
            f"{width * merkle.HASH_BYTES}: nothing is sealed on top of it. Run `aegis audit verify`"
        )
        raise Tampered(message)
    return hashes
