"""Epochs of the key store: turned, mended, and the old wrapping key destroyed in its time."""

import datetime as dt
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.audit.epochs import Epochs
from aegis.audit.keyring import rewrapping
from aegis.audit.keyring.keystore import HeldKey, KeyStore, Kind, framed
from aegis.audit.keyring.sealing import seal
from aegis.db import keystore
from aegis.db.engines import writing
from aegis.db.keystore import Epoch, WrappedKey
from aegis.errors import NotPrepared, Refused, Tampered, UnknownName
from aegis.keys import KeyFiles
from aegis.operations.system import System
from aegis.settings import AuditSettings, Settings
from tests import worlds
from tests.workerkit import wait_until

KINDS = ("sqlite", "postgresql", "mariadb")
DAY = dt.timedelta(days=1)
#: Long enough ago that every horizon here is in the past.
START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
#: So small that a few keys are several portions.
PORTION = 20
SOME: dict[Kind, int] = {"subject": PORTION * 2 + 3, "actor": 5, "log": 2, "archive": 1}
NewDatabase = Callable[[str, str], str]


@dataclass(kw_only=True)
class Store:
    """A key store with its epochs, and the test's own look at its tables."""

    system: System
    tables: sa.Engine
    #: Owner → material, of every key that was made and not destroyed.
    made: dict[tuple[Kind, str], bytes] = field(default_factory=dict)
    _open: list[System] = field(default_factory=list)

    @property
    def keystore(self) -> KeyStore:
        """The key store of this process."""
        return self.system.keystore

    @property
    def epochs(self) -> Epochs:
        """Its epochs."""
        return epochs_of(self.system)

    @property
    def folder(self) -> Path:
        """Where the key files are."""
        return self.system.key_files.folder

    def make(self, kind: Kind, owner: str, store: KeyStore | None = None) -> HeldKey:
        """Make a key and remember it."""
        key = (store or self.keystore).key(kind, owner)
        self.made[kind, owner] = key.material
        return key

    def fill(self) -> None:
        """Make keys of every kind."""
        for kind, number in SOME.items():
            for owner in range(number):
                self.make(kind, f"{kind}-{owner}")

    def another(self, **settings: Any) -> System:
        """Return a system as another process has it."""
        system = System(replace(self.system.settings, **settings))
        self._open.append(system)
        return system

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Ask the tables; one column or tuples."""
        with self.tables.connect() as connection:
            rows = connection.execute(sa.text(query), values).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def begin_at(self, moment: dt.datetime) -> None:
        """Let the newest epoch have begun at an instant."""
        newest = sa.select(sa.func.max(Epoch.number)).scalar_subquery()
        with self.tables.connect() as connection:
            number = connection.scalar(sa.select(newest))
            connection.execute(sa.update(Epoch).where(Epoch.number == number).values(began_at=moment))
            connection.commit()

    def events(self, action: str) -> list[dict[str, Any]]:
        """Return the log's events of an action, the oldest first."""
        return self.system.reader.newest(1000, action=action)[::-1]

    def check(self) -> None:
        """Assert that each key that was made is there, opens, and is found by its reference."""
        fresh = self.another().keystore
        assert len(self.rows("SELECT lookup FROM aegis_wrapped_keys WHERE kind <> 'log'")) >= len(
            [kind for kind, _ in self.made if kind != "log"]
        )
        for (kind, owner), material in self.made.items():
            kept = fresh.kept(kind, owner)
            assert kept is not None, f"the {kind} key is lost"
            assert kept.material == material
            found = fresh.existing(kept.reference(owner))
            assert found is not None, f"the {kind} key is not found by its reference"
            assert found.material == material

    def close(self) -> None:
        """Close every connection."""
        for system in (*self._open, self.system):
            system.close()
        self.tables.dispose()


def epochs_of(system: System) -> Epochs:
    """Return the epochs of a system's key store."""
    return Epochs(system.databases, system.key_files, system.keystore, system.recorder)


@pytest.fixture(params=KINDS)
def store(
    request: pytest.FixtureRequest,
    home_template: Path,
    new_database: NewDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Store]:
    """A key store on each kind of database, whose first epoch began long ago."""
    monkeypatch.setattr(rewrapping, "PORTION", PORTION)
    home = tmp_path / "home"
    shutil.copytree(home_template, home, copy_function=shutil.copy2)
    kind = request.param
    url = None if kind == "sqlite" else new_database(kind, "empty")
    system = System(Settings(home=home, keys_url=url, audit=AuditSettings(epoch_days=7, keys_backup_days=35)))
    system.migrate()
    made = Store(system=system, tables=worlds.engine(system.settings.keys.url))
    made.begin_at(START)
    yield made
    made.close()


