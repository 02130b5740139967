"""The residual scan on each database: a person is found wherever a text can stand, and nobody else is."""

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pytest
import redis
import sqlalchemy as sa
from redis.backoff import NoBackoff
from redis.retry import Retry

from aegis.db import blocks
from aegis.db.engines import reading
from aegis.db.searchable import read_ground
from aegis.embedded import EmbeddedRedis
from aegis.erasure.residual.finding import Sought
from aegis.erasure.residual.hits import Hit, Hits, Standing, Verdict
from aegis.erasure.residual.needles import Needle, needles_of
from aegis.erasure.residual.scanning import Mark, Scan, Scanned
from aegis.erasure.residual.stores import own_scans, search_redis
from aegis.errors import Refused, TooLong, Unreachable, UnsafeTable
from tests.worlds import EACH_DATABASE, World, on

EMAIL: Final = "\u00c4nne_100%@x.de"
NAME: Final = "\u00c4nne O'Neill \"\\ \U0001f600"
PHONE: Final = "+49 30 1234-5678"
PERSON: Final = {"email": EMAIL, "phone": PHONE, "name": NAME}
#: Of each kind of column, what is put into it; `:v` is the text.
POSTGRESQL: Final = {
    "text": "CAST(:v AS text)",
    "varchar(200)": "CAST(:v AS text)",
    "char(200)": "CAST(:v AS text)",
    "json": "json_build_object('a', json_build_array(CAST(:v AS text)))",
    "jsonb": "jsonb_build_object(CAST(:v AS text), 1)",
    "text[]": "ARRAY['x', CAST(:v AS text), NULL]",
    "bytea": "convert_to(CAST(:v AS text), 'UTF8')",
    "bytea[]": "ARRAY[convert_to(CAST(:v AS text), 'UTF8')]",
    "pair": "ROW(1, CAST(:v AS text))::pair",
    "pair[]": "ARRAY[ROW(1, CAST(:v AS text))::pair]",
    "named": "CAST(:v AS text)",
    "name": "CAST(:v AS text)",
    "jsonpath": "CAST(to_json(CAST(:v AS text))::text AS jsonpath)",
}
MARIADB: Final = {
    "TEXT": ":v",
    "VARCHAR(200)": ":v",
    "CHAR(200)": ":v",
    "LONGTEXT": ":v",
    "JSON": "JSON_OBJECT('a', JSON_ARRAY(:v))",
    "BLOB": ":v",
    "VARBINARY(200)": ":v",
    "BINARY(200)": ":v",
}
SQLITE: Final = dict.fromkeys(
    ("TEXT", "VARCHAR(9)", "INTEGER", "REAL", "NUMERIC", "BLOB", "DATE", "BOOLEAN", "WHATEVER", ""), ":v"
)
KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "postgresql": POSTGRESQL,
    "mariadb": MARIADB,
    "sqlite": SQLITE,
}
NUMBERS: Final = {
    "postgresql": ("bigint", "numeric", "numeric(20,2)"),
    "mariadb": ("BIGINT", "DECIMAL(20,2)"),
}
Rows = dict[tuple[str, str, str], int]


def scan(world: World, needles: Sequence[Needle], **words: Any) -> Scan:
    """Return a scan of the application's database."""
    words = {"digest": lambda value: f"digest of {len(value)}", **words}
    return Scan(world.system.databases.source(world.datasource), "data source", Sought(needles), **words)


def found(world: World, people: Sequence[Mapping[str, Any]] = (PERSON,), **words: Any) -> list[Hit]:
    """Return what a scan finds of some persons."""
    needles = [needle for person, it in enumerate(people) for needle in needles_of(person, it)]
    hits = Hits()
    for part in scan(world, needles, **words).run():
        hits.add(part.hits)
    return list(hits)


def counted(hits: Sequence[Hit], verdict: Verdict | None = None) -> Rows:
    """Return rows by table, column and identifier."""
    return {
        (hit.table, hit.column, hit.identifier): hit.rows
        for hit in hits
        if verdict is None or hit.verdict is verdict
    }


def plant(world: World, kinds: Mapping[str, str], values: Sequence[str]) -> None:
    """Create a table with a column of each kind, and a row for each value."""
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(kinds))
    world.execute(f"CREATE TABLE planted (id INT PRIMARY KEY, {columns})")
    for number, value in enumerate(values):
        places = ", ".join(kinds.values())
        world.execute(f"INSERT INTO planted VALUES ({number}, {places})", v=value)  # noqa: S608


