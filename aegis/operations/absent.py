"""Rows of people who were erased since, among rows that come back from an archive."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from aegis.datamap.closure import CUT
from aegis.datamap.coverage import examine
from aegis.datamap.hooks import load_anonymizers
from aegis.datamap.model import Row, Subject
from aegis.datamap.reached import Coverage
from aegis.datamap.reading import read_map
from aegis.datamap.sources import map_path
from aegis.db.catalog import read_catalog
from aegis.operations import tombstones
from aegis.operations.system import System
from aegis.operations.tombstones import Digests

#: Digests in one statement.
_DIGESTS: Final = 500


@dataclass(frozen=True, kw_only=True)
class _Way:
    """Columns of the rows that can refer to an erased person, or that name one."""

    subject: Subject
    columns: tuple[str, ...]
    row: Row


class Absent:
    """Tells which rows must not come back into one table.

    Args:
        system: this process's Aegis.
        connection: the data source.
        datasource: its own name.
        label: the table.
        archived_at: when the rows went; people erased before that are others under the same key.

    """

    def __init__(
        self, system: System, connection: sa.Connection, datasource: str, label: str, archived_at: dt.datetime
    ) -> None:
        self._connection = connection
        self._digests = Digests(system)
        self._keys: dict[str, set[str]] = {}
        for one in tombstones.read(system, archived_at):
            if one.datasource == datasource:
                self._keys.setdefault(one.subject, set()).add(one.key_digest)
        self._ways = list(_ways(system, connection, datasource, label)) if self._keys else []

    def strike(self, table: sa.Table) -> int:
        """Take the rows out of a table on their way, or empty what refers; return how many were taken out."""
        gone = 0
        for way in self._ways:
            digest = self._digests.of_key(way.subject, [table.c[name] for name in way.columns])
            keys = sorted(self._keys.get(way.subject.name, ()))
            for start in range(0, len(keys), _DIGESTS):
                theirs = digest.in_(keys[start : start + _DIGESTS])
                if way.row in CUT:
                    emptied = dict.fromkeys(way.columns, sa.null())
                    self._connection.execute(sa.update(table).where(theirs).values(emptied))
                else:
                    gone += self._connection.execute(sa.delete(table).where(theirs)).rowcount
        return gone


def _ways(system: System, connection: sa.Connection, datasource: str, label: str) -> Iterator[_Way]:
    if system.settings.source(datasource).datamap is None:
        return
    datamap = read_map(map_path(system.settings, datasource))
    catalog = read_catalog(connection)
    found = catalog.find(label)
    for coverage in examine(
        datamap, catalog, load_anonymizers(system.settings.hooks, datasource)
    ).coverages.values():
        if found is not None:
            yield from _of(coverage, found.label)


def _of(coverage: Coverage, label: str) -> Iterator[_Way]:
    subject, entry = coverage.subject, coverage.tables[label].entry if label in coverage.tables else None
    if label == coverage.root and entry is not None and entry.action in {"delete", "anonymize"}:
        yield _Way(subject=subject, columns=subject.key, row=entry.action)
    for edge in coverage.edges:
        if edge.child != label or edge.parent != coverage.root or edge.path or edge.row in {None, "retain"}:
            continue
        by_key = dict(zip(edge.parent_columns, edge.columns, strict=True))
        if edge.row and all(name in by_key for name in subject.key):
            yield _Way(subject=subject, columns=tuple(by_key[n] for n in subject.key), row=edge.row)
