"""The rows that stand for people: what they are called, and what others refer to them by."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from aegis.datamap.model import Subject
from aegis.db.catalog import CatalogTable
from aegis.erasure.people import People, people
from aegis.erasure.persons import KeptPerson
from aegis.erasure.portions import in_portions
from aegis.erasure.rows import HomeRow
from aegis.erasure.tracing import Trace
from aegis.masking.strategies import strategy_of
from aegis.operations.system import System
from aegis.operations.tombstones import Digests

#: Keys whose digests one statement computes.
_TOGETHER: Final = 100


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row that stands for somebody."""

    #: By column.
    values: Mapping[str, Any]
    #: Of the key, and of each identifier that has a value and was not masked.
    key_digest: str
    digests: Mapping[str, str]


def identifiers_of(system: System, trace: Trace) -> dict[str, str]:
    """Return the identifiers of the one person of a trace, from their own row; none if it is gone."""
    found = [_named(trace.who.subject, row) for row in _rows(system, trace).values()]
    return found[0] if found else {}


def found(system: System, trace: Trace) -> list[KeptPerson]:
    """Read people's own rows, in the order of their keys."""
    rows = _rows(system, trace)
    return [_person(trace, key, rows[tuple(map(str, key))]) for key in trace.who.keys]


def found_away(
    system: System, trace: Trace, those: Iterable[tuple[KeptPerson, Any, HomeRow]]
) -> list[KeptPerson]:
    """Read people's own rows in another data source than their home; they need have none there.

    Args:
        system: this process's Aegis.
        trace: of the other source.
        those: who they are at home, their key here, and what stands in their row at home.

    """
    by_key: dict[str, list[tuple[KeptPerson, HomeRow]]] = defaultdict(list)
    for person, key, row in those:
        by_key[str(key)].append((person, row))
    rows, digests, made = _rows(system, trace), _key_digests(system, trace), []
    for key, digest in zip(trace.who.keys, digests, strict=True):
        own, same = rows.get(tuple(map(str, key))), by_key[str(key[0])]
        person = (
            _person(trace, key, own)
            if own
            else KeptPerson(key=key, tenant=None, referred={}, identifiers={}, key_digest=digest, digests={})
        )
        tenant = person.tenant or next((other.tenant for other, _ in same), None)
        made.append(replace(person, tenant=tenant, at_home=[row for _, row in same]))
    return made


