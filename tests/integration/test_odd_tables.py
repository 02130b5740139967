"""Tables that are odd but real: generated columns, names that need quotes, partitions, many columns."""

import datetime as dt
from typing import Any, Final

import pytest
import sqlalchemy as sa

from aegis.errors import UnsafeTable
from api import archives, privacy
from tests.worlds import ACTOR, DAY, EACH_DATABASE, World, on

#: The most columns that a table can have: SQLite as it is built, PostgreSQL, InnoDB.
_WIDE: Final = {"sqlite": 2_000, "postgresql": 1_600, "mariadb": 1_017}
_SMALL: Final = {"sqlite": "SMALLINT", "postgresql": "BOOLEAN", "mariadb": "TINYINT"}


def _quoted(world: World, name: str) -> str:
    return world.app.dialect.identifier_preparer.quote_identifier(name)


def _aged(
    world: World, table: str, *, id_: str = "id", clock: str = "created_at", count: bool = True, **more: Any
) -> None:
    """Insert rows 0 to 59: the first 40 are expired, by a day and more."""
    now = dt.datetime.now(dt.UTC)
    ages = [31 + n for n in range(40)] + [n + 1 for n in range(20)]
    rows = [{id_: n, clock: now - age * DAY, **more} for n, age in enumerate(ages)]
    quote = world.app.dialect.identifier_preparer.quote_identifier
    names = ", ".join(quote(name) for name in rows[0])
    values = ", ".join(f":p{place}" for place in range(len(rows[0])))
    given = [{f"p{place}": world.value(value) for place, value in enumerate(row.values())} for row in rows]
    with world.app.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), given)  # noqa: S608
    if count:
        world.born(table, len(rows))


def _expect_deleted(
    world: World, label: str, table: str = "", *, id_: str = "id", size: int = 7, **words: Any
) -> None:
    """Delete by a policy in batches of a few rows; exactly the expired rows go."""
    world.policy("p", label, **words)
    world.batches_of(size)
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, 40)
    assert world.all(f"SELECT {id_} FROM {table or label} ORDER BY 1") == list(range(40, 60))  # noqa: S608


def _expect_masked(
    world: World, label: str, column: str, table: str = "", *, id_: str = "id", size: int = 7
) -> None:
    """Anonymize by a policy in batches of a few rows; exactly the expired rows are masked."""
    world.policy("p", label, action="anonymize", masks={column: "null"})
    world.batches_of(size)
    report = world.enforce()
    world.masked[table or label] += 40
    assert (report["applied"], report["rows"]) == (True, 40)
    query = f"SELECT {id_} FROM {table or label} WHERE {_quoted(world, column)} IS NULL ORDER BY 1"  # noqa: S608
    assert world.all(query) == list(range(40))


@on(*EACH_DATABASE)
@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_generated_columns(world: World, action: str) -> None:
    """A column that the database computes, stored or at each look, is no obstacle; it follows a mask."""
    stored = "mail_length INT GENERATED ALWAYS AS (length(mail)) STORED"
    virtual = "" if world.dialect == "postgresql" else ", twice INT GENERATED ALWAYS AS (id * 2) VIRTUAL"
    world.create("t", f"id INT PRIMARY KEY, mail {{text}}, created_at {{instant}}, {stored}{virtual}")
    _aged(world, "t", mail="x@y")
    if action == "delete":
        _expect_deleted(world, "t")
    else:
        _expect_masked(world, "t", "mail")
        assert world.count("t", "mail_length IS NULL") == 40


@on(*EACH_DATABASE)
@pytest.mark.parametrize("action", ["delete", "anonymize"])
@pytest.mark.parametrize("name", ["Order", "User Events", "select", "table-1"])
def test_names_that_need_quotes(world: World, name: str, action: str) -> None:
    """Mixed case, spaces and reserved words, of the table and of its columns."""
    table, key, clock, text = (_quoted(world, part) for part in (name, "Id", "select", "desc"))
    world.create(table, f"{key} INT PRIMARY KEY, {clock} {{instant}}, {text} {{text}}")
    world.execute(f"CREATE INDEX by_clock ON {table} ({clock})")
    _aged(world, table, id_="Id", clock="select", desc="x")
    words: dict[str, Any] = {"timestamp_column": "select"}
    if action == "delete":
        _expect_deleted(world, name, table, id_=key, filter_sql=f"{_ansi('desc')} = 'x'", **words)
    else:
        world.policy("p", name, action="anonymize", masks={"desc": "null"}, **words)
        world.batches_of(7)
        assert world.enforce()["rows"] == 40
        world.masked[table] += 40
        assert world.all(f"SELECT {key} FROM {table} WHERE {text} IS NULL ORDER BY 1") == list(range(40))  # noqa: S608


def _ansi(name: str) -> str:
    return f'"{name}"'


@on("postgresql-one", "mariadb-one")
@pytest.mark.parametrize("action", ["delete", "anonymize"])
def test_a_table_elsewhere(world: World, action: str) -> None:
    """A table of another schema, or of another database of the same server, is named with it."""
    elsewhere = f"Shop {world.app.url.database}" if world.dialect == "mariadb" else "Shop"
    quoted = _quoted(world, elsewhere)
    world.execute(f"CREATE {'DATABASE' if world.dialect == 'mariadb' else 'SCHEMA'} {quoted}")
    table = f"{quoted}.orders"
    world.create(table, "id INT PRIMARY KEY, mail {text}, created_at {instant}")
    world.execute("CREATE TABLE orders (id INT PRIMARY KEY)")
    _aged(world, table, mail="x")
    world.execute("INSERT INTO orders VALUES (1), (2)")
    if action == "delete":
        _expect_deleted(world, f"{elsewhere}.orders", table)
    else:
        _expect_masked(world, f"{elsewhere}.orders", "mail", table)
    assert world.count("orders") == 2


