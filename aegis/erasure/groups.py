"""Who is in a group of the data map and has to be erased yet, found where and when their rows are.

Whoever was erased may match for ever, since what the group asks for need not be masked. So those are left out
whose row still says what an erasure left in it, by the digests of its tombstone; and those whose erasure was
asked for and has not ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.groups import belongs
from aegis.datamap.model import Group, Subject
from aegis.datamap.names import meant
from aegis.db import dialects
from aegis.db.catalog import Catalog, CatalogTable
from aegis.db.engines import CONTROL, reading
from aegis.db.tables import ErasedPerson, Run
from aegis.erasure.people import Key, of_tenant
from aegis.erasure.plan import reference
from aegis.errors import NobodyInGroup, UnknownName
from aegis.operations import tombstones
from aegis.operations.states import FINAL, Wait
from aegis.operations.system import System
from aegis.operations.tombstones import Digests

#: Rows that are fetched together.
_FETCH: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Members:
    """Finds the people of a group, those first who have been in it for longest."""

    system: System
    datasource: str
    group: str
    #: Only people of this one; none: of all.
    tenant: str | None
    #: At most so many; none: all.
    limit: int | None

    def __call__(self, connection: sa.Connection, catalog: Catalog, subject: Subject) -> Sequence[Key]:
        """Return their keys.

        Raises:
            UnknownName: the subject has no such group.
            UsageError: a tenant was named, and the data map names no tenant column.
            NobodyInGroup: nobody is in it who has to be erased yet.

        """
        group = subject.groups.get(self.group)
        if group is None:
            message = (
                f"subject {subject.name} has no group {self.group!r} in the data map; "
                f"{meant(self.group, subject.groups)}"
            )
            raise UnknownName(message)
        table = catalog.find(str(subject.table))
        assert table is not None  # noqa: S101 - a map that names a table which is not there is refused before
        stones = tombstones.of_subject(self.system, self.datasource, subject.name)
        asked = _asked(self.system, self.datasource)
        found: list[Key] = []
        result = connection.execute(self._query(connection, subject, group, table))
        try:
            for row in result.mappings():
                key = tuple(row[f"key {name}"] for name in subject.key)
                named = {k: digest for k in subject.identifiers if (digest := row[f"identifier {k}"])}
                erased = any(stone.masked == named for stone in stones.get(row["key digest"], ()))
                ghost = tuple(map(str, key)) == subject.ghost
                if not (erased or ghost or reference(self.system, subject.name, key) in asked):
                    found.append(key)
                if len(found) == self.limit:
                    break
        finally:
            result.close()
        if not found:
            message = f"nobody is in group {self.group} of subject {subject.name}; nothing was changed"
            raise NobodyInGroup(message)
        return found

    def _query(
        self, connection: sa.Connection, subject: Subject, group: Group, table: CatalogTable
    ) -> sa.Select[Any]:
        digests, columns = Digests(self.system), table.table.c
        key = [columns[name] for name in subject.key]
        read: list[Any] = [digests.of_key(subject, key).label("key digest")]
        read += [column.label(f"key {column.name}") for column in key]
        read += [
            digests.of_identifier(kind, columns[name]).label(f"identifier {kind}")
            for kind, name in subject.identifiers.items()
        ]
        where = [belongs(group, table.table, dialects.now(connection))]
        where += [of_tenant(table, subject, self.tenant)] if self.tenant is not None else []
        order = [*([columns[group.column]] if group.column else []), *key]
        query = sa.select(*read).where(*where).order_by(*order)
        return query.execution_options(yield_per=_FETCH)


def _asked(system: System, datasource: str) -> frozenset[str]:
    """Return the references of people whose erasure from a source has not ended, but for a retained rest."""
    query = sa.select(ErasedPerson.reference).join(Run, Run.id == ErasedPerson.run)
    query = query.where(Run.datasource == datasource, Run.state.not_in(sorted(FINAL)))
    query = query.where(sa.or_(Run.waits_for.is_(None), Run.waits_for != Wait.REST))
    with reading(system.databases.control, CONTROL) as connection:
        return frozenset(connection.scalars(query))
