"""Replay after a restore: whoever was erased and is back is erased again.

A row is an erased person's when its key is, and one of its identifiers is too, or it is older than the
erasure: keys are used again, by other people. One that says what the erasure wrote is no finding, so a replay
comes to rest. The same person under another key came back on their own account, and is reported only.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.model import Subject
from aegis.datamap.reading import read_map
from aegis.datamap.sources import map_path
from aegis.db.catalog import CatalogTable, read_catalog
from aegis.erasure import outcomes
from aegis.erasure.approving import REPLAY
from aegis.erasure.asking import Wish, ask
from aegis.erasure.outcomes import Erasure
from aegis.erasure.tracing import patient_snapshot
from aegis.errors import UsageError
from aegis.operations import tombstones
from aegis.operations.system import System
from aegis.operations.tombstones import Digests, Tombstone

#: Rows that are fetched together.
_FETCH: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay found of one kind of subject."""

    datasource: str
    subject: str
    #: Erased people whose tombstones were looked for.
    tombstones: int
    #: Of them, those who are back.
    returned: int
    #: Rows of other keys with an identifier of somebody who was erased.
    elsewhere: int
    #: None: nothing was changed.
    erasure: Erasure | None = None


@dataclass(kw_only=True)
class _Found:
    keys: list[tuple[Any, ...]] = field(default_factory=list)
    elsewhere: int = 0


def replay(
    system: System, *, since: dt.datetime, datasource: str, actor: str, execute: bool
) -> list[Replayed]:
    """Look for erased people who are back in a data source, and erase them again.

    Args:
        system: this process's Aegis.
        since: tombstones from then on; the day of the backup that was restored, or earlier.
        datasource: the source's own name.
        actor: who asks for it.
        execute: without it nothing is changed.

    Raises:
        UsageError: the instant has no zone, or the source has no data map.
        Tampered: a tombstone was not written by Aegis.
        AegisError: as `anonymize_users`.

    """
    if since.tzinfo is None:
        message = "since must have a zone, such as 2027-01-31T02:00:00+00:00"
        raise UsageError(message)
    stones = [one for one in tombstones.read(system, since) if one.datasource == datasource]
    datamap = read_map(map_path(system.settings, datasource))
    made = []
    for name, subject in datamap.subjects.items():
        mine = [one for one in stones if one.subject == name]
        if not mine or subject.table is None:
            continue
        found = _look(system, datasource, subject, mine)
        erased = None
        if execute and found.keys:
            wish = Wish(
                keys=found.keys, subject=name, datasource=datasource, tenant=None, actor=actor, origin=REPLAY
            )
            erased = outcomes.carry_out(system, ask(system, wish))
        made.append(
            Replayed(
                datasource=datasource,
                subject=name,
                tombstones=len(mine),
                returned=len(found.keys),
                elsewhere=found.elsewhere,
                erasure=erased,
            )
        )
    return made


def _look(system: System, datasource: str, subject: Subject, stones: Sequence[Tombstone]) -> _Found:
    """Read the subject's table once, each row as digests that its database computes."""
    with patient_snapshot(system, datasource) as connection:
        table = read_catalog(connection).find(str(subject.table))
        if table is None:
            message = f"subject {subject.name}: there is no table {subject.table} in {datasource}"
            raise UsageError(message)
        by_key: dict[str, list[Tombstone]] = {}
        for stone in stones:
            by_key.setdefault(stone.key_digest, []).append(stone)
        known = {item for stone in stones for item in stone.identifiers.items()}
        found = _Found()
        query = _query(system, subject, table)
        for row in connection.execution_options(yield_per=_FETCH).execute(query).mappings():
            named = {kind: row[f"identifier {kind}"] for kind in subject.identifiers}
            mine = by_key.get(row["key digest"])
            if mine and _back(mine, named, row.get("created")):
                found.keys.append(tuple(row[f"key {name}"] for name in subject.key))
            elif not mine and not known.isdisjoint(named.items()):
                found.elsewhere += 1
        return found


def _query(system: System, subject: Subject, table: CatalogTable) -> sa.Select[Any]:
    digests, columns = Digests(system), table.table.c
    key = [columns[name] for name in subject.key]
    read: list[Any] = [digests.of_key(subject, key).label("key digest")]
    read += [columns[name].label(f"key {name}") for name in subject.key]
    read += [
        digests.of_identifier(kind, columns[name]).label(f"identifier {kind}")
        for kind, name in subject.identifiers.items()
    ]
    read += [columns[subject.created].label("created")] if subject.created else []
    return sa.select(*read)


def _back(stones: Sequence[Tombstone], named: Mapping[str, str | None], created: Any) -> bool:
    """Whether a row is that of the person again: of all times that they were erased, each counts.

    What an erasure wrote is what the next one finds; it is nobody's identifier.
    """
    here = {(kind, digest) for kind, digest in named.items() if digest is not None}
    written = {item for stone in stones for item in stone.masked.items()}
    theirs = {item for stone in stones for item in stone.identifiers.items()} - written
    last = max(stone.erased_at for stone in stones)
    return bool(here & theirs) or (_older(created, last) and not here & written)


def _older(created: Any, than: dt.datetime) -> bool:
    """Whether a row was made before an instant; a time without a zone is UTC."""
    if isinstance(created, str):
        try:
            created = dt.datetime.fromisoformat(created)
        except ValueError:
            return False
    if isinstance(created, dt.datetime):
        aware = created if created.tzinfo else created.replace(tzinfo=dt.UTC)
        return aware <= than
    return isinstance(created, dt.date) and created <= than.date()
