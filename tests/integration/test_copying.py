"""Rows by COPY: what is yielded is what goes, and an error on the way leaves everything as it was."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final

import pytest
import sqlalchemy as sa

from aegis.db import copying, transactions
from aegis.db.engines import writing
from aegis.db.rowlines import Shape, copied, gives_what_it_deletes, read_lines, shape_of, take_lines
from aegis.db.staging import staged
from aegis.errors import Passing
from tests.worlds import World, on

COLUMNS: Final = (
    'id INT PRIMARY KEY, "50% \\ off" TEXT, at TIMESTAMPTZ, b BYTEA, tags TEXT[], '
    "twice INT GENERATED ALWAYS AS (id * 2) STORED"
)
#: A row in each encoding that was ever written, for ever.
ROW: Final = (
    "INSERT INTO t VALUES (1, E'tab\\t line\\n back\\\\slash \\r \u00fc \\\\N', "
    "'2020-03-29 02:30:00.000001+00', '\\x00ff', ARRAY['a,b', NULL, E'\"\\\\'])"
)
AS_COPY: Final = (
    b"1\ttab\\t line\\n back\\\\slash \\r \xc3\xbc \\\\N\t2020-03-29 02:30:00.000001+00\t\\\\x00ff"
    b'\t{"a,b",NULL,"\\\\"\\\\\\\\"}'
)
AS_TEXT: Final = (
    b'["1","tab\\t line\\n back\\\\slash \\r \xc3\xbc \\\\N","2020-03-29 02:30:00.000001+00","\\\\x00ff",'
    b'"{\\"a,b\\",NULL,\\"\\\\\\"\\\\\\\\\\"}"]'
)


def table(world: World, rows: int = 0) -> sa.Table:
    """Create the table."""
    with world.app.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE t ({COLUMNS.replace('%', '%%')})")
    world.watch("t")
    world.execute(f"INSERT INTO t (id) SELECT n FROM generate_series(1, {rows}) AS g (n)")  # noqa: S608
    world._born["t"] += rows  # noqa: SLF001 - inserted in its own way
    return sa.Table("t", sa.MetaData(), autoload_with=world.app)


def stopped_on_the_way(engine: sa.Engine, made: sa.Table) -> None:
    """Begin to take rows, and be interrupted."""
    with writing(engine, "here") as connection, closing(take_lines(connection, made, sa.true())) as lines:
        next(lines)
        raise KeyboardInterrupt


def take_all(engine: sa.Engine, made: sa.Table) -> None:
    """Take every row, with little patience for locks."""
    with writing(engine, "here") as connection:
        transactions.begin_work(connection, lock_ms=10, statement_ms=9_000)
        list(take_lines(connection, made, sa.true()))


@pytest.fixture
def connection(world: World) -> Iterator[sa.Connection]:
    """A transaction that is rolled back."""
    with world.app.connect() as opened, opened.begin() as transaction:
        opened.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")
        yield opened
        transaction.rollback()


@on("postgresql-one")
class TestLines:
    """Every encoding that was ever written can be read."""

    def test_what_is_written_now(self, world: World, connection: sa.Connection) -> None:
        """One row, byte for byte, read and deleted alike."""
        made = table(world)
        connection.exec_driver_sql(ROW)
        assert b"".join(read_lines(connection, made, sa.true())) == AS_COPY + b"\n"
        assert b"".join(take_lines(connection, made, made.c.id.in_([1, 2]))) == AS_COPY + b"\n"

    @pytest.mark.parametrize(("encoding", "line"), [("copy", AS_COPY), ("text", AS_TEXT)])
    def test_what_was_ever_written(
        self, world: World, connection: sa.Connection, encoding: str, line: bytes
    ) -> None:
        """It makes the same row again."""
        made = table(world)
        with staged(connection, made, shape_of(connection, made)) as stage:
            assert stage.load([line], encoding) == 1
            assert stage.insert() == 1
        assert b"".join(read_lines(connection, made, sa.true())) == AS_COPY + b"\n"


@on("postgresql-one")
class TestTaken:
    """What is yielded is what goes."""

    def test_more_rows_than_are_handed_on_together(self, world: World, connection: sa.Connection) -> None:
        """Every line is whole, none is missing, and the rows are gone."""
        made = table(world, 2 * copying._TOGETHER + 1)  # noqa: SLF001 - its own limit
        pieces = list(take_lines(connection, made, made.c.id > 1))
        assert all(piece.endswith(b"\n") for piece in pieces)
        lines = b"".join(pieces).split(b"\n")[:-1]
        assert sorted(int(line.split(b"\t")[0]) for line in lines) == [*range(2, 202)]
        assert connection.scalar(sa.select(sa.func.count()).select_from(made)) == 1

    def test_closed_on_the_way(self, world: World) -> None:
        """Nothing of it is committed, and the connection serves the next one."""
        made = table(world, 50_000)
        engine = world.system.databases.source(world.datasource)
        with pytest.raises(KeyboardInterrupt):
            stopped_on_the_way(engine, made)
        with writing(engine, "here") as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(made)) == 50_000

    def test_a_row_that_is_locked(self, world: World) -> None:
        """The driver's error is Aegis's own, as from every other statement: it is tried again."""
        made = table(world, 2)
        engine = world.system.databases.source(world.datasource)
        with world.app.begin() as other:
            other.execute(sa.update(made).where(made.c.id == 2).values(id=2))
            with pytest.raises(Passing, match="lock"):
                take_all(engine, made)
        assert world.count("t") == 2

    def test_no_more_rights_than_a_deletion_needs(self, world: World, connection: sa.Connection) -> None:
        """Unlike locking the rows first, it takes no right to UPDATE."""
        made = table(world, 3)
        for statement in ("CREATE ROLE taker", "GRANT SELECT, DELETE ON t TO taker", "SET LOCAL ROLE taker"):
            connection.exec_driver_sql(statement)
        assert b"".join(take_lines(connection, made, sa.true())).count(b"\n") == 3

    def test_a_rule(self, world: World, connection: sa.Connection) -> None:
        """PostgreSQL would not copy out what a rule makes of the deletion, so that it is not tried."""
        made = table(world)
        assert gives_what_it_deletes(connection, made)
        connection.exec_driver_sql("CREATE RULE keep AS ON DELETE TO t WHERE OLD.id = 1 DO INSTEAD NOTHING")
        assert not gives_what_it_deletes(connection, made)


@on("sqlite-one", "mariadb-one")
def test_elsewhere(world: World) -> None:
    """Rows are read before they go."""
    world.create("t", "id INT PRIMARY KEY")
    with world.app.connect() as connection:
        assert not gives_what_it_deletes(connection, sa.Table("t", sa.MetaData(), autoload_with=connection))


@pytest.mark.parametrize(
    ("written", "live", "fits"),
    [("copy", "copy", True), ("text", "copy", True), ("values", "copy", False), ("copy", "values", False)],
)
def test_which_archives_a_database_reads(written: str, live: str, fits: bool) -> None:  # noqa: FBT001
    """What it writes, and what it has ever written; nothing of another kind, or of other columns."""
    shape = Shape(encoding=live, columns=(("id", "INTEGER"),), key=("id",))
    assert replace(shape, encoding=written).fits(shape) is fits
    assert not replace(shape, encoding=written, columns=(("id", "TEXT"),)).fits(shape)


def test_a_null_of_the_old_encoding() -> None:
    """It is told from the word and from nothing."""
    assert copied(rb'[null,"\\N","NULL",""]') == rb"\N" + b"\t" + rb"\\N" + b"\tNULL\t"
