"""Fixtures: real servers for the session, one prepared database cloned for each test, and the account."""

import gc
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import coverage
import hypothesis
import pytest
import sqlalchemy as sa

from aegis.embedded import EmbeddedRedis
from aegis.errors import NotPrepared
from aegis.operations import system as systems
from aegis.operations.system import System
from aegis.settings import Settings, SourceSettings
from api.audit import relay_journals
from tests import account, chromium, mariadb, statements, worlds
from tests.postgres import Postgres
from tests.repeats import examples
from tests.worlds import Builder, World

# A busy machine is no finding; the full number of examples belongs to `make test-long`.
hypothesis.settings.register_profile("aegis", deadline=None, max_examples=examples(100))
hypothesis.settings.load_profile("aegis")
# A mutant needs no smallest example, and two runs of `make mutants` should say the same.
hypothesis.settings.register_profile(
    "mutants",
    database=None,
    deadline=None,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
sa.create_engine = statements.sharing(sa.create_engine)
if "TEST_BROKER" in os.environ:
    # `make test-matrix` names the server, redis or valkey, for all tests that leave it open.
    (EmbeddedRedis.__init__.__kwdefaults__ or {})["kind"] = os.environ["TEST_BROKER"]
# Thousands of reflected tables and statements live long; looking through them again and again costs much.
gc.set_threshold(100_000, 20, 100)


def pytest_report_header() -> str:
    """Say which servers, and which browser, the tests run against."""
    maria = "MariaDB on PATH" if mariadb.found() else "no MariaDB (Debian: mariadb-server-core)"
    try:
        broker = EmbeddedRedis(Path()).server
    except NotPrepared as error:
        broker = str(error)
    browser = "Chromium on PATH" if chromium.found() else "no Chromium (Debian: chromium)"
    return f"servers: {broker}, PostgreSQL from its wheel, {maria}; {browser}"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Save what `make coverage` has seen here: pytest-xdist kills a worker that takes long to end."""
    if measured := coverage.Coverage.current():
        measured.save()


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no AEGIS_ variable of whoever runs them, and their own system only."""
    for name in list(os.environ):
        if name.startswith("AEGIS_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(systems, "_CURRENT", [])


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server for the whole session, durable as in production."""
    with Postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mariadb.MariaDb]:
    """A MariaDB server for the whole session; skipped where there is none."""
    if not mariadb.found():
        pytest.skip("no mariadbd on this machine (Debian: mariadb-server-core)")
    with mariadb.MariaDb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def home_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with keys, a migrated control database and a key store, to be copied."""
    home = tmp_path_factory.mktemp("template") / "home"
    system = System(Settings(home=home))
    system.prepare()
    system.close()
    return home


@pytest.fixture(scope="session")
def postgres_templates(postgres_server: Postgres, home_template: Path) -> dict[str, str]:
    """Two prepared databases: `one` with everything, `source` with the journal only."""
    one = System(Settings(home=home_template, database_url=postgres_server.create_database("one")))
    one.migrate()
    one.close()
    url = postgres_server.create_database("source")
    source = System(Settings(home=home_template, datasources={"app": SourceSettings(url=url)}))
    source.migrate_source("app")
    source.close()
    return {"one": "one", "source": "source"}


@pytest.fixture(scope="session")
def mariadb_template(mariadb_server: mariadb.MariaDb, home_template: Path) -> str:
    """The name of a prepared database with everything."""
    one = System(Settings(home=home_template, database_url=mariadb_server.create_database("one")))
    one.migrate()
    one.close()
    return "one"


_NUMBERS = itertools.count(1)


@pytest.fixture
def new_database(request: pytest.FixtureRequest) -> Iterator[Callable[[str, str], str]]:
    """Makes databases for one test: (`postgresql` or `mariadb`; `one`, `source` or `empty`) → URL."""
    made: list[tuple[worlds.Server, str]] = []

    def make(kind: str, content: str) -> str:
        name = f"test_{next(_NUMBERS)}"
        if kind == "postgresql":
            server: Postgres = request.getfixturevalue("postgres_server")
            made.append((server, name))
            templates = request.getfixturevalue("postgres_templates") if content != "empty" else {}
            return server.create_database(name, templates.get(content))
        maria: mariadb.MariaDb = request.getfixturevalue("mariadb_server")
        made.append((maria, name))
        template = request.getfixturevalue("mariadb_template") if content == "one" else None
        return maria.create_database(name, template)

    yield make
    for server, name in made:
        server.drop_database(name)


@pytest.fixture
def builder(home_template: Path, new_database: Callable[[str, str], str]) -> Builder:
    """Builds worlds for one test."""
    return Builder(home_template=home_template, clone=new_database)


@pytest.fixture(params=worlds.LAYOUTS)
def world(request: pytest.FixtureRequest, builder: Builder, tmp_path: Path) -> Iterator[World]:
    """A fresh world in each layout; after the test its account must balance."""
    made = builder.build(request.param, tmp_path)
    try:
        yield made
        if made.unbalanced is None:
            balance(made)
    finally:
        made.close()


def balance(world: World) -> None:
    """Relay, then assert that the account of a world balances."""
    relay_journals()
    account.check(
        control=world.control,
        sources={world.datasource: world.app, **world.others},
        home=world.settings.home,
        gone=world.gone(),
        masked=world.masked,
        nullified=world.nullified,
        restored=world.restored,
        canaries=[worlds.CANARY.encode()],
    )