@on(*EACH_DATABASE)
def test_every_kind_of_column(world: World) -> None:
    """Text, documents and their keys, lists, rows in a column, bytes: all is searched."""
    kinds = KINDS[world.dialect]
    if world.dialect == "postgresql":
        world.execute("CREATE TYPE pair AS (n int, t text)")
        world.execute("CREATE DOMAIN named AS varchar(200) CHECK (VALUE <> '')")
    others = ["\u00c4nne_1000@x.de", "\u00c4nneX100%@x.de", "nobody", "O''Neill"]
    plant(world, kinds, [EMAIL, NAME, f"{EMAIL} and\n{NAME}", EMAIL.upper(), *others])
    columns = [f"c{number}" for number in range(len(kinds))]
    rows = counted(found(world))
    assert rows == {
        **{("planted", column, "email"): 3 for column in columns},
        **{("planted", column, "name"): 2 for column in columns},
    }


@on("postgresql-one", "mariadb-one")
def test_digits_in_columns_of_numbers(world: World) -> None:
    """A telephone number is found where an application keeps its digits."""
    kinds = NUMBERS[world.dialect]
    plant(
        world,
        dict.fromkeys(kinds, "CAST(:v AS DECIMAL(20))"),
        ["493012345678", "4930123456789", "3012345678"],
    )
    assert counted(found(world)) == {("planted", f"c{n}", "phone"): 2 for n in range(len(kinds))}


@on("postgresql-one")
def test_types_of_extensions(world: World) -> None:
    """Where they can be had: text that ignores case, pairs, XML; and the words of a search index."""
    with world.app.connect() as connection:
        have = connection.scalars(sa.text("SELECT name FROM pg_available_extensions")).all()
    wanted = {"citext": "CAST(:v AS text)", "hstore": "hstore('k', :v)"}
    kinds = {kind: how for kind, how in wanted.items() if kind in have}
    for kind in kinds:
        world.execute(f"CREATE EXTENSION {kind}")
    with contextlib.suppress(sa.exc.NotSupportedError):
        world.all("SELECT xmlcomment('')")
        kinds["xml"] = "xmlelement(name a, CAST(:v AS text))"
    plant(
        world,
        kinds | {"tsvector": "to_tsvector('simple', CAST(:v AS text))"},
        ["write to anna.berg@x.de", "anna@x.de"],
    )
    rows = counted(found(world, [{"email": "Anna.Berg@x.de"}]))
    assert rows == {("planted", f"c{number}", "email"): 1 for number in range(len(kinds) + 1)}


@on("mariadb-one")
def test_character_sets(world: World) -> None:
    """Text is found in whatever encoding a table keeps it."""
    kinds = {"VARCHAR(90) CHARACTER SET latin1": ":v", "TEXT CHARACTER SET utf16": ":v"}
    plant(world, kinds, ["\u00c4nne M\u00fcller"])
    rows = counted(found(world, [{"name": "\u00e4nne m\u00fcller"}]))
    assert rows == {("planted", "c0", "name"): 1, ("planted", "c1", "name"): 1}


@on(*EACH_DATABASE)
def test_whose_a_row_is(world: World) -> None:
    """A name blocks in the person's own rows only, an address anywhere but in a row that is kept."""
    world.execute("CREATE TABLE notes (id INT PRIMARY KEY, owner INT, body VARCHAR(200))")
    bodies = ["Anna Schmidt", "Anna Schmidt, anna@x.de", "joanna@x.de"]
    number = 0
    for owner in (1, 2, 3):
        for body in bodies:
            number += 1
            world.execute("INSERT INTO notes VALUES (:n, :o, :b)", n=number, o=owner, b=body)
    standings = {"1": Standing.OWN, "2": Standing.RETAINED, "3": Standing.OTHER}

    def judge(person: int, table: str, row: Mapping[str, str]) -> Standing:
        assert (person, table) == (0, "notes")
        return standings[row["owner"]]

    hits = found(world, [{"email": "Anna@x.de", "name": "Anna Schmidt"}], judge=judge)
    assert [(hit.identifier, hit.verdict, hit.rows, sorted(hit.samples)) for hit in hits] == [
        ("email", Verdict.BLOCKING, 3, ["id=2", "id=3", "id=8"]),
        ("email", Verdict.POSSIBLE, 1, ["id=9"]),
        ("email", Verdict.RETAINED, 2, ["id=5", "id=6"]),
        ("name", Verdict.BLOCKING, 2, ["id=1", "id=2"]),
        ("name", Verdict.POSSIBLE, 2, ["id=7", "id=8"]),
        ("name", Verdict.RETAINED, 2, ["id=4", "id=5"]),
    ]
    assert [Hit.read(json.loads(json.dumps(hit.plain()))) for hit in hits] == hits
    assert "anna" not in repr(hits).lower()


