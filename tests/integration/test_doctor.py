"""What the doctor finds in real databases with the fault really there, and no more when it was cured."""

import datetime as dt
import functools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from aegis.doctor.broker import check_broker
from aegis.doctor.datamaps import check_datamap
from aegis.doctor.findings import Finding, Found, Verdict, careful
from aegis.doctor.indexes import check_indexes
from aegis.doctor.log import check_log
from aegis.doctor.patient import Patient
from aegis.doctor.policies import check_policies
from aegis.doctor.processes import check_beat
from aegis.doctor.secrets import check_secrets
from aegis.doctor.servers import check_clocks
from aegis.doctor.sources import check_source
from aegis.doctor.tables import check_tables
from aegis.doctor.tenants import check_tenants
from aegis.embedded import EmbeddedRedis
from aegis.settings import CopySettings, SourceSettings
from api import privacy
from tests import oneperson
from tests.pooler import Pooler
from tests.worlds import ACTOR, DAY, EACH_DATABASE, UNTHROTTLED, World, on

Check = Callable[[Patient, str], Found]


def look(world: World, check: Check) -> list[Finding]:
    """Make a check of the application's data source."""
    patient = Patient(system=world.system, control_ready=True)
    return careful("a check", functools.partial(check, patient, world.datasource))


def told(found: list[Finding], verdict: Verdict) -> list[str]:
    """Return the texts of one verdict; whatever is no praise names its cure."""
    assert all(finding.cure for finding in found if finding.verdict is not Verdict.OK), found
    return [finding.text for finding in found if finding.verdict is verdict]


def cure(world: World, finding: Finding) -> None:
    """Do the statement that a finding ends with."""
    world.execute(str(finding.cure)[str(finding.cure).index("ALTER TABLE") :])


class TestTables:
    """Storage engines, replica identities, slots."""

    @on("sqlite+postgresql")
    def test_a_published_table_without_identity(self, world: World) -> None:
        """PostgreSQL refuses to delete from it; the doctor says so before, and its cure helps."""
        world.create("visits", "page {text}")
        world.create("users", "id INT PRIMARY KEY")
        world.insert("visits", [{"page": "/"}])
        assert told(look(world, check_tables), Verdict.OK) != []
        world.execute("CREATE PUBLICATION everything FOR TABLE visits, users")
        with pytest.raises(sa.exc.DBAPIError, match="replica identity"):
            world.remove("visits")
        (found,) = look(world, check_tables)
        assert found.verdict is Verdict.FAULT
        assert "table public.visits is published without a replica identity" in found.text
        cure(world, found)
        assert told(look(world, check_tables), Verdict.FAULT) == []
        assert world.remove("visits") == 1

    @on("sqlite+postgresql")
    def test_a_slot_that_nobody_reads(self, world: World) -> None:
        """A replication slot that keeps more log than runs let is named, with what drops it."""
        world.all("SELECT pg_create_physical_replication_slot('forgotten', true)")
        try:
            world.safety_events()
            world.events(range(100), 1)
            for most in (0, 1e6):
                world.configure(throttle=replace(UNTHROTTLED, slot_megabytes=most))
                assert told(look(world, check_tables), Verdict.FAULT) == [], "fewer than runs let it keep"
            world.configure(throttle=replace(UNTHROTTLED, slot_megabytes=1e-6))
            texts = told(look(world, check_tables), Verdict.FAULT)
        finally:
            world.all("SELECT pg_drop_replication_slot('forgotten')")
        assert any("replication slot forgotten" in text for text in texts), texts
        assert not any("forgotten" in text for text in told(look(world, check_tables), Verdict.FAULT))

    @on("sqlite+mariadb")
    def test_tables_without_transactions(self, world: World) -> None:
        """One that a policy names is a fault, another one is worth knowing; the cure helps both."""
        world.safety_events()
        world.policy(approve=False)
        world.create("pages", "id INT PRIMARY KEY")
        assert told(look(world, check_tables), Verdict.OK) != []
        for table in ("safety_events", "pages"):
            world.execute(f"ALTER TABLE {table} ENGINE = MyISAM")
        found = look(world, check_tables)
        assert [(f.verdict, "safety_events" in f.text) for f in found] == [
            (Verdict.NOTE, False),
            (Verdict.FAULT, True),
        ]
        for finding in found:
            cure(world, finding)
        assert told(look(world, check_tables), Verdict.OK) != []


