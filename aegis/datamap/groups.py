"""Groups: people who are asked for by what their rows say, instead of one by one.

    groups: {inactive: {period: P3Y, from: last_seen_at, when: "status = 'closed'"}}

Whoever's time is not known is in no group that asks for one. A time without a zone is read as UTC; a date
is as old as its end.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from aegis.datamap.bodies import Body
from aegis.datamap.conditions import parse_condition
from aegis.datamap.formats import Entry, Problems
from aegis.datamap.literals import Family, Raw, family_of, operand
from aegis.datamap.model import Group
from aegis.datamap.names import meant
from aegis.datamap.periods import parse_period
from aegis.datamap.vias import check_condition
from aegis.db.catalog import CatalogTable
from aegis.errors import AegisError, InvalidPolicy

GROUP: Final = ("period", "from", "when")
_CLOCKS: Final = frozenset({Family.DATE, Family.WALL, Family.INSTANT})
#: MariaDB's zero date, and what lies before all years, are no times.
_FIRST: Final = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


def groups_of(body: Body) -> dict[str, Group]:
    """Return the groups of a subject."""
    if "groups" not in body.parts or body.undecided("groups"):
        return {}
    return {entry.key: _group(entry, body) for entry in body.pairs("groups")}


def group_faults(group: Group, table: CatalogTable) -> Iterator[str]:
    """Find what the live table does not bear out."""
    column = table.table.c.get(group.column) if group.column else None
    if group.column and column is None:
        yield f"table {table.label} has no column {group.column}; {meant(group.column, table.table.c.keys())}"
    elif column is not None and family_of(column.type) not in _CLOCKS:
        kind = column.type.__visit_name__
        yield f"from: {table.label}.{column.name} is {kind}, and the age of a row is told by a date or time"
    try:
        if group.when:
            parse_condition(group.when, table.table)
    except AegisError as error:
        yield f"when: {error}"


def belongs(group: Group, table: sa.Table, now: dt.datetime) -> sa.ColumnElement[bool]:
    """Return the condition that a row of the subject's table is in a group.

    Args:
        group: fits the table, as `group_faults` says.
        table: the reflected table.
        now: by the database's clock.

    """
    found = []
    if group.period and group.column:
        clock = operand(table.c[group.column])
        since = parse_period(group.period).before(now, "UTC")
        first, last = (clock.read(_literal(moment, clock.family)).bound for moment in (_FIRST, since))
        found += [clock.expression >= first, clock.expression < last]
    if group.when:
        found.append(parse_condition(group.when, table).expression)
    return sa.and_(*found)


def _group(entry: Entry, body: Body) -> Group:
    problems, where = body.problems, f"{body.where}: group {entry.key}"
    part = Body(entry.node, where, GROUP, problems)
    period, column, when = (part.text(key) for key in GROUP)
    body.todo |= {f"groups: {entry.key}: {key}": line for key, line in part.todo.items()}
    one = {"period", "from"} & part.parts.keys()
    if len(one) == 1:
        part.complain(one.pop(), " needs period and from together, such as {period: P3Y, from: last_seen_at}")
    elif not part.parts:
        sentence = f"{where}: everybody would be in it; write period and from, or when, or all of them"
        problems.add(entry.line, sentence)
    _check(part, period, when, problems)
    return Group(name=entry.key, line=entry.line, period=period, column=column, when=when)


def _check(part: Body, period: str | None, when: str | None, problems: Problems) -> None:
    try:
        if period is not None:
            parse_period(period)
    except InvalidPolicy as error:
        part.complain("period", f": {error}")
    if when is not None:
        check_condition(when, f"{part.where}: when", part.lines["when"], problems)


def _literal(moment: dt.datetime, family: Family) -> Raw:
    if family is Family.DATE:
        return Raw(kind="string", text=moment.date().isoformat())
    shown = moment if family is Family.INSTANT else moment.replace(tzinfo=None)
    return Raw(kind="string", text=shown.isoformat(sep=" ", timespec="microseconds"))
