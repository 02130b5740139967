"""What is left of a person in the log after their key was destroyed, lost or stolen."""

import base64
import datetime as dt
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aegis.audit import events, head, proofs, proving
from aegis.audit.epochs import Epochs
from aegis.audit.keyring.keystore import HeldKey
from aegis.audit.proofs import Proof
from aegis.audit.recorder import store
from aegis.audit.tlog import merkle, tiles
from aegis.audit.verification.verify import verify
from aegis.db.engines import reading, snapshot, writing
from aegis.db.tables import AuditLeaf, AuditLog
from aegis.errors import NotPrepared, Refused, Tampered
from aegis.keys import KEY_BYTES, KeyFiles
from aegis.operations.system import System, current
from api import archives, audit, log, privacy
from tests import worlds
from tests.worlds import ACTOR, CANARY, World

PERSON = f"person-{CANARY}"
SECRET = f"street-{CANARY}"
OTHERS = "person-other"
#: Events about persons, of which three are about this one.
NOTES = 24
GONE = {"sealed": "its key was destroyed"}
CONTROL = "control database"


@pytest.fixture(params=worlds.EACH_DATABASE)
def world(request: pytest.FixtureRequest, builder: worlds.Builder, tmp_path: Path) -> Iterator[World]:
    """A world whose log has a key, and events about two persons; no rows change here."""
    made = builder.build(request.param, tmp_path)
    with reading(made.system.databases.control, CONTROL) as connection:
        begun = head.begun(connection)
    if begun is None:
        log.begin_log("logs.example.com/test", actor="tests")
    for number in range(NOTES):
        about = PERSON if number % 8 == 7 else OTHERS
        audit.record_audit("note", ACTOR, "user", about, {"street": SECRET, "number": number})
    audit.seal_audit_log()
    yield made
    made.close()


on_sqlite = worlds.on("sqlite-one")


def about(person: str) -> list[dict[str, Any]]:
    """Return the events about a person as the log shows them, by their reference."""
    key = key_of(person)
    reference = key.reference("", "user", person)
    return [event for event in audit.get_audit_events(1000) if event["target_id"] == reference]


def key_of(person: str) -> HeldKey:
    """Return a person's key, which is there."""
    found = current().keystore.kept("subject", "", "user", person)
    assert found is not None
    return found


def forget(world: World, person: str) -> str:
    """Destroy a person's key; return the reference that stands in the log."""
    reference = key_of(person).reference("", "user", person)
    world.system.keystore.destroy("subject", "", "user", person)
    return reference


