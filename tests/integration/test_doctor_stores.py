"""What the doctor says of the host, and of Aegis's own databases, with the fault really there."""

import functools
import importlib.metadata
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from aegis.db import facts
from aegis.db.journal import VERSION
from aegis.doctor.backlogs import check_backlogs, check_purges, check_runs
from aegis.doctor.broker import check_broker, refuse_unfit_broker
from aegis.doctor.erasures import check_erasures
from aegis.doctor.findings import Finding, Found, Verdict, careful, span
from aegis.doctor.holds import check_holds
from aegis.doctor.host import check_keys, check_programs, check_settings
from aegis.doctor.indexes import check_indexes
from aegis.doctor.log import check_log
from aegis.doctor.patient import Patient
from aegis.doctor.servers import remarks
from aegis.doctor.sources import check_source
from aegis.doctor.stores import check_control, check_keystore
from aegis.doctor.tables import check_tables
from aegis.doctor.tenants import check_tenants
from aegis.errors import SettingsError, Unreachable
from aegis.operations import holds
from aegis.operations.system import System
from aegis.settings import Settings, SourceSettings
from tests.integration.test_holds import place
from tests.worlds import ACTOR, World, on

Check = Callable[[Patient], Found]


def look(world: World, check: Check, *, ready: bool = True) -> list[Finding]:
    """Make a check."""
    return careful("a check", functools.partial(check, Patient(system=world.system, control_ready=ready)))


def source(patient: Patient) -> Found:
    """Check the application's data source."""
    return check_source(patient, "app")


def told(found: list[Finding], verdict: Verdict = Verdict.FAULT) -> list[tuple[str, str | None]]:
    """Return texts and cures of one verdict."""
    return [(finding.text, finding.cure) for finding in found if finding.verdict is verdict]


def change(world: World, statement: str, **values: object) -> None:
    """Change the control database behind Aegis's back."""
    world.unbalanced = "the test writes to Aegis's own tables"
    with world.control.begin() as connection:
        connection.execute(sa.text(statement), values)


class TestHost:
    """Programs, settings and key files."""

    @pytest.mark.parametrize(
        ("celery", "kombu", "expected"),
        [
            ("5.5.3", "5.5.4", [(Verdict.FAULT, "this Celery is not tested")]),
            ("5.6.0", "5.6.1", [(Verdict.OK, "celery 5.6.0, kombu 5.6.1")]),
            ("5.7.0", "5.7.0", [(Verdict.OK, "celery 5.7.0"), (Verdict.OK, "`aegis worker` has the cure")]),
        ],
    )
    def test_programs(
        self, monkeypatch: pytest.MonkeyPatch, celery: str, kombu: str, expected: list[tuple[Verdict, str]]
    ) -> None:
        """A Celery that was never tried is a fault; a kombu with a known one is told with what helps."""
        versions = {"celery": celery, "kombu": kombu, "redis": "6.4.0"}
        monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)
        found = list(check_programs())
        assert [finding.verdict for finding in found] == [verdict for verdict, _ in expected]
        assert all(text in finding.text for finding, (_, text) in zip(found, expected, strict=True))
        cure = "install a tested one: pip install 'celery==5.7.*'"
        assert told(found) == [(f.text, cure) for f in found if f.verdict is Verdict.FAULT]

    def test_policies_that_nobody_approves(self, tmp_path: Path) -> None:
        """It is worth knowing that they run as soon as they are there."""
        found = list(check_settings(Settings(home=tmp_path, approval="off")))
        text = "approval is off: a policy runs as soon as it is registered"
        assert told(found, Verdict.NOTE) == [(text, 'set approval = "required" in aegis.toml')]

    @on("sqlite-one")
    def test_keys_in_a_folder_that_is_open(self, world: World) -> None:
        """The folder is named with what closes it; then the keys are told."""
        folder = world.system.key_files.folder
        folder.chmod(0o750)
        found = look(world, check_keys)
        assert told(found) == [(f"{folder} is open to others", f"chmod 700 {folder}")]
        folder.chmod(0o700)
        assert told(look(world, check_keys)) == []

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(7.25, "7.2 seconds"), (130, "2 minutes"), (7_300, "2 hours"), (200_000, "2 days")],
    )
    def test_lengths_of_time(self, seconds: float, text: str) -> None:
        """As people say them."""
        assert span(seconds) == text

    def test_a_server_that_is_not_tested(self) -> None:
        """It is worth knowing, with what is; a replica is a fault."""
        server = facts.Server(label="PostgreSQL 9.6", tested=False, read_only=False, pooled=False)
        (found,) = remarks("control database", server)
        text = "PostgreSQL 9.6 is not tested (PostgreSQL 15, MariaDB 10.11, SQLite 3.40 or newer is)"
        assert (found.verdict, found.text) == (Verdict.NOTE, text)
        (found,) = remarks("control database", replace(server, tested=True, read_only=True))
        assert (found.verdict, found.cure) == (Verdict.FAULT, "name the primary's address")


