"""A scan of a live schema on each database: read-only, bounded, from all over, and no value anywhere."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.catalog.decision import Verdict
from aegis.catalog.scanning import Limits, TableScan, scan
from aegis.catalog.survey import survey
from aegis.db import probing
from aegis.db.catalog import read_catalog
from aegis.db.engines import looking, make_engine
from aegis.db.probing import probe
from aegis.errors import AegisError, Refused, UnknownName, UnsafeTable
from aegis.settings import SourceSettings
from tests import worlds
from tests.shells import Shell, empty

KINDS = ("sqlite", "postgresql", "mariadb")
#: It stands in every planted value, in one form or another.
CANARY = "zq7canary"
#: Types by database, each with the value that is planted.
PLANTED = {
    "sqlite": {"t": "TEXT", "v": "VARCHAR(90)", "j": "JSON", "b": "BLOB", "n": "INTEGER", "x": "MYSTERY"},
    "postgresql": {
        "t": "TEXT",
        "v": "VARCHAR(90)",
        "c": "CHAR(40)",
        "j": "JSONB",
        "k": "JSON",
        "a": "TEXT[]",
        "b": "BYTEA",
        "u": "UUID",
        "i": "INET",
        "d": "DATE",
        "m": "MONEY",
        "s": "TSVECTOR",
        "e": "mood",
        "h": "INT4RANGE",
        "p": "POINT",
        "f": "named",
    },
    "mariadb": {
        "t": "TEXT",
        "v": "VARCHAR(90)",
        "c": "CHAR(40)",
        "j": "JSON",
        "b": "BLOB",
        "l": "LONGTEXT",
        "e": f"ENUM('{CANARY}')",
        "d": "DATE",
        "i": "INET6",
        "u": "UUID",
    },
}
DATES = {"d": "2024-01-02"}
VALUES = {
    **DATES,
    "j": f'{{"{CANARY}": "{CANARY}"}}',
    "k": f'["{CANARY}"]',
    "a": f"{{{CANARY}}}",
    "u": "550e8400-e29b-41d4-a716-446655440000",
    "i": "2001:db8::77",
    "m": "7.70",
    "n": f"{CANARY}",
    "h": "[1,5)",
    "p": "(1,2)",
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each database."""
    return str(request.param)


@pytest.fixture
def url(kind: str, tmp_path: Path, new_database: Callable[[str, str], str]) -> str:
    """An empty database of the application."""
    return f"sqlite:///{tmp_path / 'app.db'}" if kind == "sqlite" else new_database(kind, "empty")


@pytest.fixture
def app(url: str) -> Iterator[sa.Engine]:
    """The application's own engine."""
    made = worlds.engine(url)
    with made.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE empty_one (id INTEGER PRIMARY KEY, email VARCHAR(90))")
    yield made
    made.dispose()


@pytest.fixture
def source(url: str, app: sa.Engine) -> Iterator[sa.Engine]:
    """The engine that Aegis reads it with."""
    assert app.dialect.name
    made = make_engine(SourceSettings(url=url), own=False)
    yield made
    made.dispose()


def run(app: sa.Engine, *statements: str) -> None:
    """Do something as the application."""
    with app.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def fill(app: sa.Engine, name: str, rows: list[dict[str, Any]]) -> None:
    """Insert rows into a table."""
    with app.begin() as connection:
        connection.execute(sa.table(name, *map(sa.column, rows[0])).insert(), rows)


def found(engine: sa.Engine, **options: Any) -> dict[str, TableScan]:
    """Scan everything; return what was found by table."""
    return {each.table: each for each in scan(engine, "data source app", **options)}


def verdicts(scanned: TableScan) -> dict[str, tuple[Verdict, str | None]]:
    """Return what was decided of each column."""
    return {d.column: (d.verdict, d.category) for d in scanned.decisions}


def test_names_and_values_together(app: sa.Engine, source: sa.Engine) -> None:
    """What names do not say values do; an empty table is judged by names; the counts are told."""
    run(app, "CREATE TABLE customers (id INTEGER PRIMARY KEY, first_name VARCHAR(40), c1 TEXT, c2 TEXT)")
    rows = [{"id": i * 3, "first_name": "A", "c1": f"u{i}@example.org", "c2": f"w{i}"} for i in range(1, 400)]
    fill(app, "customers", rows)
    scans = found(source)
    customers = scans["customers"]
    assert verdicts(customers) == {
        "id": (Verdict.PERSONAL, "user.unique_id"),
        "first_name": (Verdict.PERSONAL, "user.name.first"),
        "c1": (Verdict.PERSONAL, "user.contact.email"),
        "c2": (Verdict.UNKNOWN, None),
    }
    assert customers.sampled is not None
    assert 45 <= customers.sampled <= 50
    decision = next(d for d in customers.decisions if d.column == "c1")
    assert f"{customers.sampled} of {customers.sampled} samples are valid as email" in decision.evidence
    assert verdicts(scans["empty_one"])["email"] == (Verdict.PERSONAL, "user.contact.email")
    assert scans["empty_one"].sampled == 0
    assert [(each.done, each.total) for each in scans.values()] == [(1, 2), (2, 2)]
    assert found(source, limits=Limits(rows=0))["customers"].sampled is None


