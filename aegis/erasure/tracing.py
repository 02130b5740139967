"""The rows of one person, found in one snapshot by a data map that leaves nothing open."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from aegis.datamap.coverage import Examination, examine
from aegis.datamap.hooks import Anonymizer, load_anonymizers
from aegis.datamap.reached import Coverage
from aegis.datamap.reading import read_map
from aegis.datamap.sources import map_path
from aegis.db import dialects
from aegis.db.catalog import Catalog, read_catalog
from aegis.db.engines import snapshot
from aegis.erasure.decisions import kept
from aegis.erasure.people import Person, person, refuse_absent, subject_named
from aegis.erasure.rows import Rows
from aegis.errors import Refused
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One person's rows, and the snapshot in which they were found."""

    connection: sa.Connection
    catalog: Catalog
    coverage: Coverage
    anonymizers: Sequence[Anonymizer]
    who: Person
    rows: Rows


@contextmanager
def traced(
    system: System, key: Sequence[Any], *, subject: str, datasource: str, tenant: str | None
) -> Iterator[Trace]:
    """Find the rows of one person; the snapshot is open until the end.

    Args:
        system: this process's Aegis.
        key: one value for each column of the subject's key.
        subject: the kind of person, as the data map names it.
        datasource: the source's own name.
        tenant: refuse a person of any other one.

    Raises:
        UsageError: the source has no data map, a name is unknown, a value does not fit.
        UnknownName: nobody has that key.
        Denied: the person is another tenant's.
        Refused: the data map leaves something open.
        UnsafeTable: rows are hidden from Aegis.
        TooLong: a statement took longer than the settings let it.

    """
    settings = system.settings
    datamap = read_map(map_path(settings, datasource))
    anonymizers = load_anonymizers(settings.hooks, datasource)
    kind = subject_named(datamap, subject)
    with snapshot(system.databases.source(datasource), f"data source {datasource}") as connection:
        limits = settings.retention
        dialects.begin_work(
            connection,
            lock_ms=limits.lock_timeout_milliseconds,
            statement_ms=round(1000 * limits.count_seconds),
        )
        catalog = read_catalog(connection)
        found = examine(datamap, catalog, anonymizers)
        _refuse_open(found, datasource)
        who = person(catalog, kind, key)
        refuse_absent(connection, who, tenant)
        coverage = found.coverages[subject]
        yield Trace(
            connection=connection,
            catalog=catalog,
            coverage=coverage,
            anonymizers=anonymizers,
            who=who,
            rows=_follow(connection, catalog, coverage, who),
        )


def _follow(connection: sa.Connection, catalog: Catalog, coverage: Coverage, who: Person) -> Rows:
    """Find the person's rows; what hangs on a row that stays another person's is not among them."""
    closed: set[tuple[str, tuple[Any, ...]]] = set()
    while True:
        rows = Rows(connection, catalog, coverage, closed)
        rows.follow(who.table.label, who.where)
        stays = kept(coverage, rows)
        if not stays:
            return rows
        closed |= stays


def _refuse_open(found: Examination, datasource: str) -> None:
    if found.undecided:
        first, others = found.undecided[0], len(found.undecided) - 1
        more = f", and {others} more" if others else ""
        named = f"{first.table}: {first.what or first.kind}: {first.why}{more}"
        message = (
            f"the data map of {datasource} leaves something open ({named}); "
            f"`aegis datamap check --datasource {datasource}` lists it. Until then nobody is erased by it"
        )
        raise Refused(message)