def on(*kinds: str) -> pytest.MarkDecorator:
    """Run a test on these kinds of database only."""
    return pytest.mark.parametrize("store", kinds, indirect=True)


class TestTurn:
    """Everything comes under a new key, and stays what it was."""

    def test_every_key_is_wrapped_anew_and_opens(self, store: Store) -> None:
        """All kinds, several portions: same keys, other wrapping, found by owner and by reference."""
        store.fill()
        before = dict(store.rows("SELECT lookup, wrapped FROM aegis_wrapped_keys"))
        turned = store.epochs.turn(START + DAY)
        assert (turned.epoch, turned.began, turned.keys) == (2, True, len(before))
        assert turned.destroyed == ()
        after = dict(store.rows("SELECT lookup, wrapped FROM aegis_wrapped_keys WHERE epoch = 2"))
        assert before.keys() <= after.keys()
        assert not set(map(bytes, before.values())) & set(map(bytes, after.values()))
        assert store.rows("SELECT count(*) FROM aegis_wrapped_keys WHERE epoch = 1") == [0]
        store.check()

    def test_nothing_of_the_store_tells_a_reference(self, store: Store) -> None:
        """Neither before nor after a turn a reference of the log stands in the store."""
        reference = store.make("subject", "somebody").reference("somebody")
        store.epochs.turn(START + DAY)
        assert store.rows("SELECT count(*) FROM aegis_wrapped_keys WHERE reference LIKE 's1%'") == [0]
        everything = store.rows("SELECT lookup, reference, wrapped FROM aegis_wrapped_keys")
        assert reference not in repr(everything)

    def test_keys_of_an_older_version(self, store: Store) -> None:
        """Wrapped without their reference, which stood in clear: they open, are found and come along."""
        key = HeldKey(kind="subject", material=bytes(range(32)))
        lookup = store.keystore._lookup("subject", ("old",))  # noqa: SLF001 - what an older version wrote
        wrapped = seal(store.system.key_files.epoch(1).material, key.material, framed(("subject", lookup)))
        values = {"kind": "subject", "lookup": lookup, "reference": key.reference("old"), "epoch": 1}
        with store.tables.begin() as connection:
            connection.execute(sa.insert(WrappedKey).values(**values, wrapped=wrapped, created_at=START))
        store.made["subject", "old"] = key.material
        store.check()
        store.epochs.turn(START + DAY)
        assert store.rows("SELECT count(*) FROM aegis_wrapped_keys WHERE reference LIKE 's1%'") == [0]
        store.check()

    def test_it_is_recorded(self, store: Store) -> None:
        """One event for each epoch that begins and each key that is destroyed, with the key's id."""
        store.epochs.turn(START + DAY, actor="ops@example.com")
        store.epochs.turn(START + 60 * DAY, actor="ops@example.com")
        store.epochs.turn(START + 120 * DAY, actor="ops@example.com")
        ids = {number: store.system.key_files.epoch(number).key_id for number in (3, 4)}
        began = store.events("epoch:begin")
        assert [event["target_id"] for event in began] == ["2", "3", "4"]
        assert {event["target_id"]: event["details"] for event in began[1:]} == {
            str(number): {"key_id": key_id} for number, key_id in ids.items()
        }
        (first, second) = store.events("epoch:destroy")
        assert (first["target_type"], first["target_id"], second["target_id"]) == ("epoch", "1", "2")
        assert first["actor"] == "ops@example.com"
        assert first["details"] == {"key_id": store.rows("SELECT key_id FROM aegis_key_epochs")[0]}

    def test_migrating_again_after_the_first_epoch_is_gone(self, store: Store) -> None:
        """The first epoch's file is needed by nobody any more, not by a migration either."""
        store.epochs.turn(START + DAY)
        store.epochs.turn(START + 60 * DAY)
        store.system.migrate()
        assert [state.number for state in store.epochs.listed() if state.here] == [2, 3]