def test_samples_are_from_all_over_the_table(kind: str, app: sa.Engine, source: sa.Engine) -> None:
    """Not the first rows only, along keys of every kind, dense or with gaps; never more than was allowed."""
    keys = {"n": "INTEGER", "t": "VARCHAR(40)", "d": "TIMESTAMP"} | (
        {"u": "UUID"} if kind != "sqlite" else {}
    )
    for name, key in keys.items():
        run(app, f"CREATE TABLE k_{name} (k {key} PRIMARY KEY, v INTEGER, txt TEXT)")
    spread = 2_000
    for name in keys:
        rows = {key_of(name, i, spread): i for i in range(spread)}
        fill(app, f"k_{name}", [{"k": key, "v": i, "txt": str(i)} for key, i in rows.items()])
        with looking(source, "app", lock_ms=500, statement_ms=5_000) as connection:
            table = read_catalog(connection).tables[f"k_{name}"]
            probed = probe(connection, table, {"txt": 20}, 100)
        seen = sorted(int(str(row[0])) for row in probed.rows)
        assert probed.spread
        assert 20 < len(seen) <= 100, name
        assert seen[0] < spread * 0.2, name
        assert seen[-1] > spread * 0.8, name
        assert f"Probed({len(seen)} rows)" == repr(probed)


def key_of(kind: str, i: int, spread: int) -> object:
    """Make the key of the i-th row, of a kind."""
    if kind == "n":
        return i if i < spread // 2 else i * 1_000
    if kind == "t":
        return f"{chr(97 + i * 26 // spread)}{i:06d}"
    if kind == "d":
        return f"2024-{1 + i * 12 // spread:02d}-{1 + i % 28:02d} 00:{i // 60 % 60:02d}:{i % 60:02d}"
    return f"{i * (2**32) // spread:08x}-0000-4000-8000-{i:012x}"


def test_a_table_without_a_key(kind: str, app: sa.Engine, source: sa.Engine) -> None:
    """By pages, or by row numbers; where a database has neither, the report says: its first rows."""
    run(app, "CREATE TABLE heap (email VARCHAR(90))")
    fill(app, "heap", [{"email": f"u{i}@example.org"} for i in range(300)])
    if kind == "postgresql":
        with app.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE heap")
    scanned = found(source)["heap"]
    assert scanned.sampled
    assert scanned.note == ("it has no key to sample along: its first rows" if kind == "mariadb" else "")


def test_it_can_write_nothing(kind: str, app: sa.Engine, source: sa.Engine) -> None:
    """The database itself refuses, in the transaction that a table is sampled in; afterwards it may again.

    MariaDB refuses rows only: what defines a table ends a transaction there.
    """
    run(app, "INSERT INTO empty_one (id, email) VALUES (1, 'a@example.org')")
    defines = [] if kind == "mariadb" else ["CREATE TABLE other (id INTEGER)", "DROP TABLE empty_one"]
    for statement in ("DELETE FROM empty_one", "INSERT INTO empty_one (id) VALUES (2)", *defines):
        with (
            pytest.raises(AegisError),
            looking(source, "app", lock_ms=500, statement_ms=5_000) as connection,
        ):
            connection.exec_driver_sql(statement)
    with app.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM empty_one")) == 1
    with source.begin() as connection:
        connection.exec_driver_sql("DELETE FROM empty_one")


