"""The live schema as a data map is laid over it, on each kind of database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.datamap.coverage import examine
from aegis.datamap.reading import parse_map
from aegis.datamap.starting import first_map
from aegis.db.catalog import Catalog, read_catalog
from aegis.db.engines import reading
from tests.worlds import EACH_DATABASE, World, on

TABLES = """
CREATE TABLE orgs (id INT NOT NULL, region INT NOT NULL, name VARCHAR(50) DEFAULT 'a:b',
    PRIMARY KEY (region, id));
CREATE TABLE users (id INT PRIMARY KEY, region INT, org_id INT, email VARCHAR(90) NOT NULL, born DATE,
    boss_id INT REFERENCES users (id) ON DELETE SET NULL, mood {mood}, extra JSON, raw {bytes},
    score DECIMAL(9, 2), loud VARCHAR(90) GENERATED ALWAYS AS (upper(email)) STORED,
    CONSTRAINT one_email UNIQUE (email), CONSTRAINT of_org FOREIGN KEY (region, org_id)
    REFERENCES orgs (region, id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE notes (id INT PRIMARY KEY, user_id INT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    body TEXT);
CREATE TABLE marks (note_id INT REFERENCES notes (id), by_id INT REFERENCES users (id),
    PRIMARY KEY (note_id, by_id));
CREATE TABLE loose (at INT, word TEXT);
CREATE VIEW everyone AS SELECT * FROM users;
CREATE UNIQUE INDEX in_org ON users (org_id, region, born);
"""
WORDS = {
    "sqlite": {"mood": "VARCHAR(9)", "bytes": "BLOB"},
    "postgresql": {"mood": "mood", "bytes": "BYTEA"},
    "mariadb": {"mood": "ENUM('good', 'bad')", "bytes": "BLOB"},
}
MORE_OF_POSTGRESQL = """
CREATE DOMAIN label AS TEXT;
CREATE DOMAIN amount AS INT;
CREATE TABLE odd (user_id INT REFERENCES users DEFERRABLE INITIALLY DEFERRED, ip INET, tags TEXT[],
    marks INT[], moods mood[], l label, a amount, t TSTZRANGE, x XML, v TSVECTOR, at TIMESTAMPTZ,
    u UUID, i INTERVAL);
CREATE UNIQUE INDEX some_odd ON odd (u) WHERE u IS NOT NULL;
CREATE TABLE visits (id INT, day DATE, user_id INT REFERENCES users, page TEXT, PRIMARY KEY (id, day))
    PARTITION BY RANGE (day);
CREATE TABLE visits_24 PARTITION OF visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE clicks (id INT PRIMARY KEY, visit INT, day DATE, FOREIGN KEY (visit, day) REFERENCES visits);
CREATE SCHEMA hr;
CREATE SCHEMA odd;
CREATE TABLE "odd.one" (id INT PRIMARY KEY, "a.b" INT REFERENCES users);
CREATE TABLE odd.one (id INT PRIMARY KEY);
CREATE TABLE hr."Staff List" (id INT PRIMARY KEY, "User" INT REFERENCES users);
"""


def build(world: World) -> None:
    """Create the application's tables."""
    if world.dialect == "postgresql":
        world.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
    script = TABLES.format_map(WORDS[world.dialect])
    script += MORE_OF_POSTGRESQL if world.dialect == "postgresql" else ""
    for statement in filter(str.strip, script.split(";")):
        world.execute(statement.replace(":", r"\:"))


@contextmanager
def looking(world: World) -> Iterator[tuple[sa.Connection, list[str]]]:
    """Open a look at the source, and note each statement of it."""
    engine = world.system.databases.source(world.datasource)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    with reading(engine, "app") as connection:
        yield connection, statements
    sa.event.remove(engine, "before_cursor_execute", note)


def look(world: World) -> tuple[Catalog, int]:
    """Return the live schema, and how many statements that took."""
    with looking(world) as (connection, statements):
        return read_catalog(connection), len(statements)


@on(*EACH_DATABASE)
def test_the_live_schema(world: World) -> None:
    """Tables with keys, types, unique keys and references; no views, and nothing of Aegis's own."""
    build(world)
    catalog, statements = look(world)
    plain = {"orgs", "users", "notes", "marks", "loose"}
    odd = (
        {"odd", "visits", "clicks", "hr.Staff List", '"odd.one"', "odd.one"}
        if world.dialect == "postgresql"
        else set()
    )
    assert set(catalog.tables) == plain | odd

    users, orgs = catalog.tables["users"], catalog.tables["orgs"]
    assert (users.key, orgs.key, catalog.tables["loose"].key) == (("id",), ("region", "id"), ())
    column = users.table.c
    assert (column.email.nullable, column.born.nullable, column.loud.computed is None) == (False, True, False)
    default: Any = orgs.table.c.name.server_default
    assert "a:b" in str(default.arg)
    mood = {"mood"} if world.dialect == "sqlite" else set()
    assert set(users.free_columns) == {"email", "extra", "raw"} | mood
    assert users.tells_apart(["email"])
    assert users.tells_apart(["id", "born"])
    assert not users.tells_apart(["born"])
    assert users.indexed(["region", "org_id"])
    assert not users.indexed(["born"])
    assert catalog.tables["marks"].indexed(["note_id"])

    found = {(r.child, r.columns): r for r in catalog.references}
    of_org = found["users", ("region", "org_id")]
    assert (of_org.parent, of_org.parent_columns) == ("orgs", ("region", "id"))
    assert (of_org.on_delete, of_org.on_update) == ("CASCADE", "CASCADE")
    assert found["users", ("boss_id",)].on_delete == "SET NULL"
    assert found["marks", ("by_id",)].on_delete in {"NO ACTION", "RESTRICT"}
    assert found["marks", ("by_id",)].deferrable is (world.dialect == "sqlite")
    assert catalog.find("nothing") is None
    assert (catalog.find("USERS") is None) is (world.dialect == "postgresql")

    for number in range(3):
        world.execute(
            f"CREATE TABLE more_{number} (id INT PRIMARY KEY, user_id INT REFERENCES users (id), t TEXT)"
        )
    again, statements_then = look(world)
    assert len(again.tables) == len(catalog.tables) + 3
    if world.dialect == "postgresql":
        assert statements_then <= statements < 25
        of_postgresql(catalog)

    text = first_map(again, "app")
    open_there = examine(parse_map(text, "m"), again).undecided
    assert {item.table for item in open_there} >= {"user", "users", "notes", "marks", "more_0"}
    of_the_whole(again, statements)


def of_postgresql(catalog: Catalog) -> None:
    """Partitions, other schemas, domains, arrays, and types that are not known."""
    found = {(r.child, r.columns): r for r in catalog.references}
    assert catalog.find("public.users") is catalog.tables["users"]
    assert [r.parent for r in catalog.references if r.child == "visits"] == ["users"]
    assert [r.parent for r in catalog.references if r.child == "clicks"] == ["visits"]
    staff = found["hr.Staff List", ("User",)]
    assert (staff.parent, catalog.tables["hr.Staff List"].table.schema) == ("users", "hr")
    assert found["odd", ("user_id",)].deferrable
    odd = catalog.tables["odd"]
    assert set(odd.free_columns) == {"ip", "tags", "l", "x", "v"}
    assert not odd.tells_apart(["u"])


def of_the_whole(catalog: Catalog, statements: int) -> None:
    """A map of it that leaves nothing open."""
    assert statements > 0
    ways = {
        "'\"odd.one\"'": "delete",
        "odd": "nullify",
        "visits": "delete",
        "clicks": "delete",
        "hr.Staff List": "fail",
    }
    text = "subjects: {user: {table: users, key: id, identifiers: {email: email}}}\ntables:\n" + "".join(
        f"  {name}: {body}\n"
        for name, body in {
            "users": "{row: anonymize, columns: {email: surrogate, extra: null, raw: null, mood: preserve}}",
            "users.boss_id": "{row: nullify}",
            "notes": "{row: delete, via: user_id}",
            "marks": "{row: delete, shared: delete, via: [note_id, by_id]}",
            **{f"more_{number}": "{row: delete}" for number in range(3)},
            **{name: f"{{row: {row}}}" for name, row in ways.items() if name.strip("'") in catalog.tables},
            "odd.user_id": "{row: nullify, columns: {ip: null, tags: null, l: null, x: null, v: null}}",
        }.items()
        if name.strip("'") in catalog.tables or name.partition(".")[0] in catalog.tables
    )
    examination = examine(parse_map(text, "m"), catalog)
    assert examination.undecided == ()
    depths = {name: reached.depth for name, reached in examination.coverages["user"].tables.items()}
    assert (depths["users"], depths["notes"], depths["marks"]) == (0, 1, 1)
    assert "orgs" not in depths


@on("mariadb-one")
def test_another_database_that_refers_here(world: World, request: pytest.FixtureRequest) -> None:
    """MariaDB: its tables are named with it; those that keep their history are tables too."""
    world.execute("CREATE TABLE users (id INT PRIMARY KEY)")
    here = world.app.url.database
    away = f"{here}_away"
    request.addfinalizer(lambda: world.execute(f"DROP DATABASE IF EXISTS {away}"))
    world.execute(f"CREATE DATABASE {away}")
    world.execute(
        f"CREATE TABLE {away}.cards (id INT PRIMARY KEY, u INT, FOREIGN KEY (u) REFERENCES {here}.users (id))"
    )
    world.execute("CREATE TABLE past (u INT REFERENCES users (id)) WITH SYSTEM VERSIONING")
    catalog, _ = look(world)
    assert set(catalog.tables) == {"users", "past", f"{away}.cards"}
    text = "subjects: {user: {table: users, key: id}}\ntables: {users: {row: delete}}\n"
    told = {item.table: item.cure for item in examine(parse_map(text, "m"), catalog).undecided}
    assert told == {
        "past": "past: {row: TODO, via: u}",
        f"{away}.cards": f"{away}.cards: {{row: TODO, via: u}}",
    }
    world.execute(f"DROP DATABASE {away}")
