"""Columns of a domain (PostgreSQL): treated as the type that it is made of, and asked for its rules."""

from typing import Any, Final

import sqlalchemy as sa

from aegis.db.engines import attempt
from aegis.errors import AegisError

_DOMAIN: Final = "domain"


def unwrap(table: sa.Table) -> None:
    """Give each column of a domain, in a reflected table, the type that its domain is made of."""
    for column in table.c:
        kind: Any = column.type
        while kind.__visit_name__ == "DOMAIN":
            column.info.setdefault(_DOMAIN, kind)
            kind = kind.data_type
        column.type = kind


def domain_of(column: sa.Column[Any]) -> str | None:
    """Return the name of a column's domain; None when it has none."""
    return getattr(column.info.get(_DOMAIN), "name", None)


def fits(connection: sa.Connection, column: sa.Column[Any], value: sa.ColumnElement[Any]) -> bool:
    """Say whether a value is one of a column's domain; true where it has none."""
    domain = column.info.get(_DOMAIN)
    if domain is None:
        return True
    try:
        with attempt(connection, "domain"):
            connection.execute(sa.select(sa.cast(sa.cast(value, domain), sa.Text())))
    except AegisError:
        return False
    return True
