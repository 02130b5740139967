"""Needs: rights, each with what asks for it, collected from every side and told once."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from aegis.db import dialects, rights
from aegis.db.rights import Right

#: Who is granted to: the role that changes rows, or the one that only looks for what is left.
Purpose = Literal["run", "verify"]
PURPOSES: Final[tuple[Purpose, ...]] = get_args(Purpose)
#: What a walk in the order of the heap, and a sample of it, read besides (PostgreSQL).
PLACE: Final = ("ctid", "tableoid")
#: Why there is a right on a whole database (MariaDB).
SEES: Final = "sees every table, column and foreign key of the database, and no row"
_ORDER: Final = ("attribute", "database", "schema", "membership", "function", "table")


@dataclass(frozen=True, kw_only=True)
class Need:
    """One right, and what asks for it."""

    right: Right
    #: In words: the policy or the part of the data map, and the step of it.
    why: tuple[str, ...]


class Needs:
    """Collects needs on one data source."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.postgresql = connection.dialect.name == dialects.POSTGRESQL
        #: Partitioned tables whose partitions are detached and dropped by a function of their owner.
        self.tended: list[sa.TableClause] = []
        self._found: dict[tuple[Any, ...], Need] = {}

    def read(self, table: sa.TableClause, columns: Iterable[str] | None, why: str) -> None:
        """Need to read columns of a table; None: all of them."""
        self.columns("SELECT", table, columns, why)

    def columns(self, privilege: str, table: sa.TableClause, columns: Iterable[str] | None, why: str) -> None:
        """Need a privilege on columns of a table, on all of them (None), or on none if there are none."""
        named = tuple(dict.fromkeys(columns)) if columns is not None else ()
        if columns is None or named:
            self.add(replace(self._right(privilege, table), columns=named), why)

    def whole(self, privilege: str, table: sa.TableClause, why: str) -> None:
        """Need a privilege that there is on whole tables only."""
        self.add(self._right(privilege, table), why)

    def add(self, right: Right, why: str) -> None:
        """Need a right; one on a whole table takes in those on its columns."""
        known = self._found.get(right.place)
        if known is None:
            self._found[right.place] = Need(right=right, why=(why,))
            return
        columns: tuple[str, ...] = ()
        if known.right.columns and right.columns:
            columns = tuple(dict.fromkeys([*known.right.columns, *right.columns]))
        reasons = tuple(dict.fromkeys([*known.why, why]))
        self._found[right.place] = Need(right=replace(right, columns=columns), why=reasons)

    def all(self) -> list[Need]:
        """Return what was collected, with the schemas and the attribute that its tables ask for."""
        tables = [need.right for need in self._found.values() if need.right.kind == "table"]
        for schema in sorted({str(right.schema) for right in tables}):
            if self.postgresql:
                self.add(Right(privilege="USAGE", kind="schema", name=schema), "its tables")
            else:
                self.add(Right(privilege=rights.SIGHT, kind="database", name=schema), SEES)
        if hidden := rights.secured(self.connection, tables):
            bypass = Right(privilege="BYPASSRLS", kind="attribute")
            self.add(bypass, f"row-level security would hide rows of {', '.join(hidden)}")
        found = self._found.values()
        wide = rights.widened(self.connection, [need.right for need in found])
        made = [replace(need, right=right) for need, right in zip(found, wide, strict=True)]
        return sorted(made, key=_place)

    def _right(self, privilege: str, table: sa.TableClause) -> Right:
        schema = rights.within(self.connection, table.schema)
        return Right(privilege=privilege, schema=schema, name=table.name)


def columns_in(table: sa.Table, *expressions: Any) -> list[str]:
    """Return the columns of a table that some expressions read."""
    found = [
        element.name
        for expression in expressions
        for element in visitors.iterate(expression)
        if isinstance(element, sa.Column) and element.table is table
    ]
    return list(dict.fromkeys(found))


def _place(need: Need) -> tuple[Any, ...]:
    right = need.right
    return (_ORDER.index(right.kind), right.schema or "", right.name, right.privilege)