class TestIndexes:
    """By what policies go through tables, and what refers to rows that go."""

    @on(*EACH_DATABASE)
    def test_each_with_the_statement_that_makes_it(self, world: World, tmp_path: Path) -> None:
        """Clocks, references of children and of an erasure's tables; none is left once they are there."""
        world.safety_events(index=False)
        world.create(
            "reports", "id INT PRIMARY KEY, of BIGINT, FOREIGN KEY (of) REFERENCES safety_events (id)"
        )
        world.policy(approve=False)
        oneperson.begin(world, tmp_path)
        found = [finding for finding in look(world, check_indexes) if finding.verdict is Verdict.NOTE]
        texts = told(found, Verdict.NOTE)
        assert "safety_events (created_at): each run of policy p reads the whole table" in texts
        if world.dialect != "mariadb":
            # MariaDB makes an index for every foreign key.
            assert "reports (of): each row that policy p deletes reads the whole table" in texts
            assert "messages (sender): each erasure reads the whole table" in texts
        for finding in found:
            # What MariaDB cannot order whole.
            statement = str(finding.cure)
            world.execute(statement)
        assert told(look(world, check_indexes), Verdict.OK) == [
            "whatever policies and erasures look for has one"
        ]

    @on("sqlite-one")
    def test_rows_that_go_along_are_looked_for_too(self, world: World) -> None:
        """Along a chain of foreign keys, however they are reached; a table that is gone needs no index."""
        world.safety_events()
        world.create(
            "reports", "id INTEGER PRIMARY KEY, of BIGINT REFERENCES safety_events ON DELETE CASCADE"
        )
        world.create(
            "pages",
            "id INTEGER PRIMARY KEY, report BIGINT REFERENCES reports ON DELETE CASCADE, "
            "event BIGINT REFERENCES safety_events ON DELETE CASCADE",
        )
        world.policy(approve=False, cascades=["reports", "pages"])
        who = "each row that policy p deletes reads the whole table"
        assert sorted(told(look(world, check_indexes), Verdict.NOTE)) == [
            f"pages (event): {who}",
            f"pages (report): {who}",
            f"reports (of): {who}",
        ]
        world.execute("ALTER TABLE safety_events RENAME TO elsewhere")
        assert told(look(world, check_indexes), Verdict.OK) != []
        world.execute("ALTER TABLE elsewhere RENAME TO safety_events")

    @on("sqlite-one")
    def test_a_large_table_is_a_fault(self, world: World) -> None:
        """From ten thousand rows on, what each deleted row looks for without an index."""
        world.safety_events()
        world.create("reports", "id INTEGER PRIMARY KEY, of BIGINT REFERENCES safety_events (id)")
        world.insert("reports", [{"id": 1, "of": None}, {"id": 10_000, "of": None}])
        world.policy(approve=False)
        (text,) = told(look(world, check_indexes), Verdict.FAULT)
        assert text == "reports (of): each row that policy p deletes reads the whole table, about 10,000 rows"