class TestTime:
    """When a store is turned, and when an old key goes."""

    @on("sqlite")
    def test_due_one_step_either_side(self, store: Store) -> None:
        """An epoch lasts its days to the microsecond; with 0 days it lasts until somebody turns it."""
        step = dt.timedelta(microseconds=1)
        assert not store.epochs.due(START + 7 * DAY - step)
        assert store.epochs.due(START + 7 * DAY)
        never = store.another(audit=AuditSettings(epoch_days=0))
        assert not epochs_of(never).due(START + 10_000 * DAY)
        assert store.epochs.tend(START + 7 * DAY - step).began is False
        assert store.epochs.tend(START + 7 * DAY).epoch == 2
        assert store.epochs.tend(START + 7 * DAY).epoch == 2

    def test_the_old_key_goes_when_no_backup_needs_it(self, store: Store) -> None:
        """One step before the backups' time is over it stays; then its file goes, and it is told."""
        store.fill()
        store.epochs.turn(START + DAY)
        end = START + DAY + 35 * DAY
        assert store.epochs.tend(end - dt.timedelta(microseconds=1)).destroyed == ()
        assert (store.folder / "epoch-1.key").exists()
        turned = store.epochs.tend(end)
        assert (turned.epoch, 1 in turned.destroyed) == (3, True)
        assert not (store.folder / "epoch-1.key").exists()
        state = store.epochs.listed()[0]
        assert (state.destroyed_at, state.here, state.keys) == (end, False, 0)
        assert store.epochs.tend(end).destroyed == ()
        store.check()

    @on("sqlite")
    def test_the_time_begins_when_the_last_key_is_out(self, store: Store, monkeypatch: Any) -> None:
        """A turn that stopped half way and was completed later: backups of that time need the key too."""
        store.fill()
        with monkeypatch.context() as broken:
            broken.setattr(rewrapping, "_move", die)
            with pytest.raises(KeyboardInterrupt):
                store.epochs.turn(START + DAY)
        store.epochs.tend(START + 3 * DAY)
        assert store.epochs.listed()[0].ended_at == START + 3 * DAY
        store.epochs.tend(START + 37 * DAY)
        assert (store.folder / "epoch-1.key").exists()
        store.epochs.tend(START + 38 * DAY)
        assert not (store.folder / "epoch-1.key").exists()

    @on("sqlite")
    def test_the_date_on_a_receipt(self, store: Store) -> None:
        """The end of the epoch and the backups' time; later when the turn is overdue, none without epochs."""
        assert store.epochs.destroyed_by(START + DAY) == START + 42 * DAY
        assert store.epochs.destroyed_by(START + 9 * DAY) == START + 44 * DAY
        assert epochs_of(store.another(audit=AuditSettings(epoch_days=0))).destroyed_by(START) is None
        promised = store.epochs.destroyed_by(START + 2 * DAY)
        assert promised is not None
        store.epochs.tend(START + 7 * DAY)
        store.epochs.tend(promised)
        assert not (store.folder / "epoch-1.key").exists()


def die(*_: Any, **__: Any) -> None:
    """End the process here."""
    raise KeyboardInterrupt