@on(*EACH_DATABASE)
def test_many_persons_in_one_pass(world: World) -> None:
    """Each hit is the right person's; keys that are somebody's values are digested."""
    world.execute("CREATE TABLE people (email VARCHAR(90) PRIMARY KEY, note VARCHAR(90))")
    people = [{"email": f"person{number}@x.de", "user_name": f"user-{number:03}"} for number in range(120)]
    for number in range(0, 120, 3):
        world.execute(
            "INSERT INTO people VALUES (:e, :n)", e=f"person{number}@x.de", n=f"see user-{number + 1:03}!"
        )
    hits = found(world, people)
    assert {(hit.person, hit.column) for hit in hits} == {
        *((number, "email") for number in range(0, 120, 3)),
        *((number + 1, "note") for number in range(0, 120, 3)),
    }
    assert all(hit.verdict is Verdict.BLOCKING and hit.rows == 1 for hit in hits)
    assert {sample for hit in hits for sample in hit.samples} <= {
        f"email=digest of {n}" for n in range(9, 20)
    }


BODY: Final = "body VARCHAR(900)"
KEYS: Final = {
    "number": f"id INT PRIMARY KEY, {BODY}",
    "two": f"id INT, part VARCHAR(9), {BODY}, PRIMARY KEY (part, id)",
    "none": f"id INT, {BODY}",
    "text": f"id INT, word VARCHAR(9) PRIMARY KEY, {BODY}",
}


@on(*EACH_DATABASE)
@pytest.mark.parametrize("key", KEYS)
def test_stopping_and_going_on(world: World, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From each mark a scan goes on so that every row is counted once, whatever tells the rows apart."""
    monkeypatch.setattr("aegis.db.blocks._STRETCH_BYTES", 8192)
    monkeypatch.setattr("aegis.db.blocks._STRETCH_ROWS", 7)
    monkeypatch.setattr("aegis.db.blocks._BLOCK_BYTES", 600)
    # Only so does SQLite read by the key.
    bare = " WITHOUT ROWID" if world.dialect == "sqlite" and "KEY" in KEYS[key] else ""
    world.execute(f"CREATE TABLE many ({KEYS[key]}){bare}")
    with world.app.begin() as connection:
        for number in range(50):
            values: dict[str, Any] = {"id": number, "body": f"anna{number % 2}@x.de {'x' * 700}"}
            values |= {name: f"p{number % 5}" for name in ["part"] if key == "two"}
            values |= {name: f"w{number}" for name in ["word"] if key == "text"}
            connection.execute(sa.table("many", *map(sa.column, values)).insert(), values)
    looked = scan(world, needles_of(0, {"email": "anna1@x.de"}))
    parts = list(looked.run())
    assert rows_of(parts) == 25
    mine = [part for part in parts if part.table == "many"]
    for part in {0, len(mine) // 2, len(mine) - 1}:
        stop = parts.index(mine[part])
        mark = Mark.read(json.loads(json.dumps(mine[part].mark.plain())))
        assert rows_of(parts[: stop + 1]) + rows_of(list(looked.run(mark))) == 25
    whole = key == "none" and world.dialect == "mariadb"
    assert (len(mine) == 1) is whole
    if world.dialect == "postgresql":
        assert mine[-1].done == mine[-1].total


def rows_of(parts: Sequence[Scanned]) -> int:
    """Return the rows that some parts of a scan found."""
    return sum(hit.rows for part in parts for hit in part.hits)


@on(*EACH_DATABASE)
def test_a_stretch_that_takes_too_long_is_made_smaller(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No row is lost or counted twice; what cannot be made smaller is an error."""
    monkeypatch.setattr("aegis.db.blocks._STRETCH_ROWS", 64)
    world.execute("CREATE TABLE many (id INT PRIMARY KEY, body TEXT)")
    world.insert("many", [{"id": number, "body": f"anna@x.de {'x' * 5000}"} for number in range(100)])
    most = [8]

    def slow(*arguments: Any) -> Any:
        _, place, _, size, _ = arguments
        stretch = blocks.read_stretch(*arguments)
        if place.name == "many" and size > most[0]:
            raise TooLong
        return stretch

    monkeypatch.setattr("aegis.erasure.residual.scanning.read_stretch", slow)
    looked = scan(world, needles_of(0, {"email": "anna@x.de"}))
    assert rows_of(list(looked.run())) == 100
    most[0] = 0
    with pytest.raises(TooLong):
        list(looked.run())


@on("postgresql-one")
def test_partitions_views_and_heirs(world: World) -> None:
    """Every row once: a partition for its table, an heir for itself, a view not at all."""
    for statement in (
        "CREATE TABLE parted (id INT, body TEXT) PARTITION BY RANGE (id)",
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id)",
        "CREATE TABLE parted_3 PARTITION OF parted_2 FOR VALUES FROM (10) TO (20)",
        "INSERT INTO parted VALUES (1, 'anna@x.de'), (11, 'anna@x.de'), (12, 'x')",
        "CREATE TABLE mother (body TEXT)",
        "CREATE TABLE heir () INHERITS (mother)",
        "INSERT INTO mother VALUES ('anna@x.de')",
        "INSERT INTO heir VALUES ('anna@x.de')",
        "CREATE VIEW seen AS SELECT * FROM mother",
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM mother",
        "CREATE MATERIALIZED VIEW empty AS SELECT * FROM mother WITH NO DATA",
        "CREATE SCHEMA other",
        'CREATE TABLE other."odd.name" ("odd ""column" TEXT)',
        """INSERT INTO other."odd.name" VALUES ('anna@x.de')""",
        "CREATE TABLE times (at timestamptz)",
        "SELECT lo_from_bytea(0, 'anna@x.de')",
    ):
        world.execute(statement)
    rows = counted(found(world, [{"email": "anna@x.de"}]))
    assert rows == {
        ("parted", "body", "email"): 2,
        ("mother", "body", "email"): 1,
        ("heir", "body", "email"): 1,
        ("kept", "body", "email"): 2,
        ('other."odd.name"', 'odd "column', "email"): 1,
    }
    assert scan(world, []).ground().left_out == ("1 large objects",)


