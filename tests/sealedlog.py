"""A sealed log of many events, with everything a verification looks at, and ways to change it by SQL."""

import datetime as dt
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.audit import events, head
from aegis.audit.events import Event
from aegis.audit.recorder import store
from aegis.audit.tlog import merkle, notes
from aegis.audit.tlog.notes import Checkpoint, FileSigner
from aegis.audit.tlog.trust import Policy
from aegis.audit.verification.findings import Finding, Report
from aegis.audit.verification.verify import verify
from aegis.db.columns import table_of
from aegis.db.engines import reading, writing
from aegis.db.tables import (
    AuditCheckpoint,
    AuditKey,
    AuditLeaf,
    AuditLog,
    AuditPending,
    AuditPruned,
    AuditState,
    AuditTile,
    AuditWitness,
    Base,
)
from aegis.operations.system import System, use
from tests.worlds import World

ORIGIN: Final = "logs.example.com/tests"
SEALED: Final = b"sealed details"
_TABLES: Final = [
    table_of(model)
    for model in (
        *(AuditLog, AuditPending, AuditState, AuditLeaf, AuditTile, AuditCheckpoint),
        *(AuditKey, AuditWitness, AuditPruned),
    )
]
NOW: Final = dt.datetime.now(dt.UTC)


@dataclass(kw_only=True)
class Log:
    """The log of a world."""

    world: World
    #: The first key, which was retired, as somebody has it who stole it in time.
    stolen: FileSigner
    #: Size of the last tree that it may have signed.
    bound: int
    size: int

    @property
    def system(self) -> System:
        """The world's system."""
        return self.world.system

    @property
    def policy(self) -> Policy:
        """Whom to trust, as it was published."""
        return self.system.published.policy()

    # -- looking -------------------------------------------------------------------------

    def verify(self, **words: Any) -> Report:
        """Verify, against what was published from here."""
        defaults = {"policy": self.policy, "published": self.system.published.checkpoint()}
        return verify(self.system.databases, **{**defaults, **words})

    def found(self, **words: Any) -> dict[str, list[Finding]]:
        """Return the findings by their kind."""
        kinds: dict[str, list[Finding]] = {}
        for finding in self.verify(**words).findings:
            kinds.setdefault(finding.kind.value, []).append(finding)
        return kinds

    def rows(self, query: sa.Select[*tuple[Any, ...]]) -> Sequence[Any]:
        """Read from the control database."""
        with reading(self.system.databases.control, "control database") as connection:
            return connection.execute(query).all()

    def event_at(self, leaf: int) -> str:
        """Return the id of a leaf's event."""
        ((event,),) = self.rows(sa.select(AuditLeaf.id).where(AuditLeaf.leaf == leaf))
        return str(event)

    def value(self, model: type[Base], column: str, **key: Any) -> Any:
        """Return one value."""
        table = table_of(model)
        ((value,),) = self.rows(sa.select(table.c[column]).where(_which(table, key)))
        return value

    # -- changing ------------------------------------------------------------------------

    def put(self, model: type[Base], column: str, value: Any, **key: Any) -> None:
        """Change one value by SQL."""
        table = table_of(model)
        self.do(sa.update(table).where(_which(table, key)).values({column: value}), rows=1)

    def flip(self, model: type[Base], column: str, place: int = 0, **key: Any) -> None:
        """Change one bit of stored bytes."""
        data = bytearray(self.value(model, column, **key))
        data[place] ^= 1
        self.put(model, column, bytes(data), **key)

    def do(self, *statements: Any, rows: int | None = None) -> None:
        """Do statements in one transaction, as somebody with the database's password would."""
        with writing(self.system.databases.control, "control database") as connection:
            for statement in statements:
                done = connection.execute(statement)
                # Of an insertion a driver may say nothing.
                assert rows is None or done.rowcount in {rows, -1}, "the change did not happen"

    def within(self, work: Callable[[sa.Connection], None]) -> None:
        """Do something in one transaction."""
        with writing(self.system.databases.control, "control database") as connection:
            work(connection)

    def drop(self, leaf: int) -> str:
        """Delete the event of a leaf; return its id."""
        event = self.event_at(leaf)
        self.do(sa.delete(AuditLog).where(AuditLog.id == event), rows=1)
        return event

    def rewrite(self, leaf: int, old: bytes, new: bytes, *, signer: FileSigner) -> None:
        """Change an entry, recompute the whole tree over it, and sign its head anew with a key."""
        event = self.event_at(leaf)
        entry = self.value(AuditLog, "entry", id=event).replace(old, new)
        self.put(AuditLog, "entry", entry, id=event)
        self.resign(signer)

    def resign(self, signer: FileSigner) -> None:
        """Recompute the tree over the entries that are there; its only checkpoint is of this key."""
        query = sa.select(AuditLog.entry).join(AuditLeaf, AuditLeaf.id == AuditLog.id)
        entries = [row.entry for row in self.rows(query.order_by(AuditLeaf.leaf))]
        ids = [row.id for row in self.rows(sa.select(AuditLeaf.id).order_by(AuditLeaf.leaf))]

        def work(connection: sa.Connection) -> None:
            for table in (AuditTile, AuditLeaf, AuditCheckpoint):
                connection.execute(sa.delete(table))
            head.append(connection, 0, list(zip(ids, entries, strict=True)))
            put_head(connection, merkle.root_of([merkle.leaf_hash(entry) for entry in entries]), signer)

        self.within(work)

    @property
    def signer(self) -> FileSigner:
        """The key that signs now."""
        with reading(self.system.databases.control, "control database") as connection:
            (signer,) = self.system.signing_keys.signers(connection, head.state(connection).origin)
        return signer

    def saved(self) -> Callable[[], None]:
        """Return what puts every table of the log back to what is in it now."""
        kept = {table: [dict(row._mapping) for row in self.rows(sa.select(table))] for table in _TABLES}  # noqa: SLF001 - SQLAlchemy's name of it

        def put_back(connection: sa.Connection) -> None:
            for table, rows in kept.items():
                connection.execute(sa.delete(table))
                if rows:
                    connection.execute(sa.insert(table), rows)

        return lambda: self.within(put_back)

    def store(self, *made: Event) -> None:
        """Store events that wait for their leaf."""
        self.within(lambda connection: store(connection, *made))


