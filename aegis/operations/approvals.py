"""Approvals: one person's word for exactly one digest, signed where approver keys are registered.

What is signed is one line, without an end of line: `aegis-approve-v1:TYPE:ID:DIGEST`. TYPE and ID
name the version of a policy, or a run that a guard stopped; a signature fits nothing else, also not
the same words registered again.
"""

import datetime as dt
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit import events
from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import Approval
from aegis.errors import Refused
from aegis.operations import approvers
from aegis.operations.approvers import Key
from aegis.operations.signatures import Signature, read_signature
from aegis.operations.system import System

TWO_PERSON: Final = "two-person"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is approved."""

    #: policy or run
    type: str
    id: str
    digest: str
    digest_version: int
    #: The command that approves it, for messages.
    command: str

    @property
    def message(self) -> bytes:
        """Return the bytes that an approver signs."""
        return f"aegis-approve-v1:{self.type}:{self.id}:{self.digest}".encode()

    @property
    def signing(self) -> str:
        """Return the commands that sign with an OpenSSH key and hand the signature in."""
        made = f"printf %s '{self.message.decode()}' | ssh-keygen -Y sign -n aegis -f KEY > approval.sig"
        return f"{made}; {self.command} --signature approval.sig"


@dataclass(frozen=True, kw_only=True)
class Given:
    """An approval that was checked and is not stored yet."""

    actor_ref: str
    key_name: str | None = None
    signature: Signature | None = None

    @property
    def claimed(self) -> bool:
        """Whether nothing proves who it was."""
        return self.signature is None


@dataclass(frozen=True, kw_only=True)
class Word:
    """An approval that was given, as people read it."""

    #: None: the name was erased.
    actor: str | None
    at: dt.datetime
    #: Nothing proves who it was.
    claimed: bool
    #: The key that it was signed with.
    key_name: str | None
    #: Of the signature, if there is one, and its bytes: see `signatures.Signature`.
    scheme: str | None
    signature: bytes | None = field(repr=False)
    #: Why it does not hold; None: it does.
    fault: str | None


@dataclass(kw_only=True)
class Standing:
    """The approvals of a subject as they hold now."""

    #: Signatures that hold: (actor, public key).
    signed: set[tuple[str, bytes]] = field(default_factory=set)
    claimed: int = 0
    #: Why the others do not.
    faults: list[str] = field(default_factory=list)
    #: How many signatures are needed; 0: a claim is enough.
    signatures: int = 0

    @property
    def forged(self) -> bool:
        """Whether somebody else than Aegis wrote the approval, or nobody gave one."""
        return not self.enough and (bool(self.faults) or not (self.signed or self.claimed))

    @property
    def enough(self) -> bool:
        """Whether the subject is approved."""
        actors, keys = {actor for actor, _ in self.signed}, {key for _, key in self.signed}
        if self.signatures:
            return min(len(actors), len(keys)) >= self.signatures
        return bool(self.claimed or self.signed)

    def lacking(self, subject: Subject) -> str | None:
        """Return what is missing and how to give it; none when the subject is approved."""
        if self.enough:
            return None
        if self.faults:
            return f"an approval does not hold: {'; '.join(self.faults)}. A new one: {subject.signing}"
        if self.signed:
            return f"1 of 2 people signed; somebody else has to as well: {subject.signing}"
        if self.signatures:
            return f"it has to be signed with the key of an approver: {subject.signing}"
        return f"nobody approved it yet: {subject.command}"


def check(system: System, subject: Subject, *, actor: str, signature: bytes | None) -> Given:
    """Check what somebody gives as an approval.

    Args:
        subject: what is approved.
        actor: who says so; with a signature, the owner of its key.
        signature: a signature over the subject's message, as its file holds it.

    Raises:
        UsageError: the signature cannot be read.
        Refused: a signature is needed, or it is not one of a valid key over this message.

    """
    actor_ref = system.recorder.actor_ref(actor)
    with reading(system.databases.control, CONTROL) as connection:
        moment, keys = dialects.now(connection), approvers.read(system, connection)
        before = standing(system, connection, subject)
    if signature is None:
        if before.signatures:
            message = f"an approval has to be signed with the key of an approver: {subject.signing}"
            raise Refused(message)
        return Given(actor_ref=actor_ref)
    given = read_signature(signature)
    key = _signer(given, keys, subject, moment)
    if key.actor_ref != actor_ref:
        message = f"key {key.name} does not belong to the actor that was named; its owner approves with it"
        raise Refused(message)
    if any(actor_ref == actor or key.raw == raw for actor, raw in before.signed):
        message = f"the owner of key {key.name} approved this already; somebody else has to as well"
        raise Refused(message)
    return Given(actor_ref=actor_ref, key_name=key.name, signature=given)


def keep(system: System, connection: sa.Connection, subject: Subject, given: Given) -> Standing:
    """Store an approval in the caller's transaction; return how the subject stands with it."""
    values = {
        "id": events.uuid7(),
        "subject_type": subject.type,
        "subject_id": subject.id,
        "digest": subject.digest,
        "digest_version": subject.digest_version,
        "actor_ref": given.actor_ref,
        "claimed": given.claimed,
        "key_name": given.key_name,
        "signature_scheme": given.signature and given.signature.scheme,
        "signature": given.signature and given.signature.body,
        "created_at": dialects.now(connection),
    }
    connection.execute(sa.insert(Approval).values(**values, mac=_mac(system, values)))
    return standing(system, connection, subject)