@on("postgresql-one")
def test_a_hidden_row_is_an_error(world: World) -> None:
    """Where row security would hide rows, nobody is told that there are none."""
    url = world.app.url
    world.execute("CREATE TABLE secret (body TEXT)")
    world.execute("CREATE ROLE scanner LOGIN PASSWORD 'p'")
    try:
        world.execute("GRANT USAGE ON SCHEMA public, aegis TO scanner")
        world.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public, aegis TO scanner")
        world.execute("ALTER TABLE secret ENABLE ROW LEVEL SECURITY")
        as_scanner = sa.create_engine(url.set(username="scanner", password="p"), poolclass=sa.NullPool)
        looked = Scan(as_scanner, "data source", Sought(needles_of(0, PERSON)), digest=str)
        with pytest.raises(UnsafeTable, match="row-level security"):
            list(looked.run())
    finally:
        world.execute("DROP OWNED BY scanner")
        world.execute("DROP ROLE scanner")


@on("mariadb-one", "sqlite-one")
def test_keys_of_bytes(world: World) -> None:
    """A key that is no text tells its row from others all the same."""
    world.execute("CREATE TABLE items (id VARBINARY(16) PRIMARY KEY, body VARCHAR(90))")
    for key in (b"\xff\x00", b"\xfe\x00"):
        world.execute("INSERT INTO items VALUES (:k, 'Anna Schmidt')", k=key)

    def judge(_person: int, _table: str, row: Mapping[str, str]) -> Standing:
        return Standing.OWN if row["id"] == "\\xff00" else Standing.OTHER

    hits = found(world, [{"name": "Anna Schmidt"}], judge=judge)
    assert [(hit.verdict, hit.rows, hit.samples) for hit in hits] == [
        (Verdict.BLOCKING, 1, ("id=digest of 6",)),
        (Verdict.POSSIBLE, 1, ("id=digest of 6",)),
    ]


@on("mariadb-one")
def test_rows_of_the_past(world: World) -> None:
    """A table that keeps its history is searched with it."""
    world.execute("CREATE TABLE kept (id INT PRIMARY KEY, body VARCHAR(90)) WITH SYSTEM VERSIONING")
    world.execute("INSERT INTO kept VALUES (1, 'anna@x.de'), (2, 'x')")
    world.execute("UPDATE kept SET body = 'masked'")
    assert counted(found(world, [{"email": "anna@x.de"}])) == {("kept", "body", "email"): 1}


