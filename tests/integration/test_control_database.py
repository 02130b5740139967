"""Aegis's own databases: migrations, keys, and the first use."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from aegis.db.keystore import KeyBase
from aegis.db.schema import VERSION_TABLES, Store
from aegis.db.tables import Base
from aegis.errors import Conflict, NotPrepared, SettingsError
from aegis.keys import KeyFiles
from aegis.operations.system import System
from aegis.settings import Settings, SourceSettings
from tests import worlds

ROOT = Path(__file__).parents[2]
KINDS = ("sqlite", "postgresql", "mariadb")
METADATA: dict[Store, sa.MetaData] = {"control": Base.metadata, "keys": KeyBase.metadata}
NewDatabase = Callable[[str, str], str]


def url_of(kind: str, new_database: NewDatabase, folder: Path, name: str = "own") -> str:
    """Return the URL of an empty database."""
    return f"sqlite:///{folder / name}.db" if kind == "sqlite" else new_database(kind, "empty")


def run(script: str, folder: Path, **environ: str) -> "subprocess.Popen[str]":
    """Start Python in a folder with an environment that has nothing but this."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_models_are_migrations(kind: str, new_database: NewDatabase, tmp_path: Path) -> None:
    """From empty to head, alembic finds no difference to the models, in both stores."""
    settings = Settings(
        home=tmp_path / "home",
        database_url=url_of(kind, new_database, tmp_path),
        keys_url=url_of(kind, new_database, tmp_path, "keys"),
    )
    system = System(settings)
    system.init_keys()
    system.migrate()
    urls: dict[Store, str] = {"control": settings.control.url, "keys": settings.keys.url}
    for store, url in urls.items():
        revision = system.migrations.revision(store)
        assert revision.current
        with worlds.engine(url).connect() as connection:
            options = {"version_table": VERSION_TABLES[store], "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            found = compare_metadata(context, METADATA[store])
            assert [entry for entry in found if "aegis_journal" not in str(entry)] == []
    system.migrate()
    system.prepare()
    system.close()


def migrate_to(revision: str, url: str, home: Path) -> None:
    """Migrate a database from the checkout, as a person would."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", revision],
        cwd=ROOT,
        env={"PATH": os.defpath, "AEGIS_DATABASE_URL": url, "AEGIS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def fill(connection: sa.Connection, table: sa.Table) -> None:
    """Insert one row that has a value in every column."""
    values: dict[str, object] = {}
    for column in table.columns:
        kind = column.type
        if isinstance(kind, sa.DateTime):
            values[column.name] = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC).replace(tzinfo=None)
        elif isinstance(kind, sa.Date):
            values[column.name] = dt.date(2026, 1, 2)
        elif isinstance(kind, sa.Boolean | sa.Integer):
            values[column.name] = 1
        else:
            values[column.name] = b"{}" if isinstance(kind, sa.LargeBinary) else "1"
    connection.execute(table.insert().values(values))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("released", ["0001"])
def test_every_released_version_goes_up(
    kind: str, released: str, new_database: NewDatabase, tmp_path: Path
) -> None:
    """Rows that an earlier version wrote are there afterwards, in every table, as they were."""
    url = url_of(kind, new_database, tmp_path)
    migrate_to(released, url, tmp_path / "home")
    database, before = worlds.engine(url), sa.MetaData()
    before.reflect(database)
    with database.begin() as connection:
        for table in before.sorted_tables:
            if table.name != VERSION_TABLES["control"]:
                fill(connection, table)
        written = {table.name: connection.execute(table.select()).all() for table in before.sorted_tables}
    migrate_to("head", url, tmp_path / "home")
    with database.connect() as connection:
        for table in before.sorted_tables:
            if table.name != VERSION_TABLES["control"]:
                assert connection.execute(table.select()).all() == written[table.name]


@pytest.mark.parametrize("kind", KINDS)
def test_alembic_from_the_checkout(kind: str, new_database: NewDatabase, tmp_path: Path) -> None:
    """`alembic upgrade head` migrates the database that the environment names."""
    url = url_of(kind, new_database, tmp_path)
    migrate_to("head", url, tmp_path / "home")
    system = System(Settings(home=tmp_path / "home", database_url=url))
    assert system.migrations.revision("control").current
    system.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_named_database_is_prepared_by_command_only(
    kind: str, new_database: NewDatabase, tmp_path: Path
) -> None:
    """Without its tables it is refused, with the command; nothing is created in it."""
    url = url_of(kind, new_database, tmp_path)
    system = System(Settings(home=tmp_path / "home", database_url=url))
    with pytest.raises(NotPrepared, match="aegis init"):
        system.prepare()
    system.init_keys()
    with pytest.raises(NotPrepared, match="aegis migrate"):
        system.prepare()
    assert worlds.names(worlds.engine(url)) == []
    system.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_without_a_journal_is_refused(
    kind: str, new_database: NewDatabase, tmp_path: Path, home_template: Path
) -> None:
    """A data source is prepared by its owner; the message has the command."""
    url = url_of(kind, new_database, tmp_path)
    worlds.engine(url).connect().close()
    system = System(Settings(home=home_template, datasources={"app": SourceSettings(url=url)}))
    with pytest.raises(NotPrepared, match="aegis migrate --datasource app"):
        system.source_row("app")
    first = system.migrate_source("app")
    assert system.migrate_source("app") == first
    system.close()


FIRST_USE = """
from api.audit import record_audit
print(record_audit("first", "me@example.com", "policy", "p"))
from aegis.operations.system import current
current().close()
"""


def test_the_first_use_says_so_once(tmp_path: Path) -> None:
    """The default database is made in the working folder, with one line; the second use says nothing."""
    first = run(FIRST_USE, tmp_path)
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert said.count("aegis: made a control database") == 1
    again = run(FIRST_USE, tmp_path)
    said, _ = again.communicate(timeout=60)
    assert (again.returncode, said.count("aegis:")) == (0, 0)
    assert (tmp_path / ".aegis" / "aegis.db").exists()


@pytest.mark.parametrize("attempt", range(3 if not os.environ.get("LONG_TESTS") else 30))
def test_processes_that_use_it_first_at_once(tmp_path: Path, attempt: int) -> None:
    """Several processes that find nothing prepare it once, and all of them work."""
    assert attempt >= 0
    processes = [run(FIRST_USE, tmp_path) for _ in range(3)]
    results = [(process.communicate(timeout=90)[0], process.returncode) for process in processes]
    assert [code for _, code in results] == [0, 0, 0], results
    with worlds.engine(f"sqlite:///{tmp_path / '.aegis' / 'aegis.db'}").connect() as connection:
        assert (
            connection.scalar(sa.text("SELECT count(*) FROM audit_logs WHERE action = 'custom:first'")) == 3
        )


class TestKeys:
    """Key files are private, right, and never replaced."""

    def test_a_key_that_others_can_read_is_refused(self, tmp_path: Path) -> None:
        """Mode 0600 is made and demanded; the message has the cure."""
        files = KeyFiles(tmp_path)
        for path in files.create():
            assert path.stat().st_mode & 0o777 == 0o600
        worker = tmp_path / "keys" / "worker.key"
        worker.chmod(0o640)
        with pytest.raises(SettingsError, match="chmod 600"):
            files.worker()

    def test_keys_are_never_overwritten(self, tmp_path: Path) -> None:
        """A second init is refused and changes no byte."""
        files = KeyFiles(tmp_path)
        before = {path: path.read_bytes() for path in files.create()}
        with pytest.raises(Conflict, match="never overwritten"):
            files.create()
        assert {path: path.read_bytes() for path in before} == before

    def test_the_key_of_another_epoch_is_refused(self, builder: worlds.Builder, tmp_path: Path) -> None:
        """A key store that was wrapped with another epoch key does not open, and says so."""
        world = builder.build("sqlite-one", tmp_path)
        other = KeyFiles(tmp_path / "other")
        other.create()
        mine = world.settings.home / "keys" / "epoch-1.key"
        world.system.recorder.actor_ref("somebody")
        mine.write_bytes((tmp_path / "other" / "keys" / "epoch-1.key").read_bytes())
        fresh = world.another()
        with pytest.raises(NotPrepared, match="epoch 1"):
            fresh.recorder.actor_ref("somebody")
        world.close()

    def test_a_missing_epoch_key_is_told(self, builder: worlds.Builder, tmp_path: Path) -> None:
        """Lost is lost: the message says which file, and that its backup is needed."""
        world = builder.build("sqlite-one", tmp_path)
        (world.settings.home / "keys" / "epoch-1.key").unlink()
        with pytest.raises(NotPrepared, match=r"epoch-1\.key"):
            world.another().recorder.actor_ref("somebody new")
        world.close()


@worlds.on("postgresql-one")
def test_a_role_named_like_the_journals_schema_does_not_work_in_it(world: worlds.World) -> None:
    """Unqualified names mean the application's schema, although role and schema are both `aegis`."""
    with world.system.databases.control.connect() as connection:
        row = connection.execute(sa.text("SELECT current_user, current_schema()")).one()
    assert tuple(row) == ("aegis", "public")
