"""The same people in other data sources, as the data maps of those say: `same_as: app.users.id`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from aegis.datamap.model import DataMap, Subject
from aegis.datamap.reading import read_map
from aegis.erasure.people import People
from aegis.erasure.persons import KeptPerson
from aegis.erasure.rows import HomeRow
from aegis.erasure.tracing import Trace
from aegis.errors import InvalidDataMap
from aegis.operations.system import System


@dataclass(frozen=True, kw_only=True)
class Away:
    """A data source in which the people of another one are as well."""

    datasource: str
    subject: Subject
    #: The column of their own row at home that is their key there.
    column: str
    #: Every column of it that something there refers to.
    columns: tuple[str, ...]


def others(system: System, trace: Trace, who: People, datasource: str) -> list[Away]:
    """Return where else some people are.

    Args:
        system: this process's Aegis.
        trace: of their home.
        who: the people.
        datasource: their home.

    Raises:
        InvalidDataMap: a map says that its people are those of this source, and names what is not there.
        AegisError: a map cannot be read.

    """
    return [
        _away(who, name, datamap, subject, datasource)
        for name, source in sorted(system.settings.sources.items())
        if source.datamap is not None and name != datasource
        for datamap in [read_map(source.datamap)]
        for subject in datamap.subjects.values()
        if _meant(trace, who, subject, datasource)
    ]


def rows_at_home(
    trace: Trace, who: People, people: Sequence[KeptPerson], aways: Sequence[Away]
) -> list[HomeRow]:
    """Return what other sources need of the own row of each of the people."""
    names = sorted({name for away in aways for name in away.columns})
    found, number = {}, len(who.columns)
    for where in who.wheres():
        query = sa.select(*who.columns, *[who.table.table.c[name] for name in names]).where(where)
        for row in trace.connection.execute(query):
            found[tuple(map(str, row[:number]))] = dict(zip(names, row[number:], strict=True))
    return [found[tuple(map(str, person.key))] for person in people]


def _meant(trace: Trace, who: People, subject: Subject, datasource: str) -> bool:
    """Whether a subject of another source is what these people are."""
    source, _, table = (subject.home or "").partition(".")
    if source != datasource:
        return False
    found = trace.catalog.find(table)
    if found is None:
        message = f"subject {subject.name}: same_as: there is no table {table} in {datasource}"
        raise InvalidDataMap(message)
    return found.label == who.table.label


def _away(who: People, name: str, datamap: DataMap, subject: Subject, datasource: str) -> Away:
    column = str(subject.same_as).rpartition(".")[2]
    columns = tuple(dict.fromkeys([column, *_referred(datamap, subject)]))
    for missing in columns:
        if missing not in who.table.table.c:
            message = (
                f"data map of {name}: subject {subject.name} refers to column {missing} of {subject.home}, "
                f"which is not there in {datasource}"
            )
            raise InvalidDataMap(message)
    if len(subject.key) > 1:
        message = (
            f"data map of {name}: subject {subject.name} has a key of {len(subject.key)} columns, and "
            f"same_as names one column of {subject.home}; name the one column that is equal to it as key"
        )
        raise InvalidDataMap(message)
    return Away(datasource=name, subject=subject, column=column, columns=columns)


def _referred(datamap: DataMap, subject: Subject) -> Iterator[str]:
    """Yield the columns at home that the map's tables refer to."""
    for rule in datamap.rules.values():
        for via in rule.via:
            if via.parent == subject.home:
                yield from via.parent_columns