@on(*EACH_DATABASE)
@pytest.mark.parametrize("action", ["anonymize", "archive"])
def test_as_many_columns_as_the_database_allows(world: World, action: str) -> None:
    """Masked; or archived, deleted and brought back with the value of every column."""
    names = [f"c{n}" for n in range(_WIDE[world.dialect] - 3)]
    more = ", ".join(f"{name} {_SMALL[world.dialect]}" for name in names)
    world.create("t", f"id INT PRIMARY KEY, mail {{text}}, created_at {{instant}}, {more}")
    _aged(world, "t", mail="x")
    values = ", ".join(f"{name} = (id % {2 + n % 7} = 0)" for n, name in enumerate(names))
    world.execute(f"UPDATE t SET {values}")  # noqa: S608
    if action == "anonymize":
        _expect_masked(world, "t", "mail", size=30)
        return
    before = world.content("t")
    _expect_deleted(world, "t", size=30, archive={"keep_days": 14})
    (archive,) = archives.list_archives()
    privacy.disable_retention_policy("p", ACTOR)
    back = archives.restore_archive(archive["id"], actor=ACTOR, dry_run=False)
    world.came_back("t", back["rows"])
    assert (back["rows"], world.content("t")) == (40, before)


@on(*EACH_DATABASE)
def test_an_empty_table(world: World) -> None:
    """A run over no rows at all is done, with nothing."""
    world.safety_events()
    world.policy()
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (True, 0)


@on("postgresql-one", "mariadb-one")
@pytest.mark.parametrize("action", ["delete", "anonymize"])
@pytest.mark.parametrize("way", ["range", "list"])
def test_partitions(world: World, way: str, action: str) -> None:
    """A table in partitions by range or by list is one table; rows go out of each."""
    columns = "id INT NOT NULL, part INT NOT NULL, mail {text}, created_at {instant}, PRIMARY KEY (id, part)"
    if world.dialect == "postgresql":
        world.create("t", columns, f"PARTITION BY {way} (part)")
        first = "FROM (0) TO (1)" if way == "range" else "IN (0)"
        world.execute(f"CREATE TABLE t_first PARTITION OF t FOR VALUES {first}")
        world.execute("CREATE TABLE t_rest PARTITION OF t DEFAULT")
    else:
        first, rest = ("LESS THAN (1)", "LESS THAN (9)") if way == "range" else ("IN (0)", "IN (1)")
        parts = f"(PARTITION a VALUES {first}, PARTITION b VALUES {rest})"
        world.create("t", columns, f"PARTITION BY {way} (part) {parts}")
    _aged(world, "t", part=0, mail="x")
    world.execute("UPDATE t SET part = 1 WHERE id % 3 = 0")
    if action == "delete":
        _expect_deleted(world, "t")
    else:
        _expect_masked(world, "t", "mail")


@on("postgresql-one")
def test_one_partition_by_itself(world: World) -> None:
    """A policy may name one partition; the rows of its neighbours stay."""
    world.execute("CREATE TABLE t (id INT PRIMARY KEY, created_at TIMESTAMPTZ) PARTITION BY RANGE (id)")
    world.execute("CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (10)")
    world.execute("CREATE TABLE t_rest PARTITION OF t DEFAULT")
    _aged(world, "t", count=False)
    world.born("t_low", 10)
    world.policy("p", "t_low")
    assert world.enforce()["rows"] == 10
    assert world.ids("t") == list(range(10, 60))


@on("postgresql-one")
def test_inheritance(world: World) -> None:
    """A parent by inheritance is refused with its children's names; a child is a table like any other."""
    world.execute("CREATE TABLE parent (id INT PRIMARY KEY, created_at TIMESTAMPTZ)")
    world.create("child", "PRIMARY KEY (id)", "INHERITS (parent)")
    _aged(world, "child")
    with pytest.raises(UnsafeTable, match="child"):
        privacy.register_retention_policy("q", "parent", retention_days=30)
    world.policy("p", "child")
    world.batches_of(7)
    assert world.enforce()["rows"] == 40
    assert world.ids("child") == list(range(40, 60))


@on("postgresql-one")
def test_a_child_that_comes_later(world: World) -> None:
    """A table that got a child since its approval is left alone, for the child's rows would go with it."""
    world.safety_events()
    world.events(range(10), 60)
    world.policy()
    world.execute("CREATE TABLE child (PRIMARY KEY (id)) INHERITS (safety_events)")
    report = world.enforce()
    assert (report["applied"], report["rows"]) == (False, 0)
    assert "child" in report["reason"]


@on("postgresql-one")
@pytest.mark.parametrize("kind", ["ALWAYS", "BY DEFAULT"])
def test_identity_columns(world: World, kind: str) -> None:
    """A key that the database counts by itself."""
    world.create("t", f"id INT GENERATED {kind} AS IDENTITY PRIMARY KEY, created_at {{instant}}")
    now = "now() - make_interval(days => CASE WHEN n <= 40 THEN 31 + n ELSE 1 END)"
    world.execute(f"INSERT INTO t (created_at) SELECT {now} FROM generate_series(1, 60) n")  # noqa: S608
    world.born("t", 60)
    world.policy("p", "t")
    world.batches_of(7)
    assert world.enforce()["rows"] == 40
    assert world.ids("t") == list(range(41, 61))
