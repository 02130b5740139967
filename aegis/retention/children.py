"""What must be true of the tables that refer to a policy's table, and how their rows go along."""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from aegis.db import dialects
from aegis.db.references import Reference, unindexed
from aegis.errors import UnsafeTable
from aegis.retention.branches import Branch, along, every, paths, refuse_unnamed
from aegis.retention.target import Target


def refuse_cascades(target: Target, cascades: Sequence[str] | None, policy: str) -> None:
    """Refuse a table whose deletion would change rows of tables that the policy does not name.

    Raises:
        UnsafeTable: a foreign key with CASCADE, SET NULL or SET DEFAULT points at a table that goes.
        InvalidPolicy: a table is named that no cascade reaches.

    """
    refuse_unnamed(target.layout, target.branches, cascades or (), policy)


def refuse_children(
    connection: sa.Connection, target: Target, doomed: sa.ColumnElement[bool], policy: str
) -> None:
    """Refuse when rows that would go, or go along, still have rows that refer to them.

    Raises:
        UnsafeTable: names the referring tables and what to do.

    """
    root = target.layout.table
    blocking = [
        reference.label
        for path in ((), *paths(target.branches))
        for reference in _blocking(target, path)
        if connection.scalar(sa.select(_has_child(reference, path, root, doomed)))
    ]
    if blocking:
        message = (
            f"policy {policy}: rows of {target.layout.label} that are past their time still have rows in "
            f"{', '.join(blocking)} that refer to them. A policy for the referring table must run first"
        )
        raise UnsafeTable(message)


def take_children(connection: sa.Connection, target: Target, where: sa.ColumnElement[bool]) -> Counter[str]:
    """Delete or release what hangs on the rows that are about to go, leaves first; return the counts."""
    gone: Counter[str] = Counter()
    for path in paths(target.branches):
        branch, last = path[-1], path[-1].layout.table
        condition = _flat(path, target, where) if _joins(connection, path, where) else None
        if condition is None:
            condition = [along(path, target.layout.table, where)]
        if branch.action == "cascade":
            statement: sa.Delete | sa.Update = sa.delete(last).where(*condition)
        else:
            statement = sa.update(last).values(_released(connection, branch)).where(*condition)
        gone[branch.name] += connection.execute(statement).rowcount
    return +gone


def count_children(
    connection: sa.Connection, target: Target, doomed: sa.ColumnElement[bool]
) -> dict[str, int]:
    """Count the rows of other tables that would go along."""
    found: Counter[str] = Counter()
    for path in paths(target.branches):
        last = path[-1].layout.table
        query = sa.select(sa.func.count()).select_from(last)
        where = along(path, target.layout.table, doomed)
        found[path[-1].name] += int(connection.scalar(query.where(where)) or 0)
    return dict(found)


def without_index(connection: sa.Connection, target: Target) -> list[str]:
    """Return the referring columns that are searched for each row that goes, and have no index."""
    below = [item for branch in every(target.branches) for item in branch.layout.references]
    return unindexed(connection, [*target.layout.references, *below])


def _blocking(target: Target, path: Sequence[Branch]) -> list[Reference]:
    """Return the references without an action to the table at the end of a path."""
    if path and path[-1].action != "cascade":
        return []
    layout = path[-1].layout if path else target.layout
    return [reference for reference in layout.references if not reference.changes_rows]


def _has_child(
    reference: Reference, path: Sequence[Branch], root: sa.Table, doomed: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    parent = path[-1].layout.table if path else root
    child = sa.table(
        reference.table, *[sa.column(name) for name in reference.columns], schema=reference.schema
    )
    referring = child.alias("referring")
    pairs = zip(reference.columns, reference.referred_columns, strict=True)
    same = [referring.c[column] == parent.c[referred] for column, referred in pairs]
    goes = along(path, root, doomed)
    return sa.exists(sa.select(sa.literal(1)).select_from(parent, referring).where(goes, *same))


def _joins(connection: sa.Connection, path: Sequence[Branch], where: sa.ColumnElement[bool]) -> bool:
    """Whether to join: MariaDB reads the whole child for an EXISTS, but may not read it twice in a join."""
    named = {element for element in sa.sql.visitors.iterate(where) if isinstance(element, sa.Table)}
    return connection.dialect.name in dialects.MARIADB and path[-1].layout.table not in named


def _flat(
    path: Sequence[Branch], target: Target, where: sa.ColumnElement[bool]
) -> list[sa.ColumnElement[bool]]:
    parent, conditions = target.layout.table, [where]
    for branch in path:
        conditions += branch.joined(parent)
        parent = branch.layout.table
    return conditions


def _released(connection: sa.Connection, branch: Branch) -> dict[sa.Column[object], object]:
    names = branch.reference.changed or branch.reference.columns
    columns = [branch.layout.table.c[name] for name in names]
    if branch.reference.on_delete == "SET NULL":
        return dict.fromkeys(columns, sa.null())
    return {column: dialects.default_of(connection, column) for column in columns}