def test_a_table_that_takes_too_long_is_told_and_the_others_go_on(
    kind: str, app: sa.Engine, source: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is judged without values, and its note says why."""
    run(app, "CREATE TABLE people (id INTEGER PRIMARY KEY, email VARCHAR(90))")
    run(app, "INSERT INTO people (id, email) VALUES (1, 'a@example.org')")
    slow = {
        "postgresql": "SELECT pg_sleep(30)",
        "mariadb": "SELECT SLEEP(30)",
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    }[kind]
    usual = probing.probe

    def probe_slowly(connection: sa.Connection, table: Any, *arguments: Any) -> Any:
        if table.label == "empty_one":
            connection.exec_driver_sql(slow)
        return usual(connection, table, *arguments)

    monkeypatch.setattr("aegis.catalog.sampling.probe", probe_slowly)
    scans = found(source, limits=Limits(statement_ms=100))
    assert (scans["empty_one"].sampled, scans["empty_one"].note) == (None, "sampling took longer than 0.1 s")
    assert verdicts(scans["empty_one"])["email"] == (Verdict.PERSONAL, "user.contact.email")
    assert (scans["people"].sampled, scans["people"].note) == (1, "")


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_table_that_is_locked_is_told_and_the_others_go_on(app: sa.Engine, source: sa.Engine) -> None:
    """It is judged without values, and nobody guesses what its whole numbers count."""
    for name in ("tokens", "sessions"):
        run(app, f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, token TEXT, expires_at BIGINT)")
        run(app, f"INSERT INTO {name} VALUES (1, 'x', 1764300000000)")  # noqa: S608
    limits = Limits(lock_ms=50)
    with app.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE")
        scans = found(source, limits=limits)
        known = survey(source, "app", limits=limits)
    assert {name: (scan.sampled, scan.note) for name, scan in scans.items()} == {
        "empty_one": (0, ""),
        "sessions": (1, ""),
        "tokens": (None, "it was locked"),
    }
    assert known.units == {("sessions", "expires_at"): "ms"}


def test_odd_names_and_every_type(kind: str, app: sa.Engine, source: sa.Engine) -> None:
    """Quotes, dots, blanks, percent signs and colons in names; lists, documents, bytes, unknown types."""
    quote = app.dialect.identifier_preparer.quote_identifier
    names = ['we "ird', "a.b", "50% :off", "select", "Grüße"]
    if kind == "postgresql":
        run(app, "CREATE TYPE mood AS ENUM ('zq7canary')", "CREATE DOMAIN named AS text")
    columns = ", ".join(f"{name} {spelled}" for name, spelled in PLANTED[kind].items())
    run(app, f"CREATE TABLE planted (id INTEGER PRIMARY KEY, {columns})")
    insert = ", ".join(f"'{VALUES.get(name, CANARY)}'" for name in PLANTED[kind])
    run(app, f"INSERT INTO planted VALUES (1, {insert})")  # noqa: S608
    for name in names:
        table = quote(name).replace("%", "%%")
        column = quote(f"{name} mail").replace("%", "%%")
        run(app, f"CREATE TABLE {table} ({quote('i d')} INTEGER PRIMARY KEY, {column} VARCHAR(90))")
        run(app, f"INSERT INTO {table} VALUES (1, 'x@example.org')")  # noqa: S608
    scans = found(source)
    assert len(scans) == len(names) + 2
    assert all(scan.sampled is not None for scan in scans.values())
    assert not any(scan.note for scan in scans.values())


def test_views_are_nothing_of_their_own(app: sa.Engine, source: sa.Engine) -> None:
    """Their rows are those of tables, and are looked at there."""
    run(app, "CREATE VIEW seen AS SELECT id, email FROM empty_one")
    assert list(found(source)) == ["empty_one"]


def test_some_tables_only(app: sa.Engine, source: sa.Engine) -> None:
    """Those that are named; a name that is not there is refused with the nearest."""
    run(app, "CREATE TABLE other (id INTEGER PRIMARY KEY)")
    assert list(found(source, only=frozenset({"empty_one"}))) == ["empty_one"]
    with pytest.raises(UnknownName, match="did you mean empty_one"):
        found(source, only=frozenset({"empty_on"}))


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_schemas_partitions_and_rows_that_are_hidden(app: sa.Engine, source: sa.Engine, url: str) -> None:
    """A partition counts as its parent, schemas are named; a hidden row and a missing right are errors."""
    run(
        app,
        "CREATE SCHEMA crm",
        "CREATE TABLE crm.leads (id INTEGER PRIMARY KEY, email TEXT)",
        "CREATE TABLE visits (id INTEGER, at DATE, ip TEXT, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        "CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "INSERT INTO visits SELECT n, '2024-02-02', '192.0.2.' || n %% 250 FROM generate_series(1, 500) AS n",
    )
    scans = found(source)
    assert sorted(scans) == ["crm.leads", "empty_one", "visits"]
    assert scans["visits"].sampled == 50
    run(
        app,
        "CREATE TABLE guarded (id INTEGER PRIMARY KEY, email TEXT)",
        "INSERT INTO guarded VALUES (1, 'a@example.org')",
        "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON guarded USING (id > 1)",
        "CREATE ROLE looker LOGIN PASSWORD 'looker'",
        "GRANT SELECT ON guarded TO looker",
    )
    role = sa.make_url(url).set(username="looker", password="looker")
    other = make_engine(SourceSettings(url=role.render_as_string(hide_password=False)), own=False)
    with pytest.raises(UnsafeTable, match=r"table guarded: .*BYPASSRLS.*--no-sample"):
        found(other, only=frozenset({"guarded"}))
    with pytest.raises(Refused, match=r"table visits: .*GRANT SELECT .* ON public\.visits .*--no-sample"):
        found(other, only=frozenset({"visits"}))
    assert found(other, only=frozenset({"guarded"}), limits=Limits(rows=0))["guarded"].sampled is None
    other.dispose()
    run(app, "REVOKE ALL ON guarded FROM looker", "DROP ROLE looker")


def shell_for(folder: Path, url: str) -> Shell:
    """Return the command in a folder whose `aegis.toml` names the database."""
    made = empty(folder)
    (folder / "aegis.toml").write_text(f'[datasources.app]\nurl = "{url}"\n')
    return made


def test_no_value_goes_anywhere(
    url: str, app: sa.Engine, source: sa.Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not into the report, its document, a log, an error or a file of Aegis's: not even a part of one."""
    kind = "sqlite" if url.startswith("sqlite") else url.partition(":")[0]
    if kind == "postgresql":
        run(app, "CREATE TYPE mood AS ENUM ('zq7canary')", "CREATE DOMAIN named AS text")
    columns = ", ".join(f"{name}_{n} {t}" for n, (name, t) in enumerate(PLANTED[kind].items()))
    run(app, f"CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(90), {columns})")
    insert = ", ".join(f"'{VALUES.get(name, CANARY)}'" for name in PLANTED[kind])
    for i in range(1, 9):
        run(app, f"INSERT INTO users VALUES ({i}, 'p{i}.{CANARY}@example.org', {insert})")  # noqa: S608
    folder = tmp_path / "site"
    folder.mkdir()
    shell = shell_for(folder, url)
    said = [shell("catalog", "scan", "--all"), shell("catalog", "scan", "--all", "--json")]
    assert [each.code for each in said] == [0, 0]
    assert said[1].document["summary"]["rows_sampled"] == 8
    with caplog.at_level(logging.DEBUG):
        scans = found(source)
    written = "".join(
        file.read_text("utf-8", "replace") for file in sorted(folder.rglob("*")) if file.is_file()
    )
    everything = "".join([each.out + each.err for each in said] + [repr(scans), caplog.text, written])
    for value in (CANARY, "zq7", "550e8400", "2001:db8", "7.70"):
        assert value not in everything
    assert "8 of 8 samples are valid as email" in everything


def test_the_command(tmp_path: Path) -> None:
    """A report for people and one document for programs; both say how it was judged; wrong use is refused."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    app = worlds.engine(url)
    run(
        app,
        "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, xqz TEXT)",
        "CREATE TABLE roles (id INTEGER PRIMARY KEY, name TEXT)",
        "INSERT INTO users VALUES (1, 'a@example.org', 'hm')",
    )
    shell = shell_for(tmp_path, url)
    said = shell("catalog", "scan", "app")
    assert (said.code, said.err) == (0, "")
    assert "users  (person · 1 row sampled)" in said.out
    assert "user.contact.email" in said.out
    assert "roles" not in said.out
    assert "2 tables of app in " in said.out
    assert "2 columns personal, 1 to review, 2 not personal." in said.out
    assert "roles" in shell("catalog", "scan", "--all").out
    unread = shell("catalog", "scan", "--no-sample").out
    assert "No row was read: judged by names, types and references alone." in unread
    plain = shell("catalog", "scan", "--json", "--table", "users").document
    assert (plain["version"], plain["datasource"], plain["summary"]["complete"]) == (1, "app", True)
    (users,) = plain["tables"]
    assert users["columns"][1] | {"evidence": 0, "confidence": 0} == {
        "column": "email",
        "type": "text",
        "verdict": "personal",
        "category": "user.contact.email",
        "confidence": 0,
        "evidence": 0,
        "role": None,
    }
    assert json.dumps(plain)
    assert shell("catalog", "scan", "--table", "user").code == 2
    assert shell("catalog", "scan", "nowhere").code == 2
    assert shell("catalog", "scan", "--rows", "0").code == 2
    app.dispose()
    (tmp_path / "app.db").unlink()
    gone = shell("catalog", "scan")
    assert gone.code == 5
    assert "does not exist" in gone.refusal
