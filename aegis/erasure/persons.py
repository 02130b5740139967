"""Who an erasure is about, kept sealed from the request until it is verified, and wiped then.

An erasure destroys what leads to its rows: the person's own row, what others refer to by, the words to look
for afterwards. So all of it is kept from the beginning, under the worker key.
"""

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.columns import table_of
from aegis.db.engines import reading
from aegis.db.tables import ErasedPerson
from aegis.erasure.people import reference_of
from aegis.erasure.tracing import Trace
from aegis.errors import Refused
from aegis.masking.keys import MaskKey
from aegis.masking.strategies import strategy_of
from aegis.operations.marks import Box
from aegis.operations.system import System
from aegis.operations.tombstones import Digests

_CONTROL: Final = "control database"
_LETTERS: Final = string.ascii_lowercase + string.digits


@dataclass(frozen=True, kw_only=True)
class KeptPerson:
    """One person of an erasure, as they were when it was asked for."""

    key: tuple[Any, ...] = field(repr=False)
    tenant: str | None
    #: What others refer to by: column → value of the person's own row.
    referred: Mapping[str, Any] = field(repr=False)
    #: identifier → value; those without a value are left out.
    identifiers: Mapping[str, str] = field(repr=False)
    #: What their tombstone will say: of the key, and identifier → digest.
    key_digest: str
    digests: Mapping[str, str]

    @property
    def reference(self) -> str:
        """The key as the log refers to it."""
        return reference_of(self.key)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The people of an erasure, and the key of its tokens."""

    people: tuple[KeptPerson, ...]
    mask: MaskKey

    @property
    def keys(self) -> list[tuple[Any, ...]]:
        """The key of each."""
        return [person.key for person in self.people]

    @property
    def gone(self) -> list[Mapping[str, Any]]:
        """What stood in their own rows."""
        return [person.referred for person in self.people]

    @property
    def identifiers(self) -> list[str]:
        """Every value by which one of them is known."""
        return [value for person in self.people for value in person.identifiers.values()]


def identifiers_of(system: System, trace: Trace) -> dict[str, str]:
    """Return the identifiers of the one person of a trace, from their own row; none if it is gone."""
    rows = _rows(system, trace)
    if not rows:
        return {}
    ((values, _, digests),) = rows.values()
    columns = trace.who.subject.identifiers
    return {kind: str(values[columns[kind]]) for kind in digests if values[columns[kind]] != ""}


def found(system: System, trace: Trace) -> list[KeptPerson]:
    """Read people's own rows, in the order of their keys."""
    rows = _rows(system, trace)
    return [_person(trace, key, *rows[tuple(map(str, key))]) for key in trace.who.keys]


def _rows(system: System, trace: Trace) -> dict[tuple[str, ...], tuple[dict[str, Any], str, dict[str, str]]]:
    """Return the people's own rows by key: values by column, digest of the key, digests by identifier."""
    who, subject = trace.who, trace.who.subject
    root = who.table.table
    side = trace.rows.side(who.table.label)
    columns = dict.fromkeys(
        [
            *subject.key,
            *side.names,
            *([subject.tenant] if subject.tenant else []),
            *subject.identifiers.values(),
        ]
    )
    of_key, named = digests_of(system, trace)
    masked = _masked(trace)
    rows = {}
    for where in who.wheres():
        query = sa.select(of_key, *named.values(), *masked.values(), *[root.c[name] for name in columns])
        for digest, *row in trace.connection.execute(query.where(where)):
            values = dict(zip(columns, row[2 * len(named) :], strict=True))
            over = dict(zip(named, row[len(named) : 2 * len(named)], strict=True))
            digests = {
                kind: value for kind, value in zip(named, row, strict=False) if value and not over[kind]
            }
            rows[tuple(str(values[name]) for name in subject.key)] = (values, digest, digests)
    return rows


def _person(
    trace: Trace, key: tuple[Any, ...], values: Mapping[str, Any], digest: str, digests: Mapping[str, str]
) -> KeptPerson:
    subject = trace.who.subject
    tenant = values[subject.tenant] if subject.tenant else None
    named = {kind: values[column] for kind, column in subject.identifiers.items()}
    return KeptPerson(
        key=key,
        tenant=None if tenant is None else str(tenant),
        referred={name: values[name] for name in trace.rows.side(trace.who.table.label).names},
        # What an earlier erasure wrote names nobody.
        identifiers={kind: str(named[kind]) for kind in digests if named[kind] != ""},
        key_digest=digest,
        digests=digests,
    )


