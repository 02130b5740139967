"""Approvals: who may give one, what it is good for, and what somebody with SQL can not do."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aegis.db.columns import table_of
from aegis.db.tables import Approval
from aegis.errors import Conflict, Refused, UnknownName, UsageError
from aegis.operations import approvals, approvers
from aegis.operations.signatures import ED25519, PublicKey
from aegis.retention import policies
from aegis.settings import ErasureSettings
from api import audit, erasure, privacy
from tests import oneperson
from tests.worlds import ACTOR, CANARY, DAY, World, on

NOW = dt.datetime.now(dt.UTC)
EACH_CONTROL = on("sqlite-one", "postgresql-one", "mariadb-one")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with a key."""

    name: str
    key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(scheme=ED25519, raw=self.key.public_key().public_bytes_raw())

    def approves(self, name: str = "p") -> Any:
        """Sign the newest version of a policy."""
        signature = self.key.sign(privacy.approval_message(name))
        return privacy.approve_retention_policy(name, self.name, signature=signature)


def person(world: World, label: str, **words: Any) -> Person:
    """Register the key of somebody."""
    made = Person(name=f"{label}-{CANARY}@example.com", key=Ed25519PrivateKey.generate())
    approvers.add(world.system, label, made.public, owner=made.name, actor=ACTOR, **words)
    return made


def pending(world: World, **words: Any) -> None:
    """Twenty old rows and a policy that nobody approved."""
    world.safety_events()
    world.events(range(20), 60)
    world.policy(approve=False, **words)


def write(world: World, statement: str, **values: Any) -> None:
    """Change the control database as somebody with SQL does."""
    with world.control.begin() as connection:
        assert connection.execute(sa.text(statement), values).rowcount == 1


def nothing_went(world: World) -> bool:
    """Whether every row is there."""
    return world.ids() == list(range(20))


class TestKeys:
    """Registering and removing keys."""

    @EACH_CONTROL
    def test_who_added_and_who_removed_stands_in_the_log(self, world: World) -> None:
        """Both leave an event; names and owners stand in neither in clear."""
        person(world, "anna", until=NOW + DAY)
        approvers.remove(world.system, "anna", actor=ACTOR)
        removed, added = audit.get_audit_events(2)
        assert [removed["action"], added["action"]] == ["approver:remove", "approver:add"]
        assert (added["actor"], added["details"]["name"]) == (ACTOR, "anna")
        with pytest.raises(UnknownName, match="approver list"):
            approvers.remove(world.system, "anna", actor=ACTOR)

    @on("sqlite-one")
    def test_a_name_or_a_key_twice_is_refused(self, world: World) -> None:
        """One person with two names must not be two people."""
        anna = person(world, "anna")
        for label, key in (("anna", Ed25519PrivateKey.generate()), ("berta", anna.key)):
            public = PublicKey(scheme=ED25519, raw=key.public_key().public_bytes_raw())
            with pytest.raises(Conflict, match="anna"):
                approvers.add(world.system, label, public, owner=label, actor=ACTOR)

    @on("sqlite-one")
    def test_an_end_before_the_beginning_is_refused(self, world: World) -> None:
        """Nobody gets a key that never approves anything."""
        with pytest.raises(UsageError, match="before it begins"):
            person(world, "anna", since=NOW + 2 * DAY, until=NOW + DAY)