class TestTenants:
    """Row security on the tables that tell tenants apart."""

    @on("sqlite+postgresql")
    def test_which_tables_lack_a_policy(self, world: World) -> None:
        """None: worth knowing. Some: the others are a fault, each named. All: fine."""
        world.safety_events()
        for name in ("orders", "notes"):
            world.create(name, "id INT PRIMARY KEY, tenant {text}")
        world.create("pages", "id INT PRIMARY KEY")
        assert look(world, check_tenants) == []
        world.policy(tenant_column="tenant", approve=False)
        (text,) = told(look(world, check_tenants), Verdict.NOTE)
        assert text.startswith("3 tables tell tenants apart, and none has row security")

        self.secure(world, "safety_events")
        # Switched on, and nobody has said what may be seen.
        world.execute("ALTER TABLE notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        (text,) = told(look(world, check_tenants), Verdict.FAULT)
        assert text == "2 of 3 tables that tell tenants apart have no policy: notes, orders"

        for name in ("orders", "notes"):
            self.secure(world, name)
        (text,) = told(look(world, check_tenants), Verdict.OK)
        assert text == "3 tables tell tenants apart; each has a policy of row security"

    @on("sqlite+postgresql")
    def test_an_owner_who_sees_every_tenant(self, world: World) -> None:
        """Policies that do not bind the owner are a fault as long as somebody is connected as the owner."""
        world.safety_events()
        world.policy(tenant_column="tenant", approve=False)
        self.secure(world, "safety_events")
        world.execute("ALTER TABLE safety_events NO FORCE ROW LEVEL SECURITY")
        with world.app.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
            (found,) = [f for f in look(world, check_tenants) if f.verdict is Verdict.FAULT]
            assert "it sees every tenant in safety_events" in found.text
            cure(world, found)
            assert told(look(world, check_tenants), Verdict.FAULT) == []
        world.execute("ALTER TABLE safety_events NO FORCE ROW LEVEL SECURITY")
        world.app.dispose()
        assert told(look(world, check_tenants), Verdict.FAULT) == [], "no owner is there to see them"

    @on("sqlite-one")
    def test_a_tenants_own_key_tells_nobody_apart(self, world: World, tmp_path: Path) -> None:
        """In other tables a column of that name is the key of something else."""
        world.create("orgs", "id INT PRIMARY KEY, email {text}")
        world.create("pages", "id INT PRIMARY KEY, title {text}")
        (tmp_path / "m.yaml").write_text(
            "subjects: {org: {table: orgs, key: id, tenant: id, identifiers: {email: email}}}\n"
            "tables: {orgs: {row: anonymize, columns: {email: surrogate}}}\n"
        )
        source = replace(world.settings.sources["default"], datamap=tmp_path / "m.yaml")
        world.configure(datasources={"default": source})
        (text,) = told(look(world, check_tenants), Verdict.OK)
        assert text == "1 table tells tenants apart; this database has no row security to look at"

    @on("sqlite+mariadb", "sqlite-one")
    def test_where_the_database_has_none(self, world: World) -> None:
        """It says how many tables there are, and nothing is wrong with them."""
        world.safety_events()
        world.policy(tenant_column="tenant", approve=False)
        (text,) = told(look(world, check_tenants), Verdict.OK)
        assert text == "1 table tells tenants apart; this database has no row security to look at"

    def secure(self, world: World, table: str) -> None:
        """Let a table's rows be seen by their tenant alone."""
        world.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        world.execute(f"CREATE POLICY own ON {table} USING (tenant = current_setting('app.tenant', true))")


@on("sqlite-one")
def test_a_data_map_that_leaves_something_open(world: World, tmp_path: Path) -> None:
    """Nobody is erased by it, and the doctor says what is open; then not any more."""
    use = oneperson.begin(world, tmp_path)
    assert told(look(world, check_datamap), Verdict.FAULT) == []
    world.execute("ALTER TABLE users ADD COLUMN nickname VARCHAR(9)")
    (text,) = told(look(world, check_datamap), Verdict.FAULT)
    assert "users: column nickname" in text
    use(oneperson.MAP.replace("email: surrogate}", "email: surrogate, nickname: null}"))
    assert told(look(world, check_datamap), Verdict.OK) != []


@on("postgresql-one")
def test_a_policy_that_sees_what_a_tenants_session_sees(world: World) -> None:
    """Whether it could run is told without a tenant, whose rows are hidden from whoever is none."""
    world.safety_events()
    world.execute("ALTER TABLE safety_events ENABLE ROW LEVEL SECURITY")
    world.policy(tenant_column="tenant", tenant_session="app.tenant", approve=False)

    def found() -> list[Finding]:
        return list(check_policies(Patient(system=world.system, control_ready=True)))

    assert told(found(), Verdict.NOTE) == ["policy p version 1 waits for approval"]
    privacy.approve_retention_policy("p", ACTOR)
    assert told(found(), Verdict.OK) == ["1 approved; their tables are as they were approved"]
    world.execute("ALTER TABLE safety_events ALTER tenant TYPE TEXT")
    (text,) = told(found(), Verdict.FAULT)
    assert text.startswith("policy p stops: the table or its database changed since it was registered")


@on("sqlite-one")
def test_a_policy_that_nobody_begins(world: World) -> None:
    """What was due longer ago than anybody makes up says that beat is not there; fresh ones do not."""
    world.safety_events()
    world.policy()

    def found() -> list[Finding]:
        return list(check_beat(Patient(system=world.system, control_ready=True)))

    (text,) = told(found(), Verdict.OK)
    assert text.startswith("nothing is overdue; next is p at ")
    with world.control.begin() as connection:
        before = world.value(dt.datetime.now(dt.UTC) - 3 * DAY)
        connection.execute(sa.text("UPDATE data_retention_policies SET planned_until = :at"), {"at": before})
    (text,) = told(found(), Verdict.FAULT)
    # It was due at the first 02:00 after that: before noon or so that is nearer to two days, later to three.
    assert re.match(r"policy p was due [23] days ago and nobody has begun it", text)


@on("sqlite-one")
def test_events_that_nobody_seals(world: World) -> None:
    """Events that have waited for their leaf for longer than an hour are a fault, and no witness is told."""
    found = list(check_log(Patient(system=world.system, control_ready=True)))
    assert told(found, Verdict.FAULT) == []
    (text,) = told(found, Verdict.NOTE)
    assert "nobody else has seen its checkpoints" in text
    world.unbalanced = "the test lets an event of nobody's wait"
    with world.control.begin() as connection:
        # Made in July 2024.
        old = {"id": "0190a0b0-0000-7000-8000-000000000001"}
        connection.execute(sa.text("INSERT INTO audit_pending (id) VALUES (:id)"), old)
    (text,) = told(list(check_log(Patient(system=world.system, control_ready=True))), Verdict.FAULT)
    assert "events wait for their leaf, the oldest for" in text


@on("sqlite-one")
def test_secrets_that_others_can_read(world: World, tmp_path: Path) -> None:
    """Each file that others can read or write, or that is not there, is named with what it is for."""
    password, secret = tmp_path / "password", tmp_path / "secret"
    for path in (password, secret):
        path.write_text("hunter2")
        path.chmod(0o640)
    copy = CopySettings(url="https://copy.example", secret_file=secret)
    app = SourceSettings(url="sqlite:///x", password_file=password, copies={"search": copy})
    settings = replace(world.settings, datasources={"app": app})
    assert told(list(check_secrets(settings)), Verdict.OK) == ["2 files, closed to others"]
    password.chmod(0o644)
    secret.chmod(0o660)
    found = list(check_secrets(settings))
    assert told(found, Verdict.NOTE) == [f"password of data source app: others can read {password}"]
    assert told(found, Verdict.FAULT) == [f"secret of copy search of app: others can write {secret}"]
    secret.unlink()
    assert told(list(check_secrets(settings)), Verdict.FAULT) == [
        f"secret of copy search of app: {secret} cannot be read: No such file or directory"
    ]
    assert found[0].cure == f"chmod 600 {password}"


@on("sqlite+postgresql")
@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("session", "a pooler stands in between, in session mode"),
        ("transaction", "a pooler in transaction mode"),
    ],
)
def test_a_poolers_mode(world: World, mode: str, text: str) -> None:
    """Two idle connections that share a process of the server are told from two that do not."""
    source = world.settings.datasources["app"]
    url = sa.make_url(source.url)
    with Pooler(server=url.render_as_string(hide_password=False), mode=mode) as pooler:
        there = url.set(port=pooler.port, password=None).render_as_string(hide_password=False)
        world.configure(datasources={"app": replace(source, url=there)})
        found = look(world, check_source)
        world.system.close()
    world.configure(datasources={"app": source})
    assert any(finding.text.startswith(text) for finding in found), found


@on("sqlite-one")
def test_the_clock_of_the_broker(world: World, tmp_path: Path) -> None:
    """It is one of those that have to agree."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        world.configure(broker_url=server.url)
        patient = Patient(system=world.system, control_ready=True)
        assert told(list(check_broker(patient)), Verdict.FAULT) == []
    assert abs(patient.offsets["the broker"]) < 5
    patient.offsets["the broker"] -= 3_600
    (text,) = told(list(check_clocks(patient)), Verdict.FAULT)
    assert text == "this host is 60 minutes ahead of the broker"