def between_read_and_write(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen after the first portion was read and before it is written."""
    read, todo = rewrapping.portions, [act]

    def portions(*args: Any) -> Iterator[Any]:
        for portion in read(*args):
            while todo:
                todo.pop()()
            yield portion

    monkeypatch.setattr(rewrapping, "portions", portions)


class TestMeanwhile:
    """What others do while the store is turned."""

    def test_a_key_that_is_destroyed_stays_destroyed(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was read before it was destroyed, and is not written again."""
        store.fill()
        reference = store.keystore.key("actor", "actor-1").reference("actor-1")
        other = store.another().keystore
        between_read_and_write(monkeypatch, lambda: other.destroy("actor", "actor-1"))
        for kind in ("subject", "log", "archive"):
            store.made = {owner: key for owner, key in store.made.items() if owner[0] != kind}
            with store.tables.begin() as connection:
                connection.execute(sa.delete(WrappedKey).where(WrappedKey.kind == kind))
        del store.made["actor", "actor-1"]
        store.epochs.turn(START + DAY)
        assert other.kept("actor", "actor-1") is None
        assert other.existing(reference) is None
        store.check()

    def test_a_key_that_was_made_again_is_not_replaced_by_the_old_one(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Destroyed and made again under the same old epoch: the new one counts."""
        old = store.make("actor", "somebody")
        first = first_epoch(store)
        other = store.another().keystore

        def again() -> None:
            other.destroy("actor", "somebody")
            with monkeypatch.context() as slow:
                slow.setattr(keystore, "newest", lambda _: first)
                assert store.make("actor", "somebody", other).material != old.material

        between_read_and_write(monkeypatch, again)
        store.epochs.turn(START + DAY)
        assert store.rows("SELECT epoch FROM aegis_wrapped_keys WHERE kind = 'actor' ORDER BY epoch")[0] == 1
        store.check()
        store.epochs.tend(START + DAY)
        assert store.rows("SELECT DISTINCT epoch FROM aegis_wrapped_keys") == [2]
        store.check()

    @on("postgresql", "mariadb")
    def test_a_key_that_is_made_slowly_keeps_its_epoch(self, store: Store) -> None:
        """A transaction that found the old epoch newest and commits late: the old epoch has not ended."""
        engine = store.another().databases.keys
        fresh = HeldKey(kind="subject", material=bytes(range(32)))
        lookup = store.keystore._lookup("subject", ("late",))  # noqa: SLF001 - written by hand
        with writing(engine, "key store") as connection:
            row = keystore.newest(connection)
            assert row is not None
            wrapping = store.keystore.wrappings.load(row.number, row.key_id)
            turning = threading.Thread(target=epochs_of(store.another()).turn, args=(START + DAY,))
            turning.start()
            wait_until(lambda: store.rows("SELECT max(number) FROM aegis_key_epochs") == [2], "it began")
            about, reference = framed(("subject", lookup)), fresh.reference("late")
            values = {
                "kind": "subject",
                "lookup": lookup,
                "reference": wrapping.blind(reference),
                "epoch": row.number,
                "wrapped": wrapping.wrap(fresh.material, reference, about),
                "created_at": START,
            }
            connection.execute(sa.insert(WrappedKey).values(**values))
        turning.join()
        store.made["subject", "late"] = fresh.material
        left = store.rows("SELECT count(*) FROM aegis_wrapped_keys WHERE epoch = 1")
        assert left == [0] or store.epochs.listed()[0].ended_at is None
        store.check()
        store.epochs.tend(START + DAY)
        assert store.epochs.listed()[0].keys == 0
        assert store.epochs.listed()[0].ended_at is not None
        store.check()

    def test_two_make_the_same_key(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """The key of whoever was first counts for both: nobody is two people to the log."""
        first = store.another().keystore
        drawing(monkeypatch, lambda: store.make("subject", "one", first))
        assert store.keystore.key("subject", "one").material == store.made["subject", "one"]
        store.check()

    @on("postgresql", "mariadb")
    def test_two_make_the_same_keys_of_many(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same where the keys of many are made in one transaction."""
        first = store.another().keystore
        drawing(monkeypatch, lambda: store.make("subject", "one", first))
        store.keystore.make_missing("subject", [("one",), ("two",)])
        for owner in ("one", "two"):
            store.make("subject", owner)
        assert first.key("subject", "one").material == store.made["subject", "one"]
        store.check()

    def test_many_at_once(self, store: Store) -> None:
        """Two turn, three make keys, one destroys some, again and again: nothing is lost or comes back."""
        store.fill()
        audit = AuditSettings(epoch_days=7, keys_backup_days=0)
        systems = [store.another(audit=audit) for _ in range(6)]

        def turning(system: System) -> None:
            for day in range(4):
                epochs_of(system).turn(START + day * DAY)

        def making(system: System) -> None:
            for owner in range(25):
                store.make("subject", f"{id(system)}-{owner}", system.keystore)

        def destroying(system: System) -> None:
            for owner in range(0, SOME["subject"], 5):
                system.keystore.destroy("subject", f"subject-{owner}")

        works = [turning, turning, making, making, making, destroying]
        with ThreadPoolExecutor(len(works)) as pool:
            assert list(pool.map(lambda work, system: work(system), works, systems)) == [None] * len(works)
        gone = [f"subject-{owner}" for owner in range(0, SOME["subject"], 5)]
        for owner in gone:
            del store.made["subject", owner]
        end = START + 400 * DAY
        epochs_of(store.another(audit=audit)).turn(end)
        fresh = store.another().keystore
        assert all(fresh.kept("subject", owner) is None for owner in gone)
        store.check()
        newest = store.rows("SELECT max(number) FROM aegis_key_epochs")[0]
        assert store.rows("SELECT DISTINCT epoch FROM aegis_wrapped_keys") == [newest]
        assert store.system.key_files.numbers("epoch") == [newest]


def drawing(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Let something happen once, just before a process draws a key that it found missing."""
    draw = secrets.token_bytes

    def late(size: int) -> bytes:
        monkeypatch.setattr(secrets, "token_bytes", draw)
        work()
        return draw(size)

    monkeypatch.setattr(secrets, "token_bytes", late)


def first_epoch(store: Store) -> Any:
    """Return the first epoch as a process sees it while it is the newest."""
    with writing(store.system.databases.keys, "key store") as connection:
        return keystore.newest(connection)


class TestOpenProcesses:
    """A process that has the store open while another one turns it."""

    def test_it_goes_on(self, store: Store) -> None:
        """Old and new keys, by owner and by reference, although the epoch's file it began with is gone."""
        now = [0.0]
        system = store.another(audit=AuditSettings(keys_backup_days=0))
        held = KeyStore(system.databases, system.key_files, clock=lambda: now[0])
        one = store.make("subject", "one", held)
        assert epochs_of(system).turn(START + DAY).destroyed == (1,)
        assert held.key("subject", "one") == one
        assert held.existing(one.reference("one")) == one
        two = store.make("subject", "two", held)
        now[0] = KeyStore.SECONDS
        assert held.key("subject", "one") == one
        assert held.existing(two.reference("two")) == two
        store.check()

    def test_a_destroyed_key_is_forgotten_in_time(self, store: Store) -> None:
        """Up to a minute another process may use it; then it gets a new one, and the old never returns."""
        now = [0.0]
        system = store.another()
        held = KeyStore(system.databases, system.key_files, clock=lambda: now[0])
        old = held.key("subject", "one")
        store.keystore.destroy("subject", "one")
        now[0] = KeyStore.SECONDS - 0.001
        assert held.key("subject", "one") == old
        assert store.keystore.kept("subject", "one") is None
        now[0] = KeyStore.SECONDS
        fresh = held.key("subject", "one")
        assert fresh.material != old.material
        assert fresh.reference("one") != old.reference("one")
        assert held.existing(old.reference("one")) is None

    @on("sqlite")
    def test_one_that_destroys_a_key_forgets_it_at_once(self, store: Store) -> None:
        """No minute in the process that did it."""
        old = store.keystore.key("actor", "one")
        store.keystore.destroy("actor", "one")
        assert store.keystore.key("actor", "one").material != old.material

    @on("sqlite")
    def test_an_old_epochs_key_is_forgotten_too(self, store: Store) -> None:
        """What was destroyed on disk is not kept in memory for longer than a minute."""
        now = [0.0]
        held = KeyStore(store.system.databases, store.system.key_files, clock=lambda: now[0])
        held.key("subject", "one")
        assert [wrapping.number for wrapping in held.wrappings.known] == [1]
        now[0] = KeyStore.SECONDS
        assert held.wrappings.known == []


class TestHosts:
    """Key files on several machines."""

    def test_a_machine_without_the_new_file(self, store: Store, tmp_path: Path) -> None:
        """It says which file it lacks and makes no other in its place; with a copy it goes on."""
        key = store.make("subject", "one")
        there = tmp_path / "there"
        shutil.copytree(store.system.settings.home, there)
        other = store.another(home=there, keys_url=store.system.settings.keys.url)
        store.epochs.turn(START + DAY)
        missing = r"there/keys/epoch-2\.key, is missing"
        with pytest.raises(NotPrepared, match=missing):
            other.keystore.key("subject", "one")
        with pytest.raises(NotPrepared, match=missing):
            other.keystore.key("subject", "new")
        with pytest.raises(NotPrepared, match=missing):
            other.keystore.existing(key.reference("one"))
        shutil.copy2(store.folder / "epoch-2.key", there / "keys")
        assert other.keystore.key("subject", "one") == key

    @on("sqlite")
    def test_a_file_that_was_prepared_is_the_one_that_is_used(self, store: Store, tmp_path: Path) -> None:
        """Made first, copied to the others, then turned: no machine lacks it for a moment."""
        store.make("subject", "one")
        path = store.epochs.prepare()
        assert path == store.epochs.prepare()
        assert store.rows("SELECT max(number) FROM aegis_key_epochs") == [1]
        there = tmp_path / "there"
        shutil.copytree(store.system.settings.home, there)
        other = store.another(home=there, keys_url=store.system.settings.keys.url)
        store.epochs.turn(START + DAY)
        assert other.keystore.kept("subject", "one") is not None
        assert KeyFiles(there).epoch(2) == store.system.key_files.epoch(2)

    @on("sqlite")
    def test_a_file_that_is_destroyed_elsewhere_goes_here_too(self, store: Store, tmp_path: Path) -> None:
        """Each machine removes its own copies the next time it looks."""
        store.epochs.turn(START + DAY)
        there = tmp_path / "there"
        shutil.copytree(store.system.settings.home, there)
        other = store.another(home=there, keys_url=store.system.settings.keys.url)
        assert store.epochs.tend(START + 36 * DAY).destroyed == (1,)
        shutil.copy2(store.folder / "epoch-3.key", there / "keys")
        assert epochs_of(other).tend(START + 36 * DAY).destroyed == (1,)
        assert KeyFiles(there).numbers("epoch") == [2, 3]
        assert len(store.events("epoch:destroy")) == 1


class TestLost:
    """An epoch key whose file is gone."""

    def test_what_is_said(self, store: Store) -> None:
        """Which file, which backup, what is lost without it, and the command for the worst."""
        store.make("subject", "one")
        (store.folder / "epoch-1.key").unlink()
        with pytest.raises(NotPrepared) as told:
            store.another().keystore.key("subject", "one")
        for words in (r"epoch-1.key", "backup of the key files", "sealed details", "turn --give-up 1"):
            assert words in str(told.value)

    def test_a_turn_does_what_it_can(self, store: Store) -> None:
        """Keys of other epochs are wrapped anew and new ones can be made; then it says what is stuck."""
        store.make("subject", "stuck")
        store.epochs.turn(START + DAY)
        with store.tables.begin() as connection:
            late = HeldKey(kind="subject", material=bytes(range(32)))
            wrapping = store.keystore.wrappings.load(1, store.epochs.listed()[0].key_id)
            lookup = store.keystore._lookup("subject", ("late",))  # noqa: SLF001 - made by a slow process
            values = {"kind": "subject", "lookup": lookup, "epoch": 1, "created_at": START}
            values["reference"] = wrapping.blind(late.reference("late"))
            values["wrapped"] = wrapping.wrap(
                late.material, late.reference("late"), framed(("subject", lookup))
            )
            connection.execute(sa.insert(WrappedKey).values(**values))
            connection.execute(sa.update(Epoch).values(ended_at=None))
        aside = (store.folder / "epoch-1.key").rename(store.folder / "aside")
        system = store.another()
        with pytest.raises(NotPrepared, match=r"stay under their old epoch: 1\. .*epoch-1\.key"):
            epochs_of(system).turn(START + 2 * DAY)
        assert store.rows(
            "SELECT epoch, count(*) FROM aegis_wrapped_keys WHERE kind = 'subject' GROUP BY epoch "
            "ORDER BY epoch"
        ) == [(1, 1), (3, 1)]
        store.check()
        aside.rename(store.folder / "epoch-1.key")
        assert epochs_of(store.another()).tend(START + 2 * DAY).keys == 1
        store.made["subject", "late"] = late.material
        store.check()

    def test_given_up_for_good(self, store: Store) -> None:
        """Its keys go, their owners get new ones, everybody works again, and the log tells how many went."""
        old = store.keystore.key("subject", "one")
        store.system.recorder.actor_ref("system")
        keys = store.rows("SELECT count(*) FROM aegis_wrapped_keys")[0]
        (store.folder / "epoch-1.key").unlink()
        system = store.another()
        with pytest.raises(NotPrepared):
            system.recorder.actor_ref("system")
        assert epochs_of(system).give_up(1, START + DAY, actor="ops@example.com") == keys
        assert system.keystore.key("subject", "one").material != old.material
        assert system.keystore.existing(old.reference("one")) is None
        (event,) = store.events("epoch:destroy")
        assert (event["details"]["lost"], event["target_id"]) == (keys, "1")
        assert [event["target_id"] for event in store.events("epoch:begin")] == ["2"]
        with pytest.raises(Refused, match="destroyed"):
            epochs_of(system).give_up(1, START + DAY, actor="ops@example.com")

    def test_an_older_one_given_up(self, store: Store) -> None:
        """What a newer epoch wraps stays as it is, and no other one begins."""
        old = store.keystore.key("subject", "old")
        (store.folder / "epoch-1.key").unlink()
        system = store.another()
        with pytest.raises(NotPrepared, match=r"epoch-1\.key"):
            epochs_of(system).turn(START + DAY)
        store.make("subject", "new", system.keystore)
        assert epochs_of(system).give_up(1, START + 2 * DAY, actor="ops@example.com") >= 1
        assert system.keystore.existing(old.reference("old")) is None
        assert [epoch.number for epoch in epochs_of(system).listed()] == [1, 2]
        store.check()

    @on("sqlite")
    def test_a_file_with_another_key(self, store: Store, tmp_path: Path) -> None:
        """A key of another installation in its place is refused by name, and nothing is wrapped with it."""
        store.make("subject", "one")
        place, other = store.folder / "epoch-1.key", KeyFiles(tmp_path / "other")
        other.create()
        kept = place.read_text("utf-8")
        shutil.copy2(other.folder / "epoch-1.key", place)
        fresh = store.another().keystore
        for owner in ("one", "two"):
            with pytest.raises(NotPrepared, match="restore the epoch keys that belong to this key store"):
                fresh.key("subject", owner)
        place.write_text(kept, "utf-8")
        assert fresh.kept("subject", "two") is None
        store.check()

    @on("sqlite")
    def test_a_store_without_an_epoch(self, store: Store) -> None:
        """Nothing is wrapped under a key that the store does not know; `aegis migrate` notes the one here."""
        with store.tables.begin() as connection:
            connection.execute(sa.delete(WrappedKey))
            connection.execute(sa.delete(Epoch))
        system = store.another()
        for use in (lambda: system.keystore.key("subject", "one"), lambda: epochs_of(system).due(START)):
            with pytest.raises(NotPrepared, match="has no epoch; run `aegis migrate`"):
                use()
        system.migrate()
        store.make("subject", "one", system.keystore)
        store.check()

    @on("sqlite")
    def test_what_is_not_lost_is_not_given_up(self, store: Store) -> None:
        """A key that is here, and an epoch that never was."""
        store.make("subject", "one")
        with pytest.raises(Refused, match="is here"):
            store.epochs.give_up(1, START, actor="x")
        with pytest.raises(UnknownName, match="no epoch 7"):
            store.epochs.give_up(7, START, actor="x")
        store.check()

    @on("sqlite")
    def test_wrapped_bytes_that_were_changed(self, store: Store) -> None:
        """They are told of, the others are wrapped anew, and the epoch does not end."""
        store.make("subject", "one")
        store.make("archive", "two")
        with store.tables.begin() as connection:
            connection.execute(
                sa.text("UPDATE aegis_wrapped_keys SET wrapped = x'00' WHERE kind = 'archive'")
            )
        with pytest.raises(Tampered, match="the key of epoch 1"):
            store.another().keystore.key("archive", "two")
        with pytest.raises(NotPrepared, match="stay under their old epoch: 1"):
            epochs_of(store.another()).turn(START + DAY)
        del store.made["archive", "two"]
        assert store.epochs.listed()[0].ended_at is None
        store.check()


class TestBytes:
    """What an SQLite key store's files still have of a key that was destroyed."""

    @on("sqlite")
    def test_no_byte_of_a_destroyed_key_is_left(self, store: Store) -> None:
        """Neither the file nor its write-ahead log has a wrapped key that was destroyed or wrapped anew."""
        for owner in range(600):
            store.make("subject", f"one-{owner}")
        wrapped = dict(store.rows("SELECT lookup, wrapped FROM aegis_wrapped_keys"))
        assert any(value in files(store) for value in wrapped.values()), "the test finds what is there"
        for owner in range(0, 600, 3):
            store.keystore.destroy("subject", f"one-{owner}")
            del store.made["subject", f"one-{owner}"]
        kept = dict(store.rows("SELECT lookup, wrapped FROM aegis_wrapped_keys"))
        found = files(store)
        assert [lookup for lookup, value in wrapped.items() if lookup not in kept and value in found] == []
        assert all(value in found for value in kept.values())
        store.epochs.turn(START + DAY)
        found = files(store)
        assert [lookup for lookup, value in wrapped.items() if value in found] == []
        assert store.rows("SELECT count(*) FROM aegis_wrapped_keys")[0] >= 400
        store.check()

    @on("sqlite")
    def test_secure_delete_is_on(self, store: Store) -> None:
        """Each connection of the store overwrites what it deletes."""
        with store.system.databases.keys.connect() as connection:
            assert connection.scalar(sa.text("PRAGMA secure_delete")) == 1

    @on("sqlite")
    def test_a_reader_in_the_way(self, store: Store) -> None:
        """While somebody reads, the bytes stay in the write-ahead log; the next turn removes them."""
        # So many that what is written next does not happen to overwrite them.
        for owner in range(40):
            store.make("subject", f"one-{owner}")
        lookup = store.keystore._lookup("subject", ("one-39",))  # noqa: SLF001 - which row is whose
        (wrapped,) = store.rows("SELECT wrapped FROM aegis_wrapped_keys WHERE lookup = :one", one=lookup)
        with store.tables.connect() as reader:
            reader.exec_driver_sql("BEGIN")
            reader.execute(sa.text("SELECT count(*) FROM aegis_wrapped_keys")).all()
            store.keystore.destroy("subject", "one-39")
            reader.rollback()
            # It stays connected: SQLite empties the log when the last connection goes.
            assert wrapped in files(store)
            store.epochs.tend(START + DAY)
            assert wrapped not in files(store)


def files(store: Store) -> bytes:
    """Return every byte of the store's files."""
    home = store.system.settings.home
    return b"".join(path.read_bytes() for path in sorted(home.glob("keys.db*")))


class TestRestored:
    """A key store that came back from a backup."""

    @on("sqlite")
    def test_a_destroyed_key_is_back_until_its_epoch_is_gone(self, store: Store, tmp_path: Path) -> None:
        """With the epoch's key the backup opens it; from the promised day on nobody can."""
        key = store.keystore.key("subject", "erased")
        reference = key.reference("erased")
        backup = backed_up(store, tmp_path / "backup.db")
        store.keystore.destroy("subject", "erased")
        promised = store.epochs.destroyed_by(START + DAY)
        assert promised is not None
        restored = restored_from(store, backup)
        assert restored.keystore.existing(reference) == key
        store.epochs.turn(START + 7 * DAY)
        store.epochs.tend(promised)
        restored = restored_from(store, backup)
        with pytest.raises(NotPrepared, match=r"epoch-1\.key"):
            restored.keystore.kept("subject", "erased")
        with pytest.raises(NotPrepared, match=r"epoch-1\.key"):
            restored.keystore.existing(reference)
        assert reference.encode() not in backup.read_bytes()

    @on("sqlite")
    def test_it_goes_on_from_where_it_was(self, store: Store, tmp_path: Path) -> None:
        """Turned again it uses the files that are there, destroys none that it needs, and all keys open."""
        store.make("subject", "one")
        store.epochs.turn(START + DAY)
        backup = backed_up(store, tmp_path / "backup.db")
        store.keystore.key("subject", "made after the backup")
        store.epochs.turn(START + 8 * DAY)
        restored = restored_from(store, backup)
        turned = epochs_of(restored).turn(START + 9 * DAY)
        assert (turned.epoch, turned.keys > 0) == (3, True)
        one = restored.keystore.kept("subject", "one")
        assert one is not None
        assert one.material == store.made["subject", "one"]
        assert restored.keystore.kept("subject", "made after the backup") is None
        assert epochs_of(restored).tend(START + 100 * DAY).epoch == 4
        assert restored.keystore.kept("subject", "one") == one

    @on("sqlite")
    def test_lost_without_a_backup(self, store: Store) -> None:
        """An empty store begins with the newest key file: nobody's old events open, and everybody goes on."""
        old = store.keystore.key("subject", "somebody").reference("somebody")
        store.epochs.turn(START + DAY)
        store.epochs.turn(START + 60 * DAY)
        store.close()
        for path in store.system.settings.home.glob("keys.db*"):
            path.unlink()
        system = store.another()
        system.prepare()
        assert [(state.number, state.keys) for state in epochs_of(system).listed()] == [(3, 0)]
        assert system.keystore.existing(old) is None
        assert system.keystore.key("subject", "somebody").reference("somebody") != old
        assert epochs_of(system).turn(START + 61 * DAY).epoch == 4


def backed_up(store: Store, path: Path) -> Path:
    """Make a backup of an SQLite key store."""
    with store.tables.connect() as connection:
        connection.execute(sa.text("VACUUM INTO :path"), {"path": str(path)})
    return path


def restored_from(store: Store, backup: Path) -> System:
    """Return a system whose key store is a backup, beside the key files of today."""
    copy = backup.with_name(f"restored-{len(store._open)}.db")  # noqa: SLF001 - a name of its own
    shutil.copy2(backup, copy)
    return store.another(keys_url=f"sqlite:///{copy}")