class TestSigned:
    """With a key registered, an approval has to carry a signature."""

    @EACH_CONTROL
    def test_a_signature_approves_and_a_claim_does_not(self, world: World) -> None:
        """A name alone is refused, with the command that signs; the signed policy runs."""
        anna = person(world, "anna")
        pending(world)
        with pytest.raises(Refused, match="ssh-keygen -Y sign -n aegis"):
            privacy.approve_retention_policy("p", ACTOR)
        assert world.enforce()["status"] == "unapproved"
        assert anna.approves().state == "approved"
        assert audit.get_audit_events(1, action="policy:approve")[0]["details"]["claimed"] == 0
        assert world.enforce()["rows"] == 20

    @on("sqlite-one")
    @pytest.mark.parametrize(
        "given", [b"x" * 64, b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----"]
    )
    def test_a_signature_of_nobody_is_refused(self, world: World, given: bytes) -> None:
        """The message says which bytes have to be signed."""
        person(world, "anna")
        pending(world)
        with pytest.raises(Refused, match="aegis-approve-v1:policy:"):
            privacy.approve_retention_policy("p", ACTOR, signature=given)

    @on("sqlite-one")
    def test_a_signature_is_for_one_version(self, world: World) -> None:
        """The same words registered again need a new one; a changed policy does as well."""
        anna = person(world, "anna")
        pending(world)
        signature = anna.key.sign(privacy.approval_message("p"))
        privacy.approve_retention_policy("p", anna.name, signature=signature)
        privacy.disable_retention_policy("p", ACTOR)
        world.policy(approve=False)
        with pytest.raises(Refused, match="exactly this message"):
            privacy.approve_retention_policy("p", anna.name, signature=signature)

    @on("sqlite-one")
    def test_with_the_key_of_somebody_else_is_refused(self, world: World) -> None:
        """The actor that is named has to be the owner of the key."""
        anna = person(world, "anna")
        pending(world)
        signature = anna.key.sign(privacy.approval_message("p"))
        with pytest.raises(Refused, match="does not belong"):
            privacy.approve_retention_policy("p", ACTOR, signature=signature)

    @on("sqlite-one")
    @pytest.mark.parametrize(
        "words",
        [{"since": NOW + DAY}, {"since": NOW - 2 * DAY, "until": NOW + DAY}],
        ids=["early", "removed"],
    )
    def test_out_of_its_time_a_key_approves_nothing(self, world: World, words: dict[str, Any]) -> None:
        """Before its first day, and after it was removed."""
        anna = person(world, "anna", **words)
        pending(world)
        if "until" in words:
            approvers.remove(world.system, "anna", actor=ACTOR)
        with pytest.raises(Refused, match="key anna is not valid now"):
            anna.approves()

    @on("sqlite-one", "postgresql-one")
    def test_what_was_signed_stays_when_its_key_goes(self, world: World) -> None:
        """Somebody who left does not stop the policies that they approved, and claims do not come back."""
        anna = person(world, "anna")
        pending(world)
        anna.approves()
        approvers.remove(world.system, "anna", actor=ACTOR)
        assert world.enforce()["rows"] == 20
        world.policy(retention_days=10, approve=False)
        with pytest.raises(Refused, match="has to be signed"):
            privacy.approve_retention_policy("p", ACTOR)

    @on("sqlite-one")
    def test_an_older_claim_is_not_enough_any_more(self, world: World) -> None:
        """A policy that was approved by a name waits, until somebody signs it, and goes on then."""
        pending(world)
        privacy.approve_retention_policy("p", ACTOR)
        run = world.start()
        anna = person(world, "anna")
        assert world.finish(run)["outcome"] == "waiting"
        assert world.enforce()["status"] == "unapproved"
        anna.approves()
        assert world.finish(run)["outcome"] == "done"


class TestTwoPeople:
    """Mode `two-person`: two different approvers with two different keys."""

    @EACH_CONTROL
    def test_the_first_is_not_enough(self, world: World) -> None:
        """Pending until the second signs; the same person twice is refused."""
        world.configure(approval="two-person")
        anna, berta = person(world, "anna"), person(world, "berta")
        pending(world)
        assert anna.approves().state == "pending"
        assert "1 of 2" in world.enforce()["reason"]
        with pytest.raises(Refused, match="somebody else"):
            anna.approves()
        assert berta.approves().state == "approved"
        assert world.enforce()["rows"] == 20

    @on("sqlite+sqlite")
    def test_an_erasure_waits_for_both(self, world: World, tmp_path: Path) -> None:
        """The first signature leaves it waiting; with the second it goes on at once."""
        oneperson.begin(world, tmp_path)
        world.configure(approval="two-person", erasure=ErasureSettings(approval=True))
        waiting = erasure.anonymize_user(7, ACTOR, idempotency_key="one")
        assert waiting.status == "waiting"
        for someone in (person(world, "anna"), person(world, "berta")):
            assert not erasure.carry_out_erasure("one")
            signature = someone.key.sign(erasure.erasure_message("one"))
            erasure.approve_erasure("one", someone.name, digest=waiting.digest, signature=signature)
        done = erasure.carry_out_erasure("one")
        assert done, done.reason
        oneperson.expect(world, done.rows)

    @on("sqlite-one")
    def test_a_claim_is_worth_nothing(self, world: World) -> None:
        """Also when no key is registered yet."""
        world.configure(approval="two-person")
        pending(world)
        with pytest.raises(Refused, match="has to be signed"):
            privacy.approve_retention_policy("p", ACTOR)
        assert nothing_went(world)

    @on("sqlite-one")
    def test_two_keys_of_one_person_are_one(self, world: World) -> None:
        """A second key does not make a second person."""
        world.configure(approval="two-person")
        anna = person(world, "anna")
        second = Person(name=anna.name, key=Ed25519PrivateKey.generate())
        approvers.add(world.system, "anna-2", second.public, owner=anna.name, actor=ACTOR)
        pending(world)
        anna.approves()
        with pytest.raises(Refused, match="somebody else"):
            second.approves()

    @on("sqlite-one")
    def test_one_signature_is_not_enough_when_the_mode_changes(self, world: World) -> None:
        """A policy that one person approved waits for the second."""
        anna, berta = person(world, "anna"), person(world, "berta")
        pending(world)
        anna.approves()
        world.configure(approval="two-person")
        assert world.enforce()["status"] == "unapproved"
        berta.approves()
        assert world.enforce()["rows"] == 20


def approved_by_sql(world: World, _: Person) -> None:
    """Nobody approved it."""
    write(world, "UPDATE data_retention_policies SET state = 'approved'")


def copied_approval(world: World, anna: Person) -> None:
    """An approval of another policy, turned into one of this."""
    world.policy("other", retention_days=31, approve=False)
    anna.approves("other")
    policy = policies.find(world.system, "p")
    write(world, "UPDATE aegis_approvals SET subject_id = :i, digest = :d", i=policy.id, d=policy.digest)
    write(world, "UPDATE data_retention_policies SET state = 'approved' WHERE name = 'p'")


def forged_signature(world: World, anna: Person) -> None:
    """A signature of nobody under a real approval."""
    anna.approves()
    write(world, "UPDATE aegis_approvals SET signature = :s", s=b"x" * 64)


def seal_again(world: World) -> None:
    """Give the approval the MAC that belongs to what stands there now: whoever does it has the worker key."""
    with world.control.begin() as connection:
        (row,) = connection.execute(sa.select(table_of(Approval))).mappings().all()
        mac = approvals._mac(world.system, dict(row))  # noqa: SLF001 - what only Aegis can compute
        connection.execute(sa.update(Approval).values(mac=mac))


def forged_signature_with_our_secret(world: World, anna: Person) -> None:
    """A signature of nobody, by somebody who has the worker key, and no approver's."""
    anna.approves()
    write(world, "UPDATE aegis_approvals SET signature = :s", s=b"x" * 64)
    seal_again(world)


def backdated_with_our_secret(world: World, anna: Person) -> None:
    """A good signature from before its key was registered."""
    anna.approves()
    write(world, "UPDATE aegis_approvals SET created_at = :t", t=NOW - DAY)
    seal_again(world)


def key_by_sql(world: World, _: Person) -> None:
    """A key that somebody wrote into the table, and a good signature with it."""
    mallory = Person(name="mallory", key=Ed25519PrivateKey.generate())
    policy = policies.find(world.system, "p")
    signature = mallory.key.sign(privacy.approval_message("p"))
    write(world, "UPDATE aegis_approvers SET public_key = :k", k=mallory.public.raw)
    with world.control.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO aegis_approvals (id, subject_type, subject_id, digest, digest_version,"
                " actor_ref, claimed, key_name, signature_scheme, signature, created_at)"
                " SELECT 'x', 'policy', :i, :d, 2, actor_ref, :no, name, 'ed25519', :s, added_at"
                " FROM aegis_approvers"
            ),
            {"i": policy.id, "d": policy.digest, "s": signature, "no": False},
        )
    write(world, "UPDATE data_retention_policies SET state = 'approved'")


