"""What was decided: each version of a policy with its approvals, the keys of those who approve, the holds."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa

from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import DataRetentionPolicy, Run
from aegis.evidence.scope import Scope
from aegis.operations import approvals, approvers, holds
from aegis.operations.system import System
from aegis.retention import policies

#: Columns whose value is a reference to an actor, and what they are called with the actor's name.
_ACTORS: Final = {"owner_ref": "owner", "created_by": "created_by", "released_by": "released_by"}
#: What only Aegis itself goes by.
_INNER: Final = frozenset({"planned_until", "key_columns"})


def policy_versions(system: System, scope: Scope) -> list[dict[str, Any]]:
    """Return every version of a scope's policies that was there before its end, each with its approvals.

    `definition` is the exact text whose SHA-256 is `digest`; an approver's signature is over `signed`.
    """
    table = table_of(DataRetentionPolicy)
    query = sa.select(table).order_by(table.c.name, table.c.version)
    if scope.requests:
        query = query.where(table.c.id.in_(sa.select(Run.policy_id).where(scope.runs)))
    else:
        query = query.where(table.c.created_at < scope.end)
    if scope.policy:
        # A name that is none is refused, not answered with nothing.
        policies.find(system, scope.policy)
        query = query.where(table.c.name == scope.policy)
    with reading(system.databases.control, CONTROL) as connection:
        found = [dict(row) for row in connection.execute(query).mappings()]
    names = _names(system, _refs(found))
    return [
        _named({k: v for k, v in row.items() if k not in _INNER}, names)
        | {
            "signed": _subject(row).message.decode(),
            "approvals": [_approval(word) for word in approvals.words(system, _subject(row))],
        }
        for row in found
    ]


def approver_keys(system: System) -> list[dict[str, Any]]:
    """Return the public keys of those who may approve, or could once."""
    with reading(system.databases.control, CONTROL) as connection:
        keys = approvers.read(system, connection)
    names = _names(system, [key.actor_ref for key in keys])
    return [
        {
            "name": key.name,
            "owner": names.get(key.actor_ref),
            "scheme": key.scheme,
            "public_key": base64.b64encode(key.raw).decode(),
            "fingerprint": key.fingerprint,
            "from": key.since,
            "until": key.until,
            "removed_at": key.removed_at,
            "genuine": key.genuine,
        }
        for key in keys
    ]


def legal_holds(system: System, scope: Scope) -> list[dict[str, Any]]:
    """Return the holds and stops that were in force at any time of a span; never which row one is about."""
    found = [
        hold
        for hold in holds.listed(system, everything=True)
        if hold["placed_at"] < scope.end
        and (hold["released_at"] is None or hold["released_at"] >= scope.start)
        and (scope.policy is None or hold["policy"] in {None, scope.policy})
    ]
    names = _names(system, _refs(found))
    return [_named(hold, names) for hold in found]


def _subject(row: Mapping[str, Any]) -> approvals.Subject:
    return approvals.Subject(
        type="policy", id=row["id"], digest=row["digest"], digest_version=row["digest_version"], command=""
    )


def _approval(word: approvals.Word) -> dict[str, Any]:
    return {
        "by": word.actor,
        "at": word.at,
        # Without a signature nothing proves who it was.
        "claimed": word.claimed,
        "key": word.key_name,
        "scheme": word.scheme,
        "signature": word.signature and base64.b64encode(word.signature).decode(),
        # Why it does not count; null: it does.
        "fault": word.fault,
    }


def _refs(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield from (row[column] for column in _ACTORS if row.get(column))


def _names(system: System, references: Iterable[str]) -> dict[str, str | None]:
    return system.reader.actors(set(references))


def _named(row: Mapping[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
    """Return a row with names for references; null where the key of a name was destroyed."""
    plain = {name: value for name, value in row.items() if name not in _ACTORS}
    return plain | {said: names.get(row[ref]) for ref, said in _ACTORS.items() if ref in row}
