"""The rows of some people, found in one snapshot by a data map that leaves nothing open."""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from aegis.datamap.coverage import Examination, examine
from aegis.datamap.erasers import load_erasers
from aegis.datamap.hooks import Anonymizer, load_anonymizers
from aegis.datamap.model import DataMap, Rule, Subject
from aegis.datamap.reached import Coverage
from aegis.datamap.reading import read_map
from aegis.datamap.sources import map_path
from aegis.db import dialects, transactions
from aegis.db.catalog import Catalog, read_catalog
from aegis.db.engines import snapshot
from aegis.erasure.acts import Act, acts, flat
from aegis.erasure.decisions import kept
from aegis.erasure.people import Key, People, people, refuse_absent, subject_named
from aegis.erasure.rows import NOTHING, Known, Rows
from aegis.erasure.tenants import refuse_other_tenants, refuse_rewritten
from aegis.errors import Refused
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Trace:
    """People's rows, and the snapshot in which they were found."""

    connection: sa.Connection
    catalog: Catalog
    datamap: DataMap
    coverage: Coverage
    anonymizers: Sequence[Anonymizer]
    who: People
    rows: Rows
    #: The only tenant whose rows these may be; none: any.
    tenant: str | None = None

    @cached_property
    def acts(self) -> Sequence[Act | list[Act]]:
        """What is to be done, in its order; a list are deletions in a circle."""
        return list(acts(self.coverage, self.rows))

    @property
    def each_act(self) -> Iterator[Act]:
        """Every act, also those of circles."""
        return flat(self.acts)


#: Finds whom an erasure is about in the snapshot in which their rows are found.
Find = Callable[[sa.Connection, Catalog, Subject], Sequence[Key]]


@contextmanager
def traced(
    system: System, keys: Sequence[Key] | Find, *, subject: str, datasource: str, tenant: str | None
) -> Iterator[Trace]:
    """Find the rows of some people; the snapshot is open until the end.

    Args:
        system: this process's Aegis.
        keys: for each of them one value for each column of the subject's key; or what finds them.
        subject: the kind of person, as the data map names it.
        datasource: the source's own name.
        tenant: refuse people of any other one, and rows.

    Raises:
        UsageError: the source has no data map, a name is unknown, a value does not fit.
        UnknownName: nobody has one of the keys.
        Denied: one is another tenant's, or rows of another tenant refer to them.
        Refused: the data map leaves something open.
        UnsafeTable: rows are hidden from Aegis.
        TooLong: a statement took longer than the settings let it.

    """
    with patient_snapshot(system, datasource) as connection:
        yield trace(
            system, connection, keys, subject=subject, datasource=datasource, tenant=tenant, there=True
        )


@contextmanager
def looking(
    system: System,
    keys: Sequence[Key] | Find,
    *,
    subject: str,
    datasource: str,
    tenant: str | None,
    known: Known = NOTHING,
    verify: bool = False,
) -> Iterator[Trace]:
    """Find the rows of some people, who may be gone themselves; the snapshot is open until the end.

    With `verify` it is read as the role that only looks.

    Raises:
        AegisError: as `traced`, but for people who are not there.

    """
    with patient_snapshot(system, datasource, verify=verify) as connection:
        yield trace(
            system, connection, keys, subject=subject, datasource=datasource, tenant=tenant, known=known
        )


@contextmanager
def patient_snapshot(system: System, datasource: str, *, verify: bool = False) -> Iterator[sa.Connection]:
    """Open a snapshot of a data source in which a statement may take as long as a count."""
    limits, databases = system.settings.retention, system.databases
    engine = databases.verifier(datasource) if verify else databases.source(datasource)
    with snapshot(engine, f"data source {datasource}") as connection:
        transactions.begin_work(
            connection,
            lock_ms=limits.lock_timeout_milliseconds,
            statement_ms=round(1000 * limits.count_seconds),
        )
        yield connection


def trace(
    system: System,
    connection: sa.Connection,
    keys: Sequence[Key] | Find,
    *,
    subject: str,
    datasource: str,
    tenant: str | None,
    known: Known = NOTHING,
    there: bool = False,
) -> Trace:
    """Find the rows of some people in the caller's transaction.

    Args:
        system: this process's Aegis.
        connection: the data source.
        keys: for each of them one value for each column of the subject's key; or what finds them.
        subject: the kind of person, as the data map names it.
        datasource: the source's own name.
        tenant: refuse rows of any other one.
        known: what is known of them besides: what refers to that is theirs, though their own rows may be
            gone or masked by now, or stand in another data source.
        there: refuse people who are not there, or are another tenant's.

    Raises:
        AegisError: as `traced`.

    """
    datamap = _now(read_map(map_path(system.settings, datasource)), connection, known.ended)
    anonymizers = load_anonymizers(system.settings.hooks, datasource)
    kind = subject_named(datamap, subject)
    catalog = read_catalog(connection)
    found = examine(datamap, catalog, anonymizers, load_erasers(system.settings.hooks, datasource))
    refuse_open(found, datasource)
    meant = keys(connection, catalog, kind) if callable(keys) else keys
    who = people(catalog, kind, meant, away=bool(known.at_home))
    if there:
        refuse_absent(connection, who, tenant)
    coverage = found.coverages[subject]
    return Trace(
        connection=connection,
        catalog=catalog,
        datamap=datamap,
        coverage=coverage,
        anonymizers=anonymizers,
        who=who,
        rows=_follow(connection, catalog, coverage, who, known, tenant=tenant),
        tenant=tenant,
    )


def again(found: Trace, known: Known) -> Trace:
    """Find the rows of the same people once more, later in the same transaction."""
    rows = _follow(found.connection, found.catalog, found.coverage, found.who, known, tenant=found.tenant)
    return replace(found, rows=rows)


def _now(datamap: DataMap, connection: sa.Connection, ended: Collection[str]) -> DataMap:
    """Return what a map says today: rows whose time to be retained is over are deleted like any others."""
    today = dialects.now(connection).date()
    over = {
        name: replace(rule, row="delete", reason=None, until=None, keep_at_least=None)
        for name, rule in datamap.rules.items()
        if rule.row == "retain" and (name in ended or _is_over(rule, today))
    }
    return replace(datamap, rules={**datamap.rules, **over})


def _is_over(rule: Rule, today: dt.date) -> bool:
    return rule.keep_at_least is None and rule.until is not None and rule.until < today


def _follow(
    connection: sa.Connection,
    catalog: Catalog,
    coverage: Coverage,
    who: People,
    known: Known,
    *,
    tenant: str | None,
) -> Rows:
    """Find the people's rows; what hangs on a row that stays another person's is not among them."""
    if tenant is not None:
        refuse_rewritten(coverage)
    closed: set[tuple[str, tuple[Any, ...]]] = set()
    while True:
        rows = Rows(connection, catalog, coverage, closed, tenant=tenant)
        rows.follow(who, known)
        if tenant is not None:
            refuse_other_tenants(coverage, rows, tenant)
        stays = kept(coverage, rows)
        if not stays:
            return rows
        closed |= stays


def refuse_open(found: Examination, datasource: str) -> None:
    """Refuse a data map that leaves something open.

    Raises:
        Refused: names the first of it.

    """
    if found.undecided:
        first, others = found.undecided[0], len(found.undecided) - 1
        more = f", and {others} more" if others else ""
        named = f"{first.table}: {first.what or first.kind}: {first.why}{more}"
        message = (
            f"the data map of {datasource} leaves something open ({named}); "
            f"`aegis datamap check --datasource {datasource}` lists it. Until then nobody is erased by it"
        )
        raise Refused(message)