@on("sqlite-one")
@pytest.mark.parametrize(
    "check",
    [
        check_backlogs,
        check_runs,
        check_purges,
        check_holds,
        check_erasures,
        check_log,
        *(functools.partial(check, name="default") for check in (check_tables, check_indexes, check_tenants)),
    ],
)
def test_where_nothing_was_made_yet(world: World, check: Check) -> None:
    """There is nothing to say of what is in it, neither good nor bad."""
    assert list(check(Patient(system=world.system, fresh=True))) == []


class TestBroker:
    """The broker's address."""

    @on("sqlite-one")
    def test_a_password_that_cannot_be_read(self, world: World, tmp_path: Path) -> None:
        """Doctor and worker say which file, and what to correct."""
        world.configure(broker_password_file=tmp_path / "none")
        ((text, cure),) = told(look(world, check_broker))
        assert "No such file or directory" in text
        assert cure == "correct broker_url or broker_password_file"
        with pytest.raises(SettingsError, match=f"No such file or directory.*; {cure}"):
            refuse_unfit_broker(world.settings)


class TestStores:
    """The control database and the key store."""

    @on("sqlite-one")
    def test_a_network_file_system(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither store may be a file on one."""
        mounts = tmp_path / "mounts"
        mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/home {world.settings.home} nfs4 rw 0 0\n")
        remote = functools.partial(facts.remote_file_system, mounts=mounts)
        monkeypatch.setattr(facts, "remote_file_system", remote)
        for check, name, cure in (
            (check_control, "aegis.db", "move it to a local disk, or use PostgreSQL: AEGIS_DATABASE_URL"),
            (check_keystore, "keys.db", "move it to a local disk, or use PostgreSQL: AEGIS_DATABASE_URL"),
        ):
            path = world.settings.home / name
            text = f"{path} is on a network file system (nfs4), where SQLite's locks cannot be relied on"
            assert told(look(world, check)) == [(text, cure)]

    @on("sqlite-one")
    def test_a_file_that_several_hosts_use(self, world: World) -> None:
        """Runs that another host has claimed tell it; those of this one do not."""
        world.safety_events()
        world.policy()
        world.start()
        for owner, found in ((f"{socket.gethostname()}/1", []), ("elsewhere/1", ["elsewhere"])):
            change(world, "UPDATE aegis_runs SET lease_owner = :owner", owner=owner)
            text = "an SQLite file serves one host, but runs are also claimed from {}"
            cure = "use PostgreSQL for it: AEGIS_DATABASE_URL"
            assert told(look(world, check_control)) == [(text.format(name), cure) for name in found]

    @on("sqlite-one")
    def test_epochs_and_their_keys(self, world: World) -> None:
        """A key file of another store, and a store without an epoch, are told."""
        held = world.system.key_files.epoch(1).key_id
        engine = world.system.databases.keys
        assert told(look(world, check_keystore)) == []
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE aegis_key_epochs SET key_id = 'another'")
        text = f"epoch 1 was wrapped with key another, the file is {held}"
        cure = "restore the epoch key that belongs to this key store"
        assert told(look(world, check_keystore)) == [(text, cure)]
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM aegis_wrapped_keys")
            connection.exec_driver_sql("DELETE FROM aegis_key_epochs")
        assert told(look(world, check_keystore)) == [("it has no epoch yet", "aegis migrate")]

    @on("sqlite-one")
    def test_keys_beside_the_log(self, world: World) -> None:
        """Worth knowing where one backup would hold both."""
        assert told(look(world, check_keystore), Verdict.NOTE) == []
        system = System(replace(world.settings, keys_url=world.settings.control.url))
        system.migrate()
        found = list(check_keystore(Patient(system=system)))
        system.close()
        text = "it stands in the control database: one backup holds the log and its keys"
        assert told(found, Verdict.NOTE) == [(text, "give it a database of its own: AEGIS_KEYS_URL")]


class TestSources:
    """A data source's journal, and what the control database knows of it."""

    @on("sqlite+sqlite")
    def test_a_journal_of_another_version(self, world: World) -> None:
        """Migrating it is the cure."""
        world.unbalanced = "the test writes to the journal"
        assert told(look(world, source)) == []
        newer = r"UPDATE aegis_journal SET counts = json_set(counts, '$.version', 99)"
        assert world.execute(f"{newer} WHERE counts ->> '$.version' = {VERSION}") == 1
        text = f"its journal has version 99, expected {VERSION}"
        assert told(look(world, source)) == [(text, "aegis migrate --datasource app")]

    @on("sqlite+sqlite")
    @pytest.mark.parametrize(
        ("state", "cure"),
        [
            ("reverted", "compare journal and log; then aegis retention resume --datasource app"),
            ("tampered", "compare journal and log; then do not go on"),
        ],
    )
    def test_a_source_on_which_nothing_runs(self, world: World, state: str, cure: str) -> None:
        """With its reason, and whether there is a way on; not told where the control database is away."""
        world.safety_events()
        world.policy()
        world.enforce()
        change(world, "UPDATE aegis_sources SET state = :state, reason = 'rows are gone'", state=state)
        text = f"nothing runs on it, it is {state}: rows are gone"
        assert told(look(world, source)) == [(text, cure)]
        assert told(look(world, source, ready=False)) == []


class TestLog:
    """The audit log."""

    @on("sqlite-one")
    def test_a_log_without_a_key(self, world: World) -> None:
        """Nothing of it is sealed."""
        change(world, "DELETE FROM aegis_audit_state")
        text = "it has no signing key: events are recorded and nothing is sealed"
        assert told(look(world, check_log)) == [
            (text, "aegis audit keys init, on the machine that is to seal it")
        ]

    @on("sqlite-one")
    def test_a_log_that_was_halted(self, world: World) -> None:
        """With the reason that the sealer gave."""
        change(world, "UPDATE aegis_audit_state SET halted = 'the database is behind its witness'")
        ((text, cure),) = told(look(world, check_log))
        assert text == "the database is behind its witness"
        assert str(cure).endswith("aegis audit recover --new-incarnation")

    @on("sqlite-one")
    def test_witnesses(self, world: World) -> None:
        """They are counted; one that does not cosign is a fault, with its reason."""
        add = "INSERT INTO aegis_audit_witnesses (name, vkey, url, size) VALUES (:name, 'k', 'https://x', 0)"
        for name, counted in (("one", "1 witness"), ("two", "2 witnesses")):
            change(world, add, name=name)
            found = look(world, check_log)
            assert [finding.verdict for finding in found] == [Verdict.OK]
            assert found[0].text.endswith(f", {counted}")
        change(
            world,
            "UPDATE aegis_audit_witnesses SET failed_at = :at, reason = :why WHERE name = 'two'",
            at="2026-01-01 00:00:00",
            why="it does not answer",
        )
        assert told(look(world, check_log)) == [
            ("witness two: it does not answer", "`aegis audit witness push` tries again")
        ]


@on("sqlite-one")
def test_a_run_that_nobody_works_on(world: World) -> None:
    """It is named with its policy, and what goes on with it."""
    world.safety_events()
    world.policy()
    run = world.start()
    assert told(look(world, check_runs), Verdict.OK) == [
        ("every unfinished run is worked on, or waits as it should", None)
    ]
    change(world, "UPDATE aegis_runs SET sent_at = '2020-01-01 00:00:00.000000'")
    ((text, cure),) = told(found := look(world, check_runs))
    assert text == f"run {run} of policy p is accepted, and nobody works on it"
    assert str(cure).endswith("`aegis retention run --policy p --execute`")
    assert len(found) == 1


@on("sqlite+sqlite")
def test_a_release_that_did_not_arrive(world: World) -> None:
    """The hold still holds in a source that was away, and what completes the release is told."""
    world.safety_events()
    hold = place(world)
    there = world.settings.datasources["app"]
    world.configure(datasources={"app": SourceSettings(url="postgresql://aegis:x@127.0.0.1:1/nowhere")})
    with pytest.raises(Unreachable):
        holds.release(world.system, hold, actor=ACTOR)
    text = f"hold {hold} is released, but data source app has not heard of it"
    cure = "make the data source reachable; a worker, or the next run on it, completes the release"
    assert told(look(world, check_holds)) == [(text, cure)]
    world.configure(datasources={"app": there})
    holds.release(world.system, hold, actor=ACTOR)
    assert look(world, check_holds) == []
