"""The journal: the one table that Aegis adds to a data source.

A batch writes its row here in the transaction that changes the application's rows, so the
account is exact although the log lives elsewhere. The primary key is (run, shard, number):

* number 0 is the shard's header: its epoch (fencing) and the version of the holds it has seen;
* numbers from 1 are batches: the mark to resume from, the rows gone, the audit event as final
  bytes and a MAC over them;
* run 000… shard 0 is the source itself (identity, incarnation, version, high-water mark);
  shard 1 of it holds the legal holds.

Its name tells the database's owner whose it is; on PostgreSQL it stands in a schema of its own.
"""

import functools
import hmac
import json
import struct
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable

from aegis.db import dialects
from aegis.db.columns import Bytes, Id, Moment, Plain
from aegis.errors import NotPrepared, Tampered

VERSION: Final = 1
NIL: Final = str(uuid.UUID(int=0))
HEADER: Final = 0
SOURCE_SHARD: Final = 0
HOLD_SHARD: Final = 1


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """What a data source knows of itself."""

    #: A random id, given once; an approval binds to it.
    identity: str
    incarnation: int
    version: int
    #: Journal rows that were relayed out of here, ever.
    relayed: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """A shard's header, locked until the transaction ends."""

    epoch: int
    holds_version: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One journal row of a batch."""

    run: str
    shard: int
    number: int
    rows: int
    mark: bytes | None
    counts: dict[str, int] = field(default_factory=dict)
    event_id: str | None = None
    entry: bytes | None = None
    sealed: bytes | None = None
    mac: bytes = b""

    def authenticated(self, key: bytes) -> bytes:
        """Return the HMAC-SHA256 over every field that the log takes from this row."""
        counts = json.dumps(self.counts, sort_keys=True, separators=(",", ":")).encode()
        event = None if self.event_id is None else self.event_id.encode()
        numbers = struct.pack(">qqq", self.shard, self.number, self.rows)
        mac = hmac.new(key, digestmod="sha256")
        for part in (self.run.encode(), numbers, counts, event, self.entry, self.sealed):
            body = b"\x00" if part is None else b"\x01" + part
            mac.update(struct.pack(">q", len(body)) + body)
        return mac.digest()

    def check(self, key: bytes) -> None:
        """Raise Tampered unless the MAC fits."""
        if not hmac.compare_digest(self.mac, self.authenticated(key)):
            message = (
                f"journal row {self.number} of run {self.run} shard {self.shard} was not written by Aegis "
                "with this worker key, or was changed"
            )
            raise Tampered(message)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The rows of one shard that are not known to be relayed."""

    run: str
    shard: int
    #: The lowest of their numbers.
    first: int
    rows: int