def told(given: Given) -> dict[str, Any]:
    """Return what the event of an approval says of it."""
    scheme = given.signature and given.signature.scheme
    return {"claimed": int(given.claimed), "scheme": scheme, "key": given.key_name}


def stands(system: System, subject: Subject) -> Standing:
    """Return how the subject stands now, every signature verified again."""
    with reading(system.databases.control, CONTROL) as connection:
        return standing(system, connection, subject)


def standing(system: System, connection: sa.Connection, subject: Subject) -> Standing:
    """Return how the subject stands, in the caller's transaction."""
    mode, registered = system.settings.approval, approvers.ever(connection)
    found = Standing(signatures=2 if mode == TWO_PERSON else int(registered))
    rows = _kept(connection, subject)
    keys = approvers.read(system, connection) if rows else []
    for row in rows:
        fault = _fault(system, row, subject, keys)
        if fault:
            found.faults.append(fault)
        elif row["claimed"]:
            found.claimed += 1
        else:
            found.signed.add((row["actor_ref"], _key_of(row, subject, keys).raw))
    return found


def signers(system: System, subject: Subject) -> list[Key]:
    """Return the keys with which a subject was approved."""
    with reading(system.databases.control, CONTROL) as connection:
        keys = {key.raw: key for key in approvers.read(system, connection)}
        return [keys[raw] for _, raw in standing(system, connection, subject).signed]


def words(system: System, subject: Subject) -> list[Word]:
    """Return the approvals that were given to a subject, the oldest first, each checked again."""
    with reading(system.databases.control, CONTROL) as connection:
        rows = _kept(connection, subject)
        keys = approvers.read(system, connection) if rows else []
    names = system.reader.actors({row["actor_ref"] for row in rows})
    return [
        Word(
            actor=names.get(row["actor_ref"]),
            at=row["created_at"],
            claimed=row["claimed"],
            key_name=row["key_name"],
            scheme=row["signature_scheme"],
            signature=row["signature"],
            fault=_fault(system, row, subject, keys),
        )
        for row in rows
    ]


def _kept(connection: sa.Connection, subject: Subject) -> list[dict[str, Any]]:
    query = sa.select(table_of(Approval)).where(
        Approval.subject_type == subject.type,
        Approval.subject_id == subject.id,
        Approval.revoked_at.is_(None),
    )
    return [dict(row) for row in connection.execute(query.order_by(Approval.created_at)).mappings()]


def _fault(system: System, row: Mapping[str, Any], subject: Subject, keys: list[Key]) -> str | None:
    """Return why a stored approval does not count; none when it does."""
    if row["digest"] != subject.digest:
        return "it was given to something else than what stands there now"
    if not hmac.compare_digest(row["mac"] or b"", _mac(system, row)):
        return "it was not written by Aegis, or changed since"
    if row["claimed"]:
        return None
    if not _verifying(row, subject, keys):
        return f"its signature is not one of the key {row['key_name']} over this digest"
    if not any(key.valid_at(row["created_at"]) for key in _verifying(row, subject, keys)):
        return f"the key {row['key_name']} was not valid when it was signed"
    return None


def _key_of(row: Mapping[str, Any], subject: Subject, keys: list[Key]) -> Key:
    return next(key for key in _verifying(row, subject, keys) if key.valid_at(row["created_at"]))


def _verifying(row: Mapping[str, Any], subject: Subject, keys: list[Key]) -> list[Key]:
    signature = Signature(scheme=row["signature_scheme"] or "", body=row["signature"] or b"")
    same = [key for key in keys if (key.name, key.actor_ref) == (row["key_name"], row["actor_ref"])]
    return [key for key in same if signature.verifies(subject.message, key.raw)]


def _signer(given: Signature, keys: list[Key], subject: Subject, moment: dt.datetime) -> Key:
    fitting = [key for key in keys if given.verifies(subject.message, key.raw)]
    for key in fitting:
        if key.valid_at(moment):
            return key
    if fitting:
        message = (
            f"key {fitting[0].name} is not valid now: not yet, not any more, or not written by Aegis; "
            "`aegis approver list` says which"
        )
        raise Refused(message)
    message = (
        "the signature is not one of a registered key over exactly this message: "
        f"{subject.message.decode()} (no end of line). How to make one: {subject.signing}"
    )
    raise Refused(message)


def _mac(system: System, row: Mapping[str, Any]) -> bytes:
    plain = {name: value for name, value in row.items() if name not in {"mac", "revoked_at"}}
    return approvers.authenticated(system, plain)