def check_intact(world: World) -> None:
    """Assert that the log verifies, by its own verification and by the leaf hashes in the tiles."""
    published = world.system.published
    report = verify(world.system.databases, published.policy(), published=published.checkpoint())
    assert report.findings == ()
    query = sa.select(AuditLeaf.leaf, AuditLog.entry).join(AuditLog, AuditLog.id == AuditLeaf.id)
    with snapshot(world.system.databases.control, CONTROL) as connection:
        rows = connection.execute(query.order_by(AuditLeaf.leaf)).all()
        numbers = range((len(rows) + tiles.WIDTH - 1) // tiles.WIDTH)
        hashes = [part for number in numbers for part in tiles.hashes_of(head.tile(connection, 0, number))]
    assert len(rows) > NOTES
    assert [row.leaf for row in rows] == list(range(len(rows)))
    assert hashes == [merkle.leaf_hash(row.entry) for row in rows]


def stores(world: World) -> dict[str, list[bytes]]:
    """Return every row of the control database and the key store as bytes, by table."""
    found: dict[str, list[bytes]] = {}
    keys = worlds.engine(world.settings.keys.url)
    for place, engine in (("control", world.control), ("keys", keys)):
        for name in sa.inspect(engine).get_table_names():
            with engine.connect() as connection:
                rows = connection.execute(sa.text(f"SELECT * FROM {name}")).all()  # noqa: S608 - our own tables
            found[f"{place}.{name}"] = [b"\x00".join(map(plain, row)) for row in rows]
    keys.dispose()
    return found


def plain(value: Any) -> bytes:
    """Return a value's own bytes."""
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


class TestSubject:
    """A subject's key is destroyed."""

    def test_the_log_stays_intact(self, world: World) -> None:
        """Nothing of it changes: what was hashed is still there, and the next events come behind it."""
        check_intact(world)
        forget(world, PERSON)
        check_intact(world)
        audit.record_audit("note", ACTOR, "user", PERSON, {"number": 1000})
        audit.seal_audit_log()
        check_intact(world)

    def test_details_are_unreadable(self, world: World) -> None:
        """Those of this person only; the event says that its key is gone."""
        assert [event["details"]["street"] for event in about(PERSON)] == [SECRET] * 3
        reference = forget(world, PERSON)
        found = audit.get_audit_events(1000)
        assert [event["details"] for event in found if event["target_id"] == reference] == [GONE] * 3
        assert len([event for event in found if event["details"].get("street") == SECRET]) == NOTES - 3
        assert {event["actor"] for event in found if event["action"] == "custom:note"} == {ACTOR}

    def test_the_reference_is_linked_to_nothing(self, world: World) -> None:
        """The same person gets another reference, and no row of any store has both, or a name."""
        old = forget(world, PERSON)
        audit.record_audit("note", ACTOR, "user", PERSON, {"street": SECRET})
        new = key_of(PERSON).reference("", "user", PERSON)
        assert new != old
        rows = stores(world)
        of_old = {table for table, lines in rows.items() for line in lines if old.encode() in line}
        assert of_old == {"control.audit_logs"}
        assert not [
            line for lines in rows.values() for line in lines if {old, new} <= found_in(line, old, new)
        ]
        assert not [table for table, lines in rows.items() for line in lines if CANARY.encode() in line]

    def test_what_was_sealed_does_not_open_with_the_new_key(self, world: World) -> None:
        """Nor with any other key of the store."""
        old = forget(world, PERSON)
        audit.record_audit("note", ACTOR, "user", PERSON)
        with reading(world.system.databases.control, CONTROL) as connection:
            query = sa.select(AuditLog.sealed).where(AuditLog.target_ref == old)
            sealed = connection.scalars(query).all()
        keys = [key_of(PERSON), key_of(OTHERS), world.system.keystore.key("log", year())]
        for key in keys:
            for one in sealed:
                assert one is not None
                with pytest.raises(Tampered):
                    key.open(one)

    @on_sqlite
    def test_an_old_backup_of_the_store_says_nothing_without_its_epoch(
        self, world: World, tmp_path: Path
    ) -> None:
        """From the day on that a receipt names, not even the worker key finds the reference in it."""
        backup = tmp_path / "backup.db"
        with worlds.engine(world.settings.keys.url).connect() as connection:
            connection.execute(sa.text("VACUUM INTO :path"), {"path": str(backup)})
        reference = forget(world, PERSON)
        epochs = epochs_of(world)
        now = dt.datetime.now(dt.UTC)
        gone = epochs.destroyed_by(now)
        assert gone is not None
        epochs.turn(now)
        epochs.tend(gone)
        restored = System(replace(world.settings, keys_url=f"sqlite:///{backup}"))
        with pytest.raises(NotPrepared, match=r"epoch-1\.key"):
            restored.keystore.kept("subject", "", "user", PERSON)
        assert reference.encode() not in backup.read_bytes()
        restored.close()


def found_in(line: bytes, *references: str) -> set[str]:
    """Return which of these references stand in a row."""
    return {reference for reference in references if reference.encode() in line}


def year() -> str:
    """Return the year whose log key seals now."""
    return str(dt.datetime.now(dt.UTC).year)


def epochs_of(world: World) -> Epochs:
    """Return the epochs of a world's key store."""
    system = world.system
    return Epochs(system.databases, system.key_files, system.keystore, system.recorder)


class TestActor:
    """An actor's key is destroyed."""

    def test_the_name_is_gone(self, world: World) -> None:
        """Events keep their reference and lose the name; details of others stay; the log is intact."""
        (reference,) = {event["actor_ref"] for event in about(PERSON)}
        world.system.keystore.destroy("actor", ACTOR)
        found = [event for event in audit.get_audit_events(1000) if event["actor_ref"] == reference]
        assert {event["actor"] for event in found} == {None}
        assert {event["details"]["street"] for event in found if "street" in event["details"]} == {SECRET}
        check_intact(world)

    def test_the_same_name_gets_another_reference(self, world: World) -> None:
        """Who acts again after that is somebody else to the log."""
        (old,) = {event["actor_ref"] for event in about(PERSON)}
        world.system.keystore.destroy("actor", ACTOR)
        audit.record_audit("note", ACTOR, "policy", "p")
        newest = audit.get_audit_events(1)[0]
        assert (newest["actor"], newest["actor_ref"] != old) == (ACTOR, True)
        rows = [line for lines in stores(world).values() for line in lines]
        assert not [line for line in rows if len(found_in(line, old, newest["actor_ref"])) > 1]
        assert not [line for line in rows if CANARY.encode() in line]

    def test_a_year_of_the_log(self, world: World) -> None:
        """Details that are about nobody go with the key of their year; the rest stays."""
        audit.record_audit("note", ACTOR, "policy", "p", {"why": SECRET})
        assert audit.get_audit_events(1)[0]["details"] == {"why": SECRET}
        world.system.keystore.destroy("log", year())
        assert audit.get_audit_events(1)[0]["details"] == GONE
        assert [event["details"]["street"] for event in about(PERSON)] == [SECRET] * 3
        audit.seal_audit_log()
        check_intact(world)


def receipt(world: World, subject: tuple[str, str, str]) -> Proof:
    """Record an event about a subject under a key of its own, seal it, and return its receipt.

    The key is thrown away: only the receipt has it.
    """
    salt = HeldKey(kind="subject", material=secrets.token_bytes(KEY_BYTES))
    event = events.compose(
        action="custom:erased",
        outcome="success",
        actor_ref=world.system.recorder.actor_ref(ACTOR),
        target_type=subject[1],
        target_ref=salt.reference(*subject),
        moment=dt.datetime.now(dt.UTC),
        clear={},
    )
    with writing(world.system.databases.control, CONTROL) as connection:
        store(connection, event)
    audit.seal_audit_log()
    made = proving.prove(world.system.databases, event.id)
    opening = {"subject": list(subject), "salt": base64.b64encode(salt.material).decode()}
    return Proof(**vars(made) | {"extra": proofs.about(event.entry, **opening)})


class TestProofs:
    """What was handed out before."""

    def test_a_proof_still_holds(self, world: World) -> None:
        """Made before the keys of its person and actor went: the same file is as good as ever."""
        event = about(PERSON)[0]
        file = str(proving.prove(world.system.databases, event["id"]))
        forget(world, PERSON)
        world.system.keystore.destroy("actor", ACTOR)
        entry = proofs.parse(file).check(world.system.published.policy())
        assert (entry["id"], entry["target"]) == (event["id"], event["target_id"])
        assert CANARY not in file

    def test_a_receipt_still_opens(self, world: World) -> None:
        """Years later, with the log longer, the signing key retired and every key of the person gone."""
        subject = ("", "user", PERSON)
        file = str(receipt(world, subject))
        forget(world, PERSON)
        old = world.system.signing_keys.listed()[0].verifier.key_id.hex()
        log.rotate_signing_key("tests")
        audit.seal_audit_log()
        log.retire_signing_key(old, "tests")
        audit.record_audit("note", ACTOR, "user", OTHERS)
        audit.seal_audit_log()
        epochs_of(world).turn(dt.datetime.now(dt.UTC))
        entry = proofs.parse(file).check(world.system.published.policy())
        assert entry["action"] == "custom:erased"
        good = proofs.parse(file)
        other = Proof(**vars(good) | {"extra": good.extra.replace(b"7f3a", b"7f3b")})
        with pytest.raises(Tampered):
            other.check(world.system.published.policy())
        check_intact(world)

    def test_a_receipt_is_linked_to_nothing(self, world: World) -> None:
        """Its reference stands in its own event only: not with the person's other events, nor in a store."""
        subject = ("", "user", PERSON)
        reference = proofs.parse(str(receipt(world, subject))).check(world.system.published.policy())[
            "target"
        ]
        assert reference not in {event["target_id"] for event in about(PERSON)}
        rows = stores(world)
        holders = [table for table, lines in rows.items() for line in lines if reference.encode() in line]
        assert holders == ["control.audit_logs"]
        assert not [table for table, lines in rows.items() for line in lines if CANARY.encode() in line]
        assert world.system.keystore.existing(reference) is None


@on_sqlite
class TestWorkerKey:
    """The root of the worker's subkeys."""

    def test_lost(self, world: World) -> None:
        """Nothing is done without it; the message names the file."""
        (world.settings.home / "keys" / "worker.key").unlink()
        with pytest.raises(NotPrepared, match=r"worker\.key is missing"):
            world.another()

    def test_another_in_its_place(self, world: World, tmp_path: Path) -> None:
        """The log stays intact and readable; everybody gets another reference, and no archive opens."""
        world.safety_events()
        world.events(range(3), 60)
        world.policy(archive={"keep_days": 14})
        archive = world.enforce()["run"]
        privacy.disable_retention_policy("p", ACTOR)
        audit.relay_journals()
        old = about(PERSON)[0]["target_id"]
        other = KeyFiles(tmp_path / "other")
        other.create()
        mine = world.settings.home / "keys" / "worker.key"
        kept = mine.read_bytes()
        mine.write_bytes((other.folder / "worker.key").read_bytes())
        world.configure()
        found = [event for event in audit.get_audit_events(1000) if event["target_id"] == old]
        assert [event["details"]["street"] for event in found] == [SECRET] * 3
        assert {event["actor"] for event in found} == {ACTOR}
        audit.record_audit("note", ACTOR, "user", PERSON)
        assert audit.get_audit_events(1)[0]["target_id"] != old
        with pytest.raises((Refused, Tampered)):
            archives.restore_archive(archive, actor=ACTOR)
        mine.write_bytes(kept)
        world.configure()
        assert archives.restore_archive(archive, actor=ACTOR)["rows"] == 3
        audit.record_audit("note", ACTOR, "user", PERSON)
        assert audit.get_audit_events(1)[0]["target_id"] == old
        audit.seal_audit_log()
        check_intact(world)
