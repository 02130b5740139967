"""Tombstones: who was erased, by keyed digests, so that nobody comes back with a restored database.

Nobody can tell from a tombstone who it is about; whoever has the worker key can tell whether a row is
theirs. They stand in the control database and, because a restore of that one would take them along, in a
folder or store outside of every database.
"""

import datetime as dt
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.audit.events import canonical, stamp
from aegis.datamap.model import Subject
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, reading
from aegis.db.keyed import hmac_hex
from aegis.db.tables import Tombstone as Row
from aegis.errors import Tampered
from aegis.masking.keys import MaskKey
from aegis.operations.stores import Store, open_store
from aegis.operations.system import System

FORMAT: Final = 1
#: Between the parts of what is digested.
_UNIT: Final = "\x1f"


@dataclass(frozen=True, kw_only=True)
class Tombstone:
    """One erased person."""

    run: str
    number: int
    datasource: str
    #: As the data map names it.
    subject: str
    #: Digest of the subject's key.
    key_digest: str
    #: identifier → digest of its value before the erasure
    identifiers: Mapping[str, str]
    #: identifier → digest of what stands there since
    masked: Mapping[str, str]
    erased_at: dt.datetime

    @property
    def plain(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "erased_at": stamp(self.erased_at)}


class Digests:
    """Digests of people's keys and identifiers, computed by the data source that has them."""

    def __init__(self, system: System) -> None:
        secret = system.worker_key.subkey("tombstone")
        self._pads = MaskKey(id="tomb", secret=secret).pads("token")

    def of_key(self, subject: Subject, columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[str]:
        """Return the digest of a subject's key."""
        return self._of(f"key{_UNIT}{subject.name}", columns)

    def of_identifier(self, kind: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
        """Return the digest of an identifier; NULL where it has no value."""
        return sa.case((column.is_not(None), self._of(f"identifier{_UNIT}{kind}", [column])))

    def _of(self, about: str, columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[str]:
        text: sa.ColumnElement[Any] = sa.literal(about, sa.String())
        for column in columns:
            text = text + sa.literal(_UNIT, sa.String()) + sa.cast(column, sa.String())
        return hmac_hex(text, *self._pads)


def keep(connection: sa.Connection, tombstones: Sequence[Tombstone]) -> None:
    """Store tombstones in the caller's transaction of the control database."""
    connection.execute(sa.insert(Row), [vars(one) for one in tombstones])


def publish(system: System, tombstones: Sequence[Tombstone]) -> None:
    """Write the tombstones of one run outside of every database, durable on return.

    Raises:
        AegisError: they cannot be written; the erasure is not complete without them.

    """
    first = tombstones[0]
    body = canonical({"format": FORMAT, "tombstones": [one.plain for one in tombstones]})
    sealed = canonical({"body": body.decode(), "mac": _mac(system, body)})
    _store(system).put(_folder(first.erased_at), f"{first.run}.json", sealed)


def read(system: System, since: dt.datetime) -> list[Tombstone]:
    """Return every tombstone since an instant, of the control database and of the store outside, each once.

    Raises:
        Tampered: a file outside was not written by Aegis.

    """
    found = {(one.run, one.number): one for one in _published(system, since)}
    query = sa.select(table_of(Row)).where(Row.erased_at >= since)
    with reading(system.databases.control, CONTROL) as connection:
        for row in connection.execute(query).mappings():
            found[row["run"], row["number"]] = Tombstone(**row)
    return sorted(found.values(), key=lambda one: (one.erased_at, one.run, one.number))


def of_subject(system: System, datasource: str, subject: str) -> dict[str, list[Tombstone]]:
    """Return the control database's tombstones of one kind of person, by the digest of their key."""
    query = sa.select(table_of(Row)).where(Row.datasource == datasource, Row.subject == subject)
    found: dict[str, list[Tombstone]] = {}
    with reading(system.databases.control, CONTROL) as connection:
        for row in connection.execute(query).mappings():
            found.setdefault(row["key_digest"], []).append(Tombstone(**row))
    return found


def _published(system: System, since: dt.datetime) -> Iterator[Tombstone]:
    store = _store(system)
    for folder in _folders(since, dt.datetime.now(dt.UTC)):
        for name in sorted(store.sizes(folder)):
            if name.endswith(".json"):
                yield from (
                    one for one in _read(system, store.get(folder, name), name) if one.erased_at >= since
                )


def _read(system: System, data: bytes, name: str) -> Iterable[Tombstone]:
    try:
        sealed = json.loads(data)
        body = sealed["body"].encode()
        genuine = hmac.compare_digest(sealed["mac"], _mac(system, body))
    except (ValueError, KeyError, TypeError, AttributeError):
        genuine = False
    if not genuine:
        message = f"the tombstones in {name} were not written by Aegis with this worker key, or changed since"
        raise Tampered(message)
    for plain in json.loads(body)["tombstones"]:
        yield Tombstone(**{**plain, "erased_at": dt.datetime.fromisoformat(plain["erased_at"])})


def _mac(system: System, body: bytes) -> str:
    return hmac.digest(system.worker_key.subkey("tombstone"), b"file" + body, "sha256").hex()


def _store(system: System) -> Store:
    return open_store(system.settings.tombstones_url)


def _folder(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m}"


def _folders(since: dt.datetime, until: dt.datetime) -> Iterator[str]:
    year, month = since.year, since.month
    while (year, month) <= (until.year, until.month):
        yield f"{year:04d}-{month:02d}"
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)  # noqa: PLR2004 - December