def backdated(world: World, anna: Person) -> None:
    """An approval that is said to be older than it is."""
    anna.approves()
    write(world, "UPDATE aegis_approvals SET created_at = :t", t=NOW - DAY)


def no_keys_left(world: World, _: Person) -> None:
    """Every key deleted by SQL, so that a claim would do."""
    write(world, "DELETE FROM aegis_approvers")
    with pytest.raises(Refused, match="has to be signed"):
        privacy.approve_retention_policy("p", ACTOR)
    write(world, "UPDATE data_retention_policies SET state = 'approved'")


EDITS: list[Callable[[World, Person], None]] = [
    approved_by_sql,
    copied_approval,
    forged_signature,
    forged_signature_with_our_secret,
    key_by_sql,
    backdated,
    backdated_with_our_secret,
    no_keys_left,
]


class TestEdited:
    """What somebody does who can write to the control database, but signs nothing."""

    @EACH_CONTROL
    @pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
    def test_runs_nothing(self, world: World, edit: Callable[[World, Person], None]) -> None:
        """A run that was sent is blocked before its first row and says why; a call says unapproved."""
        anna = person(world, "anna")
        pending(world)
        edit(world, anna)
        policy = policies.find(world.system, "p")
        assert policy.state == "approved"
        assert world.enforce()["status"] == "unapproved"
        instant = dt.datetime.now(dt.UTC)
        run = privacy.create_scheduled_run(policy.id, instant)
        assert run
        report = privacy.advance_run(run)
        assert (report["outcome"], report["rows"]) == ("blocked", 0)
        assert "not what people approved" in report["reason"]
        assert nothing_went(world)

    @on("sqlite-one", "postgresql-one")
    def test_in_mid_run_it_stops_at_the_next_slice(self, world: World) -> None:
        """The approval is looked at again whenever a slice begins."""
        anna = person(world, "anna")
        pending(world)
        anna.approves()
        world.batches_of(5)
        run = world.start()
        assert privacy.advance_run(run, seconds=0)["outcome"] == "more"
        left = world.count("safety_events")
        forged = "UPDATE aegis_approvals SET signature = :s"
        write(world, forged, s=b"x" * 64)
        assert world.finish(run)["outcome"] == "blocked"
        assert world.count("safety_events") == left

    @on("sqlite-one")
    def test_without_keys_a_state_without_an_approval_runs_nothing(self, world: World) -> None:
        """Marked as approved by SQL, although nobody even claimed it."""
        pending(world)
        write(world, "UPDATE data_retention_policies SET state = 'approved'")
        report = world.enforce()
        assert (report["status"], report["applied"]) == ("unapproved", False)
        assert nothing_went(world)

    @on("sqlite-one")
    def test_without_keys_a_claim_by_sql_runs_nothing(self, world: World) -> None:
        """A claim is nobody's word for sure, but Aegis wrote it down: a row by SQL counts for nothing."""
        pending(world)
        policy = policies.find(world.system, "p")
        with world.control.begin() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO aegis_approvals (id, subject_type, subject_id, digest, digest_version,"
                    " actor_ref, claimed, created_at) SELECT 'x', 'policy', id, digest, digest_version,"
                    " created_by, :yes, created_at FROM data_retention_policies"
                ),
                {"yes": True},
            )
        write(world, "UPDATE data_retention_policies SET state = 'approved'")
        assert not approvals.stands(world.system, policies.subject_of(policy)).enough
        report = world.enforce()
        assert (report["status"], report["applied"]) == ("unapproved", False)
        assert nothing_went(world)

    @on("sqlite-one")
    def test_an_approval_that_was_revoked_does_not_count(self, world: World) -> None:
        """A row with a time of revocation is left aside."""
        anna = person(world, "anna")
        pending(world)
        anna.approves()
        write(world, "UPDATE aegis_approvals SET revoked_at = created_at")
        subject = policies.subject_of(policies.find(world.system, "p"))
        assert not approvals.stands(world.system, subject).enough