@on("sqlite-one")
def test_what_only_sqlite_has(world: World) -> None:
    """Bytes that are no text, generated columns, tables without row numbers, columns called like those."""
    for statement in (
        "CREATE TABLE odd (rowid TEXT, oid TEXT, body TEXT, loud TEXT AS (upper(body)) STORED)",
        "INSERT INTO odd (body) VALUES ('anna@x.de'), (CAST(x'ff616e6e6140782e6465ff' AS TEXT))",
        "CREATE TABLE bare (word TEXT PRIMARY KEY, body) WITHOUT ROWID",
        "INSERT INTO bare VALUES ('a', x'416e6e6140782e6465')",
        "CREATE VIEW seen AS SELECT * FROM odd",
    ):
        world.execute(statement)
    assert counted(found(world, [{"email": "anna@x.de"}])) == {
        ("odd", "body", "email"): 2,
        ("odd", "loud", "email"): 2,
        ("bare", "body", "email"): 1,
    }


@on("sqlite-one")
def test_sqlite_in_utf16(world: World, tmp_path: Any) -> None:
    """A file that keeps its texts in UTF-16 is searched alike."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'wide.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA encoding = 'UTF-16le'")
        connection.exec_driver_sql("CREATE TABLE t (body TEXT, raw BLOB)")
        connection.exec_driver_sql("INSERT INTO t VALUES ('\u00c4nne@x.de', CAST('x' AS BLOB))")
    parts = list(Scan(engine, "it", Sought(needles_of(0, {"email": "\u00e4nne@x.de"})), digest=str).run())
    assert rows_of(parts) == 1
    engine.dispose()
    del world


@on(*EACH_DATABASE)
def test_aegis_own_tables_are_searched(world: World) -> None:
    """The journal and, where they share a database, everything else of Aegis."""
    with reading(world.system.databases.source(world.datasource), "it") as connection:
        names = {place.name for place in read_ground(connection).places}
    assert {"aegis_journal", "audit_logs", "aegis_runs", "data_retention_policies"} <= names


@on("sqlite+postgresql")
def test_aegis_own_stores(world: World) -> None:
    """The control database and the key store are searched, and each hit says in which."""
    world.create("events", "id BIGINT PRIMARY KEY, created_at {instant}")
    world.policy("for-anna.berg", "events", approve=False)
    scans = own_scans(world.system.databases, Sought(needles_of(0, {"user_name": "for-anna.berg"})), str)
    tables = {label: {hit.table for part in it.run() for hit in part.hits} for label, it in scans.items()}
    assert "data_retention_policies" in tables["control database"]
    assert tables["key store"] == set()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """A connection to a Redis of this module's own."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        client = redis.Redis.from_url(server.url)
        yield client
        client.close()


def test_redis(broker: redis.Redis) -> None:
    """Keys and values of every type, a queued task's arguments among them, and nobody else's."""
    email = "anna@x.de"
    message = {"body": base64.b64encode(json.dumps([[email], {}]).encode()).decode(), "headers": {}}
    broker.set("celery-task-meta-1", json.dumps({"result": email}))
    broker.set(f"lock:{email}", b"\xff\x00")
    broker.rpush("erasure", *[json.dumps({"body": "e30="})] * 1200, json.dumps(message))
    broker.hset("unacked", "tag", json.dumps([message, "exchange", "key"]))
    broker.sadd("a set", email.upper(), "other")
    broker.zadd("a sorted set", {email: 1})
    broker.xadd("a stream", {"to": email})
    broker.set("other", "joanna@x.de")
    needles = needles_of(0, {"email": email})
    searched = search_redis(broker, Sought(needles), lambda key: f"digest of {len(key)}")
    assert [(hit.column, hit.verdict, hit.rows) for hit in searched.hits] == [
        ("key", Verdict.BLOCKING, 1),
        ("value", Verdict.BLOCKING, 6),
        ("value", Verdict.POSSIBLE, 1),
    ]
    assert searched.left_out == ()
    assert email not in repr(searched)


def test_redis_that_is_not_there() -> None:
    """Nobody is told that nothing was found where nothing was searched."""
    client = redis.Redis(port=1, retry=Retry(NoBackoff(), 0), socket_connect_timeout=1)
    with pytest.raises(Unreachable, match="does not answer"):
        search_redis(client, Sought(needles_of(0, PERSON)), str)


def test_redis_that_may_not_be_read(broker: redis.Redis) -> None:
    """A right that is missing is an error."""
    broker.acl_setuser("blind", enabled=True, passwords=["+p"], commands=["+ping"], keys=["*"])
    name, port = "blind", broker.connection_pool.connection_kwargs["port"]
    client = redis.Redis(port=port, username=name, password="p")
    with pytest.raises(Refused, match="allow Aegis"):
        search_redis(client, Sought(needles_of(0, PERSON)), str)
    client.close()
