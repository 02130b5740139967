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
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import ErasedPerson
from aegis.erasure.people import reference_of
from aegis.erasure.rows import HomeRow, Known
from aegis.errors import Refused
from aegis.masking.keys import MaskKey
from aegis.operations.marks import Box
from aegis.operations.system import System

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
    #: Where their home is another data source: what stood in their rows there.
    at_home: Sequence[HomeRow] = field(default=(), repr=False)
    #: The kind of somebody who goes along with the people that an erasure is about; none: they are meant.
    subject: str | None = None

    @property
    def reference(self) -> str:
        """The key as the log refers to it."""
        return reference_of(self.key)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The people of an erasure, and the key of its tokens."""

    people: tuple[KeptPerson, ...]
    mask: MaskKey
    #: People of other kinds who go along, such as the users of a tenant.
    members: tuple[KeptPerson, ...] = ()

    @property
    def everybody(self) -> tuple[KeptPerson, ...]:
        """Who is looked for."""
        return self.people + self.members

    @property
    def keys(self) -> list[tuple[Any, ...]]:
        """The key of each."""
        return [person.key for person in self.people]

    def known(self, arguments: Mapping[str, Any]) -> Known:
        """Return what stood in their own rows, here and at home, and what their request has decided."""
        return Known(
            gone=[person.referred for person in self.people if person.referred],
            at_home=[row for person in self.people for row in person.at_home],
            ended=frozenset(arguments.get("ended") or ()),
        )

    @property
    def identifiers(self) -> list[str]:
        """Every value by which one of them is known."""
        return [value for person in self.people for value in person.identifiers.values()]


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
                    "at_home": [dict(row) for row in person.at_home],
                    "subject": person.subject,
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
    with reading(system.databases.control, CONTROL) as connection:
        rows = connection.execute(query).all()
    if any(row.sealed is None for row in rows):
        message = f"erasure {run} is over, and who it was about is not kept any more"
        raise Refused(message)
    opened = [_box(system, run, row.number).open(row.sealed) for row in rows]
    name, secret = opened[0]["mask"]
    everybody = [_read(values) for values in opened]
    return Kept(
        people=tuple(person for person in everybody if person.subject is None),
        members=tuple(person for person in everybody if person.subject is not None),
        mask=MaskKey(id=name, secret=secret),
    )


def count(system: System, run: str) -> int:
    """Return how many people a run is about."""
    query = sa.select(sa.func.count()).select_from(ErasedPerson).where(ErasedPerson.run == run)
    with reading(system.databases.control, CONTROL) as connection:
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
        at_home=values.get("at_home", ()),
        subject=values.get("subject"),
    )


def _box(system: System, run: str, number: int) -> Box:
    about = f"{run}/{number}"
    return Box(system.worker_key.subkey("erasure-person"), about, f"person {about} of an erasure")