def joined(named: Mapping[str, str], source: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return identifiers with those of another data source that differ, as `source:identifier`."""
    found = dict(named)
    for kind, value in more.items():
        name, number = f"{source}:{kind}", 1
        while name in found:
            number += 1
            name = f"{source}.{number}:{kind}"
        if value not in found.values():
            found[name] = value
    return found


def members(system: System, trace: Trace) -> Iterator[KeptPerson]:
    """Yield people of other kinds whose own rows are deleted or masked along: the users of a tenant."""
    for subject in trace.datamap.subjects.values():
        table = trace.catalog.find(subject.table) if subject.table else None
        if table is None or table.label == trace.coverage.root:
            continue
        groups = [
            group
            for act in trace.each_act
            if act.table == table.label and act.action in {"delete", "anonymize"}
            for group in act.groups
        ]
        if not groups:
            continue
        side = trace.rows.side(table.label)
        for some in side.portions(groups):
            where = side.among([group.values for group in some])
            for row in _read(system, trace, subject, table, [where], names=[]).values():
                yield KeptPerson(
                    key=tuple(row.values[name] for name in subject.key),
                    tenant=_tenant(subject, row),
                    referred={},
                    identifiers=_named(subject, row),
                    key_digest=row.key_digest,
                    digests=row.digests,
                    subject=subject.name,
                )


def kinds(
    trace: Trace, those: Sequence[KeptPerson], along: Sequence[KeptPerson]
) -> Iterator[tuple[People, list[KeptPerson]]]:
    """Yield people by their kind, those who are meant first; whoever has a row of their own here."""
    if trace.who.own is not None:
        yield trace.who, list(those)
    for name in dict.fromkeys(str(one.subject) for one in along):
        # The map may have changed since: then nobody is called so any more.
        if subject := trace.datamap.subjects.get(name):
            mine = [one for one in along if one.subject == name]
            yield people(trace.catalog, subject, [one.key for one in mine]), mine


def digests_of(
    system: System, subject: Subject, table: CatalogTable
) -> tuple[sa.ColumnElement[str], dict[str, sa.ColumnElement[str]]]:
    """Return the digest of the key of a row that stands for somebody, and of each of its identifiers."""
    digests, columns = Digests(system), table.table.c
    of_key = digests.of_key(subject, [columns[name] for name in subject.key])
    named = subject.identifiers.items()
    return of_key, {kind: digests.of_identifier(kind, columns[column]) for kind, column in named}


def _rows(system: System, trace: Trace) -> dict[tuple[str, ...], _Row]:
    """Return the people's own rows by their key as text."""
    who = trace.who
    if who.own is None:
        return {}
    names = trace.rows.side(who.own.label).names
    return _read(system, trace, who.subject, who.own, who.wheres(), names=names)


def _read(
    system: System,
    trace: Trace,
    subject: Subject,
    table: CatalogTable,
    wheres: Iterable[sa.ColumnElement[bool]],
    *,
    names: Sequence[str],
) -> dict[tuple[str, ...], _Row]:
    tenant = [subject.tenant] if subject.tenant else []
    columns = list(dict.fromkeys([*subject.key, *names, *tenant, *subject.identifiers.values()]))
    of_key, digests = digests_of(system, subject, table)
    masked, number, rows = _masked(trace, subject, table), len(digests), {}
    read = [of_key, *digests.values(), *masked, *[table.table.c[name] for name in columns]]
    for where in wheres:
        for key_digest, *row in trace.connection.execute(sa.select(*read).where(where)):
            parts = zip(digests, row[:number], row[number : 2 * number], strict=True)
            values = dict(zip(columns, row[2 * number :], strict=True))
            rows[tuple(str(values[name]) for name in subject.key)] = _Row(
                values=values,
                key_digest=key_digest,
                # What an earlier erasure wrote names nobody.
                digests={kind: digest for kind, digest, over in parts if digest and not over},
            )
    return rows


def _masked(trace: Trace, subject: Subject, table: CatalogTable) -> list[sa.ColumnElement[Any]]:
    """Return of each identifier whether a mask stands in its place already."""
    reached = trace.coverage.tables.get(table.label)
    specs = reached.entry.masks if reached and reached.entry else {}
    found: list[sa.ColumnElement[Any]] = []
    for name in subject.identifiers.values():
        over = strategy_of(specs[name]).recognises(table.table.c[name]) if name in specs else None
        found.append(sa.false() if over is None else sa.case((over, sa.true()), else_=sa.false()))
    return found


def _person(trace: Trace, key: tuple[Any, ...], row: _Row) -> KeptPerson:
    subject = trace.who.subject
    return KeptPerson(
        key=key,
        tenant=_tenant(subject, row),
        referred={name: row.values[name] for name in trace.rows.side(trace.who.table.label).names},
        identifiers=_named(subject, row),
        key_digest=row.key_digest,
        digests=row.digests,
    )


def _named(subject: Subject, row: _Row) -> dict[str, str]:
    columns = subject.identifiers
    values = {kind: str(row.values[columns[kind]]) for kind in row.digests}
    return {kind: value for kind, value in values.items() if value}


def _tenant(subject: Subject, row: _Row) -> str | None:
    value = row.values[subject.tenant] if subject.tenant else None
    return None if value is None else str(value)


def _key_digests(system: System, trace: Trace) -> list[str]:
    """Return the digest of each key, computed from the key alone."""
    of_key, found = Digests(system).of_key, list[str]()
    for some in in_portions(trace.who.keys, _TOGETHER):
        digests = [of_key(trace.who.subject, [sa.literal(str(v), sa.String()) for v in key]) for key in some]
        found += trace.connection.execute(sa.select(*digests)).one()
    return found