def _masked(trace: Trace) -> dict[str, sa.ColumnElement[Any]]:
    """Return of each identifier whether a mask stands in its place already, in the person's own row."""
    who, entry = trace.who, trace.coverage.tables[trace.who.table.label].entry
    specs = entry.masks if entry else {}
    found: dict[str, sa.ColumnElement[Any]] = {}
    for kind, name in who.subject.identifiers.items():
        column = who.table.table.c[name]
        over = strategy_of(specs[name]).recognises(column) if name in specs else None
        found[kind] = sa.case((over, sa.true()), else_=sa.false()) if over is not None else sa.false()
    return found


def digests_of(
    system: System, trace: Trace
) -> tuple[sa.ColumnElement[str], dict[str, sa.ColumnElement[str]]]:
    """Return the digest of the key of a person's own row, and of each of its identifiers."""
    subject, digests = trace.who.subject, Digests(system)
    root = trace.who.table.table
    of_key = digests.of_key(subject, [root.c[name] for name in subject.key])
    named = subject.identifiers.items()
    return of_key, {kind: digests.of_identifier(kind, root.c[column]) for kind, column in named}


def new_mask() -> MaskKey:
    """Return a key for the tokens of one erasure alone."""
    name = "e" + "".join(secrets.choice(_LETTERS) for _ in range(7))
    return MaskKey(id=name, secret=secrets.token_bytes(32))


def keep(
    system: System,
    connection: sa.Connection,
    run: str,
    people: Sequence[KeptPerson],
    references: Sequence[str],
) -> None:
    """Keep the people of a run, in the caller's transaction of the control database."""
    mask = new_mask()
    rows = [
        {
            "run": run,
            "number": number,
            "reference": reference,
            "sealed": _box(system, run, number).seal(
                {
                    "key": list(person.key),
                    "tenant": person.tenant,
                    "referred": dict(person.referred),
                    "identifiers": dict(person.identifiers),
                    "digests": [person.key_digest, dict(person.digests)],
                    "mask": [mask.id, mask.secret],
                }
            ),
        }
        for number, (person, reference) in enumerate(zip(people, references, strict=True))
    ]
    connection.execute(sa.insert(ErasedPerson), rows)


def read(system: System, run: str) -> Kept:
    """Return the people of a run.

    Raises:
        Refused: who they were is wiped.

    """
    query = sa.select(table_of(ErasedPerson)).where(ErasedPerson.run == run).order_by(ErasedPerson.number)
    with reading(system.databases.control, _CONTROL) as connection:
        rows = connection.execute(query).all()
    if any(row.sealed is None for row in rows):
        message = f"erasure {run} is over, and who it was about is not kept any more"
        raise Refused(message)
    opened = [_box(system, run, row.number).open(row.sealed) for row in rows]
    name, secret = opened[0]["mask"]
    return Kept(people=tuple(_read(values) for values in opened), mask=MaskKey(id=name, secret=secret))


def count(system: System, run: str) -> int:
    """Return how many people a run is about."""
    query = sa.select(sa.func.count()).select_from(ErasedPerson).where(ErasedPerson.run == run)
    with reading(system.databases.control, _CONTROL) as connection:
        return int(connection.scalar(query) or 0)


def wipe(connection: sa.Connection, run: str) -> None:
    """Take away who a run was about, in the caller's transaction of the control database."""
    mine = (ErasedPerson.run == run) & ErasedPerson.sealed.is_not(None)
    values = {"sealed": None, "wiped_at": dialects.now(connection)}
    connection.execute(sa.update(ErasedPerson).where(mine).values(**values))


def _read(values: Mapping[str, Any]) -> KeptPerson:
    return KeptPerson(
        key=tuple(values["key"]),
        tenant=values["tenant"],
        referred=values["referred"],
        identifiers=values["identifiers"],
        key_digest=values["digests"][0],
        digests=values["digests"][1],
    )


def _box(system: System, run: str, number: int) -> Box:
    about = f"{run}/{number}"
    return Box(system.worker_key.subkey("erasure-person"), about, f"person {about} of an erasure")