def put_head(connection: sa.Connection, root: bytes, signer: FileSigner) -> None:
    """Sign a root for the whole log, and keep it as the newest checkpoint."""
    state = head.state(connection)
    note = notes.sign(Checkpoint(origin=state.origin, size=state.size, root=root).text, [signer])
    head.put_checkpoint(connection, state.size, dt.datetime.now(dt.UTC), note)


def begin(world: World) -> Log:
    """Begin the log of a world, unless it has begun with it."""
    with reading(world.system.databases.control, "control database") as connection:
        begun = head.begun(connection)
    if begun is None:
        world.system.signing_keys.begin(ORIGIN, actor="tests")
    return Log(world=world, stolen=FileSigner(name="-", seed=b""), bound=0, size=0)


def build(world: World, count: int = 600) -> Log:
    """Seal so many events in three hours, and rotate the key; some more wait."""
    log, system = begin(world), world.system
    log.store(*make(count // 2))
    system.sequencer.seal()
    earlier(log, hours=2)
    log.stolen = log.signer
    system.signing_keys.rotate(actor="tests")
    log.store(*make(count // 4, first=count // 2))
    log.bound = system.sequencer.seal().size
    earlier(log, hours=1)
    old, _ = system.signing_keys.listed()
    system.signing_keys.retire(old.verifier.key_id.hex(), actor="tests")
    log.store(*make(count - count // 2 - count // 4, first=count // 2 + count // 4))
    log.size = system.sequencer.seal().size
    log.store(*make(3, first=count))
    return log


def make(count: int, *, first: int = 0, age: dt.timedelta = dt.timedelta(), **words: Any) -> list[Event]:
    """Compose events of several kinds: with sealed details or without, of a tenant or not."""
    return [
        events.compose(
            **{
                "action": "custom:note",
                "outcome": "success",
                "actor_ref": f"a1_{number % 7:032x}",
                "target_type": "user",
                "target_ref": f"s1_{number:032x}",
                "moment": NOW - age + dt.timedelta(seconds=number),
                "clear": {"rows": number},
                "tenant": "acme" if number % 3 else None,
                "correlation_id": events.uuid7() if number % 2 else None,
                "sealed": SEALED + bytes([number % 256]) if number % 4 else None,
                "sealed_with": f"s1_{number:032x}" if number % 4 else None,
                **words,
            }
        )
        for number in range(first, first + count)
    ]


def back_up(log: Log, request: pytest.FixtureRequest, folder: Path) -> Callable[[], None]:
    """Back the control database up; return what restores it."""
    world = log.world
    world.leave()
    if world.dialect == "sqlite":
        file, older = world.settings.home / "aegis.db", folder / "older.db"
        with sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool).connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(file, older)
    else:
        server, name = request.getfixturevalue("postgres_server"), str(world.control.url.database)
        server.create_database(f"{name}_older", name)
        request.addfinalizer(lambda: server.drop_database(f"{name}_older"))

    def restore() -> None:
        world.leave()
        if world.dialect == "sqlite":
            for left in world.settings.home.glob("aegis.db-*"):
                left.unlink()
            shutil.copyfile(older, file)
        else:
            server.drop_database(name)
            server.create_database(name, f"{name}_older")
        world.system = use(world.settings)

    return restore


def leaf_of(log: Log, number: int) -> int:
    """Return the leaf of the event that was made with this number."""
    query = sa.select(AuditLeaf.leaf).join(AuditLog, AuditLog.id == AuditLeaf.id)
    ((leaf,),) = log.rows(query.where(AuditLog.target_ref == f"s1_{number:032x}"))
    return int(leaf)


def earlier(log: Log, *, hours: int) -> None:
    """Make the newest checkpoint one of an earlier hour, so that it stays."""
    newest = sa.select(sa.func.max(AuditCheckpoint.size)).scalar_subquery()
    then = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
    ((size,),) = log.rows(sa.select(newest))
    log.do(sa.update(AuditCheckpoint).where(AuditCheckpoint.size == size).values(time=then), rows=1)


def _which(table: sa.Table, key: Mapping[str, Any]) -> sa.ColumnElement[bool]:
    return sa.and_(sa.true(), *(table.c[name] == value for name, value in key.items()))