class Journal:
    """The journal of one data source; every method works inside the caller's transaction."""

    def __init__(self, dialect_name: str) -> None:
        schema = "aegis" if dialect_name == dialects.POSTGRESQL else None
        self.table = _table(schema)
        self._own = sa.and_(
            self.table.c.run == NIL, self.table.c.shard == SOURCE_SHARD, self.table.c.number == 0
        )

    # -- making it -----------------------------------------------------------------------

    def statements(self, dialect: sa.Dialect) -> list[str]:
        """Return the DDL as text, for an owner who wants to read it first."""
        ddl: list[Any] = [CreateTable(self.table, if_not_exists=True)]
        ddl += [CreateIndex(index, if_not_exists=True) for index in self.table.indexes]
        if self.table.schema:
            ddl.insert(0, CreateSchema(self.table.schema, if_not_exists=True))
        return [str(item.compile(dialect=dialect)).strip() for item in ddl]

    def create(self, connection: sa.Connection) -> SourceRow:
        """Create the journal and the source's own row where they are missing."""
        if not self.exists(connection):
            for statement in self.statements(connection.dialect):
                connection.exec_driver_sql(statement)
        state = {"identity": str(uuid.uuid4()), "incarnation": 1, "version": VERSION, "relayed": 0}
        values = {"run": NIL, "shard": SOURCE_SHARD, "number": 0, "rows": 0, "counts": state}
        dialects.insert_missing(connection, self.table, values)
        return self.source(connection)

    def exists(self, connection: sa.Connection) -> bool:
        """Whether the table is there."""
        return sa.inspect(connection).has_table(self.table.name, schema=self.table.schema)

    # -- the source's own row ------------------------------------------------------------

    def source(self, connection: sa.Connection, *, lock: bool = False) -> SourceRow:
        """Read the source's own row.

        Raises:
            NotPrepared: the journal was never created here.

        """
        query = sa.select(self.table.c.counts).where(self._own)
        state = connection.scalar(query.with_for_update() if lock else query)
        if state is None:
            message = "the journal has no row of its data source; run `aegis migrate --datasource NAME`"
            raise NotPrepared(message)
        return SourceRow(**state)

    def standing(self, connection: sa.Connection) -> tuple[SourceRow, list[Waiting]]:
        """Read the source's own row and what waits beside it, in one statement and so in one view."""
        table, rows = self.table, self.table.alias()
        query = sa.select(
            rows.c.run, rows.c.shard, sa.func.min(rows.c.number).label("first"), sa.func.count().label("rows")
        ).where(rows.c.relayed_at.is_(None), rows.c.number > HEADER, rows.c.run != NIL)
        waiting = query.group_by(rows.c.run, rows.c.shard).subquery()
        both = sa.select(table.c.counts, *waiting.c).select_from(table.outerjoin(waiting, sa.true()))
        found = connection.execute(both.where(self._own)).all()
        if not found:
            return self.source(connection), []
        parts = [
            Waiting(run=row.run, shard=row.shard, first=int(row.first), rows=int(row.rows))
            for row in found
            if row.run is not None
        ]
        return SourceRow(**found[0].counts), parts

    def put_source(self, connection: sa.Connection, source: SourceRow) -> None:
        """Write the source's own row."""
        connection.execute(self.table.update().where(self._own).values(counts=dict(vars(source))))

    def begin_anew(self, connection: sa.Connection) -> tuple[int, int]:
        """Make this the journal of another database; return how many batches and holds were removed."""
        table = self.table
        self.source(connection, lock=True)
        holds = (table.c.run == NIL) & (table.c.shard == HOLD_SHARD)
        removed = connection.execute(table.delete().where(holds)).rowcount
        batches = connection.execute(table.delete().where(table.c.run != NIL, table.c.number > HEADER))
        connection.execute(table.delete().where(table.c.run != NIL))
        own = SourceRow(identity=str(uuid.uuid4()), incarnation=1, version=VERSION, relayed=0)
        self.put_source(connection, own)
        return batches.rowcount, removed

    # -- headers: fencing ----------------------------------------------------------------

    def take_over(self, connection: sa.Connection, run: str, shard: int, epoch: int) -> None:
        """Make `epoch` the only one that may write to the shard; waits for a batch in flight."""
        table = self.table
        made = dialects.insert_missing(
            connection,
            table,
            {
                "run": run,
                "shard": shard,
                "number": HEADER,
                "rows": 0,
                "epoch": epoch,
                "holds_version": 0,
                "counts": {},
            },
        )
        if not made:
            mine = self._shard(run, shard) & (table.c.number == HEADER) & (table.c.epoch < epoch)
            connection.execute(table.update().where(mine).values(epoch=epoch))

    def epochs(self, connection: sa.Connection, shard: int) -> dict[str, int]:
        """Return run → epoch of every run that has this shard."""
        table = self.table
        query = sa.select(table.c.run, table.c.epoch).where(table.c.run != NIL, table.c.shard == shard)
        rows = connection.execute(query.where(table.c.number == HEADER))
        return {run: int(epoch) for run, epoch in rows}

    def lock_header(self, connection: sa.Connection, run: str, shard: int) -> Header | None:
        """Read and lock the header until the transaction ends."""
        table = self.table
        query = sa.select(table.c.epoch, table.c.holds_version)
        query = query.where(self._shard(run, shard), table.c.number == HEADER).with_for_update()
        row = connection.execute(query).first()
        return row and Header(epoch=row.epoch, holds_version=row.holds_version)

    def bump_holds(self, connection: sa.Connection) -> None:
        """Tell every shard that the holds changed; waits for the batches in flight."""
        table = self.table
        headers = (table.c.run != NIL) & (table.c.number == HEADER)
        connection.execute(table.update().where(headers).values(holds_version=table.c.holds_version + 1))

    # -- batches -------------------------------------------------------------------------

    def append(self, connection: sa.Connection, entry: Entry) -> None:
        """Write the row of a batch."""
        connection.execute(self.table.insert().values(**vars(entry)))

    def last(self, connection: sa.Connection, run: str, shard: int) -> tuple[int, bytes | None]:
        """Return the number and the mark of the shard's newest row; (0, None) before the first."""
        table = self.table
        query = sa.select(table.c.number, table.c.mark).where(self._shard(run, shard))
        row = connection.execute(query.order_by(table.c.number.desc()).limit(1)).first()
        return (row.number, row.mark) if row else (0, None)

    def rows_gone(self, connection: sa.Connection, run: str) -> int:
        """Return the rows that a run has changed so far."""
        query = sa.select(sa.func.coalesce(sa.func.sum(self.table.c.rows), 0)).where(self.table.c.run == run)
        return int(connection.scalar(query) or 0)

    def along(self, connection: sa.Connection, run: str) -> Counter[str]:
        """Return the rows of other tables that a run has changed so far: `action:table` → rows."""
        query = sa.select(self.table.c.counts).where(self.table.c.run == run, self.table.c.number > HEADER)
        # The plain text, so that batches without such rows do not leave the database.
        query = query.where(sa.type_coerce(self.table.c.counts, sa.Text()) != "{}")
        total: Counter[str] = Counter()
        for counts in connection.scalars(query):
            total.update(counts)
        return total

    def batches(self, connection: sa.Connection, run: str) -> int:
        """Return how many batches of a run changed rows."""
        mine = (self.table.c.run == run) & (self.table.c.number > HEADER) & (self.table.c.rows > 0)
        return int(connection.scalar(sa.select(sa.func.count()).select_from(self.table).where(mine)) or 0)

    def ends(self, connection: sa.Connection, run: str) -> tuple[str, str, int] | None:
        """Return the ids of a run's first and last events, and the last one's number; None without one.

        An id tells when it was made, to the millisecond.
        """
        table = self.table
        query = sa.select(table.c.event_id, table.c.number)
        query = query.where(table.c.run == run, table.c.number > HEADER, table.c.event_id.is_not(None))
        order = (table.c.shard, table.c.number)
        first = connection.execute(query.order_by(*order).limit(1)).first()
        last = connection.execute(query.order_by(*(column.desc() for column in order)).limit(1)).first()
        return (first.event_id, last.event_id, last.number) if first and last else None

    def entries(self, connection: sa.Connection, run: str) -> Iterator[bytes]:
        """Yield the events of a run's batches, a few at a time."""
        table = self.table
        query = sa.select(table.c.entry).where(table.c.run == run, table.c.entry.is_not(None))
        yield from connection.execute(query, execution_options={"yield_per": 500}).scalars()

    def await_batches(self, connection: sa.Connection, run: str) -> None:
        """Wait for the batches of a run that are in flight; later ones wait for the caller's commit."""
        headers = (self.table.c.run == run) & (self.table.c.number == HEADER)
        connection.execute(sa.select(self.table.c.epoch).where(headers).with_for_update()).all()

    def unrelayed(self, connection: sa.Connection, limit: int) -> list[Entry]:
        """Return batches that are not known to be relayed, in the order of each shard."""
        table = self.table
        query = sa.select(*[table.c[name] for name in Entry.__dataclass_fields__])
        query = query.where(table.c.relayed_at.is_(None), table.c.number > HEADER, table.c.run != NIL)
        query = query.order_by(table.c.run, table.c.shard, table.c.number).limit(limit)
        return [Entry(**row) for row in connection.execute(query).mappings()]

    def mark_relayed(self, connection: sa.Connection, entries: Sequence[Entry], at: Any) -> int:
        """Note that these rows stand in the log; return how many were new to the note."""
        table, marked = self.table, 0
        for (run, shard), numbers in _spans(entries).items():
            span = table.c.number.between(min(numbers), max(numbers)) & table.c.relayed_at.is_(None)
            done = table.update().where(self._shard(run, shard), span).values(relayed_at=at)
            marked += connection.execute(done).rowcount
        return marked

    def mark_through(self, connection: sa.Connection, run: str, shard: int, number: int, at: Any) -> None:
        """Note that a shard's rows up to a number stand in the log."""
        table = self.table
        span = table.c.number.between(HEADER + 1, number) & table.c.relayed_at.is_(None)
        connection.execute(table.update().where(self._shard(run, shard), span).values(relayed_at=at))

    def numbers(self, connection: sa.Connection) -> dict[tuple[str, int], int]:
        """Return the number of the newest row of every shard of every run."""
        table = self.table
        query = sa.select(table.c.run, table.c.shard, sa.func.max(table.c.number)).where(table.c.run != NIL)
        rows = connection.execute(query.group_by(table.c.run, table.c.shard))
        return {(run, shard): int(number) for run, shard, number in rows}

    def event_ids(self, connection: sa.Connection, run: str) -> dict[tuple[int, int], str | None]:
        """Return (shard, number) → event of a run's batches; None for one that changed no row."""
        table = self.table
        query = sa.select(table.c.shard, table.c.number, table.c.event_id)
        rows = connection.execute(query.where(table.c.run == run, table.c.number > HEADER))
        return {(row.shard, int(row.number)): row.event_id for row in rows}

    def unmark(self, connection: sa.Connection, *, besides: Collection[str] = ()) -> int:
        """Take back every note of `mark_relayed`, but for some runs; return how many there were."""
        table = self.table
        others = table.c.run.not_in([NIL, *besides])
        noted = table.update().where(table.c.relayed_at.is_not(None), others)
        return connection.execute(noted.values(relayed_at=None)).rowcount

    def waiting_of(self, connection: sa.Connection, runs: Sequence[str]) -> set[str]:
        """Return those of the runs that have rows which are not relayed."""
        table = self.table
        waits = table.c.run.in_(runs) & table.c.relayed_at.is_(None) & (table.c.number > HEADER)
        return set(connection.scalars(sa.select(table.c.run).where(waits).distinct()))

    def forget(self, connection: sa.Connection, runs: Sequence[str]) -> int:
        """Remove every row of these runs; the caller knows that they are finished and in the log."""
        return connection.execute(self.table.delete().where(self.table.c.run.in_(runs))).rowcount

    def _shard(self, run: str, shard: int) -> sa.ColumnElement[bool]:
        return sa.and_(self.table.c.run == run, self.table.c.shard == shard)


def _spans(entries: Sequence[Entry]) -> dict[tuple[str, int], list[int]]:
    spans: dict[tuple[str, int], list[int]] = {}
    for entry in entries:
        spans.setdefault((entry.run, entry.shard), []).append(entry.number)
    return spans


@functools.cache
def _table(schema: str | None) -> sa.Table:
    # Made once, since a statement about another table object is compiled anew.
    table = sa.Table(
        "aegis_journal",
        sa.MetaData(),
        sa.Column("run", Id, primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer),
        sa.Column("holds_version", sa.Integer),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("counts", Plain, nullable=False),
        sa.Column("mark", Bytes),
        sa.Column("event_id", Id),
        sa.Column("entry", Bytes),
        sa.Column("sealed", Bytes),
        sa.Column("mac", Bytes),
        sa.Column("relayed_at", Moment),
        schema=schema,
    )
    waiting = table.c.relayed_at.is_(None)
    sa.Index("ix_aegis_journal_waiting", table.c.relayed_at, postgresql_where=waiting, sqlite_where=waiting)
    return table
